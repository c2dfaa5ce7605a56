"""Operations on stored secrets: what there is, never what it is."""

from __future__ import annotations

from mairust_core import store
from mairust_core.errors import BadConfig, Damaged, Locked
from mairust_core.model.forms import DEFAULT_LIMIT, Page
from mairust_core.model.principal import ReachKind, Scope
from mairust_core.model.secret import Prepared, Rotated, Secret, SecretsStatus
from mairust_core.operations import Service, operation
from mairust_core.services.changes import change
from mairust_core.services.pages import cut, limited

ADMIN, SITE = Scope.ADMIN, ReachKind.SITE


class Secrets(Service):
    """Secrets that the site keeps for itself, under envelope encryption."""

    @operation("GET", "/secrets", scope=ADMIN, reach=SITE)
    def browse(self, *, cursor: str = "", limit: int = DEFAULT_LIMIT) -> Page[Secret]:
        """List stored secrets by name, without their content."""
        with self.site.storage.read() as tx:
            found = store.secrets.page(tx, self.by.tenant_id, cursor, limited(limit) + 1)
        return cut(found, limit, lambda last: last.name)

    @operation("GET", "/secrets/status", scope=ADMIN, reach=SITE, errors=(BadConfig,))
    def status(self) -> SecretsStatus:
        """Show which master key is in force, and how many secrets wait to come under it."""
        file_keys = tuple(self.site.secrets.file.keys())
        with self.site.storage.read() as tx:
            key_id, secrets, waiting = store.secrets.count(tx)
        return SecretsStatus(key_id=key_id, file_keys=file_keys, secrets=secrets, waiting=waiting)

    @operation("POST", "/secrets/prepare-master", scope=ADMIN, reach=SITE, errors=(Locked, BadConfig))
    def prepare_master(self) -> Prepared:
        """Write the next master key into this machine's file, without putting it in force.

        With several machines, copy the file to all of them before the rotation.
        """
        key = self.site.prepare_master_key()
        with change(self, "prepare_master", key.key_id):
            return key

    @operation("POST", "/secrets/rotate-master", scope=ADMIN, reach=SITE, errors=(Locked, BadConfig, Damaged))
    def rotate_master(self) -> Rotated:
        """Put a new master key in force and wrap every data key under it.

        An earlier rotation that was ended half-way is completed instead. Every process uses the new key at
        once; the old one leaves the file when no secret needs it any more.
        """
        done = self.site.rotate_master_key()
        with change(self, "rotate_master", done.key_id):
            return done
