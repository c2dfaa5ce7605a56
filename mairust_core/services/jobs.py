"""Operations on jobs; they belong to the site (rule G4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mairust_core import store
from mairust_core.errors import Conflict, NotFound
from mairust_core.model.forms import DEFAULT_LIMIT, Page, RemovedById
from mairust_core.model.ids import Id
from mairust_core.model.job import Job, JobsChanged, JobSelection, State
from mairust_core.model.principal import ReachKind, Scope
from mairust_core.operations import Service, operation
from mairust_core.services.changes import change, note_before
from mairust_core.services.pages import cut, limited

if TYPE_CHECKING:
    from sqlalchemy import Connection

ADMIN, SITE = Scope.ADMIN, ReachKind.SITE
STEP_ROWS = 200
"""Changes of many are made in short transactions, so that mail goes between them (rule D2)."""


class Jobs(Service):
    """What is done later: waiting, running, done, given up, or held."""

    @operation("GET", "/jobs", scope=ADMIN, reach=SITE)
    def browse(
        self, *, state: State | None = None, kind: str = "", cursor: str = "", limit: int = DEFAULT_LIMIT
    ) -> Page[Job]:
        """List jobs, newest first, in one state or in any."""
        with self.site.storage.read() as tx:
            found = store.jobs.page(tx, self.by, state, kind, cursor, limited(limit) + 1)
        return cut(found, limit, lambda last: str(int(last.id)))

    @operation("GET", "/jobs/{id}", scope=ADMIN, reach=SITE, errors=(NotFound,))
    def show(self, id: str) -> Job:
        """Show one job."""
        with self.site.storage.read() as tx:
            return store.jobs.get(tx, self.by, Id.parse(id))

    @operation("POST", "/jobs/{id}/retry", scope=ADMIN, reach=SITE, errors=(NotFound, Conflict))
    def retry(self, id: str) -> Job:
        """Let a dead job, or one that waits for its time, run now; a dead one has all attempts again."""
        job_id = Id.parse(id)
        with change(self, "retry", id) as tx:
            self._note(tx, job_id)
            found = store.jobs.retry(self.site.storage, tx, self.by, job_id)
        self.site.job_bell.set()
        return found

    @operation("POST", "/jobs/retry", scope=ADMIN, reach=SITE)
    def retry_all(self, which: JobSelection) -> JobsChanged:
        """Let all dead jobs run again, of one kind or of every kind."""
        storage = self.site.storage
        return self._change_all(
            "retry_all", which, lambda tx: store.jobs.retry_some(storage, tx, self.by, which.kind, STEP_ROWS)
        )

    @operation("DELETE", "/jobs/{id}", scope=ADMIN, reach=SITE, errors=(NotFound, Conflict))
    def discard(self, id: str) -> RemovedById:
        """Delete a job that is not running: what it was for is not done any more."""
        job_id = Id.parse(id)
        with change(self, "discard", id) as tx:
            self._note(tx, job_id)
            store.jobs.discard(tx, self.by, job_id)
        return RemovedById.of(id)

    @operation("POST", "/jobs/discard", scope=ADMIN, reach=SITE)
    def discard_all(self, which: JobSelection) -> JobsChanged:
        """Delete all dead jobs, of one kind or of every kind."""
        self.site.make_room()
        return self._change_all(
            "discard_all", which, lambda tx: store.jobs.discard_some(tx, self.by, which.kind, STEP_ROWS)
        )

    @operation("POST", "/jobs/{id}/release", scope=ADMIN, reach=SITE, errors=(NotFound,))
    def release(self, id: str) -> Job:
        """Let a held job run when its time has come (rule I3); one that is not held stays as it is."""
        job_id = Id.parse(id)
        with change(self, "release", id) as tx:
            self._note(tx, job_id)
            found = store.jobs.release(tx, self.by, job_id)
        self.site.job_bell.set()
        return found

    @operation("POST", "/jobs/release", scope=ADMIN, reach=SITE)
    def release_all(self, which: JobSelection) -> JobsChanged:
        """Let all held jobs run when their time has come, of one kind or of every kind (rule I3)."""
        return self._change_all(
            "release_all", which, lambda tx: store.jobs.release_some(tx, self.by, which.kind, STEP_ROWS)
        )

    def _note(self, tx: Connection, job_id: Id) -> None:
        note_before(store.jobs.get(tx, self.by, job_id, locked=True), "kind", "subject", "state")

    def _change_all(self, verb: str, which: JobSelection, step: Callable[[Connection], int]) -> JobsChanged:
        """Step by step until one is not full; audited once, with the first."""
        with change(self, verb, which.kind or "every kind") as tx:
            total = found = step(tx)
        while found == STEP_ROWS:
            with self.site.storage.write() as tx:
                found = step(tx)
            total += found
        self.site.job_bell.set()
        return JobsChanged(jobs=total)
