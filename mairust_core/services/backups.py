"""Operations on backups: one moment of the site, handed out to who keeps it, and taken back (rule I3)."""

from __future__ import annotations

from mairust_core import store
from mairust_core.errors import DiskFull, NotFound, Temporary
from mairust_core.ids import now_ms
from mairust_core.model.backup import (
    Additions,
    BackedUp,
    BackupRun,
    NewBackup,
    Offer,
    Verification,
    Wanted,
)
from mairust_core.model.forms import DEFAULT_LIMIT, Page
from mairust_core.model.ids import Id
from mairust_core.model.principal import ReachKind, Scope
from mairust_core.operations import BytesIn, BytesOut, Service, operation
from mairust_core.services.changes import change
from mairust_core.services.pages import cut, limited

ADMIN, SITE = Scope.ADMIN, ReachKind.SITE
PACK = "application/vnd.mairust.pack"


class Backups(Service):
    """One moment of the site, for a repository elsewhere; `mairust backup` is made of these calls."""

    @operation("POST", "/backups", scope=ADMIN, reach=SITE, errors=(DiskFull,))
    def begin(self, new: NewBackup) -> Offer:
        """Begin a backup: hold all mail as it is now, and list what there is.

        Until the backup is finished, or nothing was fetched for ten minutes, no mail's bytes are deleted.
        """
        return self.site.begin_backup(self.by, new)

    @operation("GET", "/backups", scope=ADMIN, reach=SITE)
    def browse(self, *, cursor: str = "", limit: int = DEFAULT_LIMIT) -> Page[BackupRun]:
        """List the backups that were begun on this site, the newest first."""
        with self.site.storage.read() as tx:
            found = store.backups.page(tx, self.by, cursor, limited(limit) + 1, now_ms())
        return cut(found, limit, lambda last: str(int(last.id)))

    @operation(
        "GET", "/backups/{id}/contents", scope=ADMIN, reach=SITE, errors=(NotFound,),
        produces="application/octet-stream",
    )  # fmt: skip
    def contents(self, id: str) -> BytesOut:
        """The SHA-256 of all mail that the listed rows refer to, 32 octets each; some come several times."""
        return self.site.backup_contents(self._own(id))

    @operation(
        "POST", "/backups/{id}/pack", scope=ADMIN, reach=SITE, errors=(NotFound, Temporary), produces=PACK
    )
    def pack(self, id: str, wanted: Wanted) -> BytesOut:
        """Fetch objects: as many of the wanted ones, in their order, as make a pack of 16 MiB.

        Its directory says what is in it, and which objects could not be read.
        """
        return self.site.backup_pack(self._own(id), wanted)

    @operation("POST", "/backups/{id}/finish", scope=ADMIN, reach=SITE, errors=(NotFound,))
    def finish(self, id: str, done: BackedUp) -> BackupRun:
        """End a backup, and keep what came of it for `mairust status`."""
        return self.site.finish_backup(self.by, self._own(id), done)

    @operation("POST", "/backups/verified", scope=ADMIN, reach=SITE, errors=(NotFound,))
    def verified(self, found: Verification) -> BackupRun:
        """Keep what `mairust backup verify` found in a repository, for `doctor` and `status`.

        It is kept with the newest backup of this site that lies there; a copy elsewhere is none.
        Damage stays known until a look that could have seen it finds none.
        """
        with self.site.storage.write() as tx:
            return store.backups.verified(tx, self.by, found, now_ms())

    @operation("PUT", "/backups", scope=ADMIN, reach=SITE, errors=(NotFound,), accepts=(PACK,))
    def put_back(self, content: BytesIn) -> Additions:
        """Append messages of a snapshot to their mailboxes, with new ids and UIDs.

        The body is a pack: their bytes, and one object of rows that says whose they are. An account that is
        gone is made again when its domain is there. A whole site is restored by `mairust restore` on its own
        machine, not over the API.
        """
        added = self.site.put_back(self.by, content)
        brought = {"messages": len(added.messages), "account_created": added.account_created}
        with change(self, "put_back", added.address, brought):
            return added

    def _own(self, id: str) -> Id:
        with self.site.storage.read() as tx:
            return store.backups.get(tx, self.by, Id.parse(id), now_ms()).id
