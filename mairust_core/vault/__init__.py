"""Stored secrets: put, read and deleted inside the caller's transaction, under envelope encryption.

    with site.storage.write() as tx:
        site.secrets.put(tx, "plugin/com.example.spam", secret)

Which master key is in force is a row of the database, locked by whoever encrypts; its bytes are in a file
(`key_file`). `rotation` changes it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mairust_core.errors import Damaged, Invalid, NotFound
from mairust_core.ids import now_ms
from mairust_core.model.principal import DEFAULT_TENANT
from mairust_core.store import secrets as rows
from mairust_core.vault.envelope import MasterKey, Unopened, open_sealed, seal

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from mairust_core.vault.key_file import KeyFile

MAX_SECRET_BYTES = 1 << 20
MAX_NAME_LENGTH = 200


class Vault:
    """The secrets of a site. Thread-safe; `file` holds the master key."""

    def __init__(self, file: KeyFile, clock: Callable[[], int] = now_ms) -> None:
        self.file = file
        self._clock = clock

    def put(
        self,
        tx: Connection,
        name: str,
        data: bytes,
        *,
        tenant_id: int = DEFAULT_TENANT,
        expires_ms: int | None = None,
    ) -> None:
        """Store a secret under a name, in place of one that was there, until `expires_ms` if that is given.

        Raises `Invalid` for an empty, long or unprintable name and for more than 1 MiB, `BadConfig` when the
        master key in force is not in its file.
        """
        if not name.isprintable() or not 1 <= len(name) <= MAX_NAME_LENGTH:
            raise Invalid("name", "not_a_line", limit=MAX_NAME_LENGTH)
        if len(data) > MAX_SECRET_BYTES:
            raise Invalid("secret", "secret_too_big", limit=MAX_SECRET_BYTES)
        sealed = seal(self.current(tx), tenant_id, name, data)
        rows.put(tx, tenant_id, name, sealed, (self._clock(), expires_ms))

    def get(self, tx: Connection, name: str, *, tenant_id: int = DEFAULT_TENANT) -> bytes:
        """A secret by its name.

        Raises `NotFound`, `BadConfig` when its master key is not in the file, `Damaged` when the row was
        changed by other hands.
        """
        sealed = rows.get(tx, tenant_id, name, self._clock())
        if sealed is None:
            raise NotFound("secret", name=name)
        master = self.file.find(sealed.key_id)
        try:
            return open_sealed(master, tenant_id, name, sealed)
        except Unopened as error:
            raise Damaged("secret", name=name) from error

    def delete(self, tx: Connection, name: str, *, tenant_id: int = DEFAULT_TENANT) -> bool:
        """Forget a secret; False when there was none."""
        return rows.remove(tx, tenant_id, name)

    def current(self, tx: Connection) -> MasterKey:
        """The master key in force, which cannot change before this transaction ends."""
        key_id = rows.current_key(tx)
        if key_id is None:
            rows.name_first_key(tx, self.file.newest().id)
            key_id = rows.current_key(tx)
        assert key_id is not None
        return self.file.find(key_id)
