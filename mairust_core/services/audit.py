"""Operations on the audit."""

from __future__ import annotations

from mairust_core import store
from mairust_core.model.audit import Entry
from mairust_core.model.forms import DEFAULT_LIMIT, Page
from mairust_core.model.ids import Id
from mairust_core.model.moment import Moment, ms_of
from mairust_core.model.principal import ReachKind, Scope
from mairust_core.operations import Service, operation
from mairust_core.services.pages import cut, limited


class Audit(Service):
    """Who changed what, kept for `telemetry.audit_days`."""

    @operation("GET", "/audit", scope=Scope.READ, reach=ReachKind.SITE)
    def browse(
        self,
        *,
        actor: str = "",
        operation: str = "",
        subject: str = "",
        since: Moment | None = None,
        cursor: str = "",
        limit: int = DEFAULT_LIMIT,
    ) -> Page[Entry]:
        """List administrative changes, newest first.

        `operation` is one, as `domains.add`, or a noun with all of its, as `domains`; `actor` and `subject`
        must be equal, but for the spelling of addresses and domains.
        """
        sought = store.audits.Sought(
            since_ms=ms_of(since, "since"), actor=actor, operation=operation, subject=subject
        )
        before = int(Id.of_cursor(cursor)) if cursor else 0
        with self.site.storage.read() as tx:
            found = store.audits.page(tx, self.by, sought, before, limited(limit) + 1)
        return cut(found, limit, lambda last: str(int(last.id)))
