"""Operations on whom to trust with plugins; they belong to the site (rules G4, G5)."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from mairust_core import store
from mairust_core.errors import Conflict, Forbidden, Invalid, Locked, NotFound, TooLarge
from mairust_core.model.forms import DEFAULT_LIMIT, Page, RemovedById
from mairust_core.model.principal import ReachKind, Scope
from mairust_core.model.trust import NewTrustKey, Revocation, RevocationsTaken, TrustKey
from mairust_core.operations import BytesIn, Service, operation
from mairust_core.services.changes import change, note_before
from mairust_core.services.pages import cut, limited
from mairust_core.store.trust import Trusted

if TYPE_CHECKING:
    from mairust_core.plugins.package.revocations import RevocationList

ADMIN, SITE = Scope.ADMIN, ReachKind.SITE
REVOCATIONS = "application/vnd.mairust.revocations+json"


class Trust(Service):
    """Whose signatures on plugins count here, and what they took back."""

    @operation(
        "POST", "/trust/keys", scope=ADMIN, reach=SITE, status=201, errors=(Invalid, Conflict, Forbidden)
    )
    def add(self, new: NewTrustKey) -> TrustKey:
        """Trust a root key: what it signs, or a key that it certified, can be installed here.

        One that another trusted root took back is refused unless `although_revoked` says that it is wanted
        nevertheless.
        """
        with change(self, "add", new.name) as tx:
            store.trust.hold(self.site.storage, tx)
            return self.site.trust.add(tx, self.by, new)

    @operation("GET", "/trust/keys", scope=ADMIN, reach=SITE)
    def browse(self, *, cursor: str = "", limit: int = DEFAULT_LIMIT) -> Page[TrustKey]:
        """List the root keys that are trusted, by id."""
        with self.site.storage.read() as tx:
            found = store.trust.page(tx, self.by, cursor, limited(limit) + 1)
        return cut(found, limit, lambda last: last.id)

    def trusted(self, about: Collection[str]) -> Trusted:
        """All roots, and which of these keys and packages they took back; on the site's machine only."""
        with self.site.storage.read() as tx:
            return store.trust.trusted(tx, self.by, about)

    @operation("DELETE", "/trust/keys/{id}", scope=ADMIN, reach=SITE, errors=(NotFound,))
    def remove(self, id: str) -> RemovedById:
        """Trust a root key no longer, by its id or its name.

        Plugins that it signed go on; none of them is installed, approved or enabled any more. What it took
        back stays so.
        """
        with change(self, "remove", id) as tx:
            store.trust.hold(self.site.storage, tx)
            found = store.trust.get(tx, self.by, id, locked=True)
            note_before(found)
            store.trust.remove(tx, self.by, found.id)
        return RemovedById.of(found.id)

    @operation(
        "POST",
        "/trust/revocations",
        scope=ADMIN,
        reach=SITE,
        errors=(Invalid, Conflict, TooLarge, Locked),
        accepts=(REVOCATIONS,),
    )
    def import_revocations(self, revocations: BytesIn) -> RevocationsTaken:
        """Put a list of revocations in force that a trusted root signed, and block at once what it names.

        It takes the place of that root's earlier list; an older one is refused, and so is another one of the
        same serial. What it names and is disabled stays disabled, and is told.
        """
        taken = self.site.read_revocations(revocations)
        revoking = self.site.revoking
        with revoking.alone():
            announced = revoking.announce(self.by, taken)
            with change(self, "import_revocations", taken.root, _told(taken)) as tx:
                store.trust.hold(self.site.storage, tx)
                done = revoking.take(tx, self.by, taken, announced)
            revoking.release(self.by, taken, announced)
        return done

    @operation("POST", "/trust/keys/{id}/confirm-revocations", scope=ADMIN, reach=SITE, errors=(NotFound,))
    def confirm_revocations(self, id: str) -> TrustKey:
        """Say that a root key, by its id or its name, has issued no newer list than that in force.

        Until then, or until a list is imported, `doctor` finds that a site was restored from a backup, which
        may be older than the last list; and that a list is older than 90 days.
        """
        with change(self, "confirm_revocations", id) as tx:
            found = store.trust.get(tx, self.by, id, locked=True)
            note_before(found, "serial", "confirmed_at", "restored_at")
            return store.trust.confirm(tx, self.by, found.id)

    @operation("GET", "/trust/revocations", scope=ADMIN, reach=SITE)
    def revocations(self, *, cursor: str = "", limit: int = DEFAULT_LIMIT) -> Page[Revocation]:
        """List the keys and packages that roots took back."""
        with self.site.storage.read() as tx:
            found = store.trust.revocations(tx, self.by, cursor, limited(limit) + 1)
        return cut(found, limit, store.trust.cursor)


def _told(taken: RevocationList) -> dict[str, Any]:
    """For the audit: which list it was, and how much it names."""
    return {
        "serial": taken.serial,
        "issued_at": taken.issued_at,
        "keys": len(taken.keys),
        "manifests": len(taken.manifests),
    }
