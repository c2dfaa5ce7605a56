"""The index that makes searches fast; without it they read every text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mairust_core import store
from mairust_core.errors import Conflict, NotFound
from mairust_core.ids import now_ms
from mairust_core.model.principal import ReachKind, Scope
from mairust_core.model.search import IndexMode, IndexStatus, Rebuild
from mairust_core.operations import Service, operation
from mairust_core.services.changes import change

if TYPE_CHECKING:
    from sqlalchemy import Connection

ADMIN, SITE = Scope.ADMIN, ReachKind.SITE


class Index(Service):
    """What searches are narrowed down with."""

    @operation("GET", "/index", scope=ADMIN, reach=SITE)
    def status(self) -> IndexStatus:
        """Show what is indexed, and what is still to be."""
        with self.site.storage.read() as tx:
            return self._status(tx)

    @operation("POST", "/index/rebuild", scope=ADMIN, reach=SITE, status=202, errors=(NotFound, Conflict))
    def rebuild(self, of: Rebuild) -> IndexStatus:
        """Have the index made anew, of one account or of the site, from the messages themselves.

        What the index lacks of any account is put into it. A running server does it in the background;
        searches are exact meanwhile.
        """
        indexing = store.indexing
        with change(self, "rebuild", of.account or "site") as tx:
            self.site.storage.serialise(tx, indexing.LOCK)
            dropped = indexing.state(tx, self.by.tenant_id).mode is not IndexMode.ON
            account_id = store.accounts.get(tx, self.by, of.account).id if of.account else None
            if dropped and of.account:
                raise Conflict("index_dropped", address=of.account)
            if dropped:
                indexing.set_mode(tx, self.by.tenant_id, IndexMode.FILLING, now_ms())
            else:
                indexing.mark_stale(tx, self.by.tenant_id, now_ms(), account_id=account_id)
                indexing.begin_look(tx, self.by.tenant_id, now_ms())
            return self._status(tx)

    @operation("DELETE", "/index", scope=ADMIN, reach=SITE)
    def drop(self) -> IndexStatus:
        """Delete the index. Searches go on by reading texts, until it is rebuilt."""
        indexing = store.indexing
        with change(self, "drop", "site") as tx:
            self.site.storage.serialise(tx, indexing.LOCK)
            indexing.set_mode(tx, self.by.tenant_id, IndexMode.OFF)
        self.site.drop_index()
        return self.status()

    def _status(self, tx: Connection) -> IndexStatus:
        tenant_id = self.by.tenant_id
        totals = store.indexing.totals(tx, tenant_id)
        return IndexStatus(
            engine=self.site.settings.search.engine,
            mode=store.indexing.state(tx, tenant_id).mode,
            documents=totals.documents,
            queued=totals.queued,
            segments=totals.segments,
            stale=totals.stale,
            partial=totals.partial,
            text_bytes=totals.text_bytes,
            index_bytes=totals.index_bytes,
        )
