"""Operations on jobs, locally and remotely (contract §1, §3; rules G4, I3)."""

from __future__ import annotations

from uuid import uuid4

import pytest

from mairust_core.errors import Conflict, Forbidden, Invalid, NotFound
from mairust_core.model.ids import Id
from mairust_core.model.job import Job, JobsChanged, JobSelection, NewJob, Priority, State
from mairust_core.model.principal import ReachKind, Scope
from mairust_core.services.jobs import STEP_ROWS, Jobs
from mairust_core.store import jobs as queries
from tests.contract.services.conftest import Served
from tests.contract.services.words import Ops
from tests.support.jobs import change, enqueue, kill

FAR_MS = 4_000_000_000_000


@pytest.fixture
def kind() -> str:
    """A kind of job that only this test knows."""
    return f"k{uuid4().hex[:12]}"


def make_many(served: Served, kind: str, count: int, state: str) -> None:
    """Jobs of one kind in one state."""
    ids = served.site.ids
    with served.site.storage.write() as tx:
        queries.enqueue(served.site.storage, tx, ids, [NewJob(kind=kind)] * count)
        served.site.storage.execute_many(tx, "UPDATE job SET state = ? WHERE kind = ?", [(state, kind)])
        if state == "dead":
            served.site.storage.execute_many(tx, "UPDATE job SET finished_ms = 1 WHERE kind = ?", [(kind,)])


def test_a_job_is_shown_without_its_payload(served: Served, ops: Ops, kind: str) -> None:
    """Who has it, how often it was tried, when it runs; ids as strings on the wire."""
    new = NewJob(kind=kind, subject="s", payload={"inner": "x"}, priority=Priority.HIGH, run_at_ms=FAR_MS)
    job_id = enqueue(served.site, new)
    job = ops(Jobs).show(job_id)
    assert isinstance(job, Job)
    assert (job.id, job.kind, job.subject, job.state) == (Id(job_id), kind, "s", State.READY)
    assert (job.priority, job.attempts, job.max_attempts) == (Priority.HIGH, 0, 4)
    assert (job.finished_at, job.leased_until, job.worker, job.last_error) == (None, None, None, None)
    assert job.run_at.year == 2096
    assert not hasattr(job, "payload")


def test_jobs_are_listed_newest_first_in_pages(served: Served, ops: Ops, kind: str) -> None:
    """Each once, by state and by kind."""
    made = [enqueue(served.site, NewJob(kind=kind)) for _ in range(7)]
    kill(served.site, made[2])
    service = ops(Jobs)
    seen, cursor = [], ""
    while True:
        page = service.browse(kind=kind, cursor=cursor, limit=3)
        seen += [str(int(job.id)) for job in page.items]
        if page.next_cursor is None:
            break
        cursor = page.next_cursor
    assert seen == made[::-1]
    assert [str(int(job.id)) for job in service.browse(state=State.DEAD, kind=kind).items] == [made[2]]
    assert len(service.browse(state=State.READY, kind=kind).items) == 6
    assert service.browse(state=State.DONE, kind=kind).items == ()
    assert made[6] in {str(int(job.id)) for job in service.browse(limit=500).items}


def test_a_state_that_is_none_is_refused(ops: Ops) -> None:
    """With those there are."""
    with pytest.raises(Invalid, match="hoose of ready, running, done, dead, held"):
        ops(Jobs).browse(state="waiting")  # type: ignore[arg-type]  # wrong on purpose


def test_a_dead_job_runs_again_with_all_its_attempts(served: Served, ops: Ops, kind: str) -> None:
    """Also when another job has its key by now."""
    job_id = enqueue(served.site, NewJob(kind=kind, dedupe=kind))
    kill(served.site, job_id)
    twin = enqueue(served.site, NewJob(kind=kind, dedupe=kind))
    job = ops(Jobs).retry(job_id)
    assert (job.state, job.attempts, job.finished_at) == (State.READY, 0, None)
    assert job.last_error is not None
    assert ops(Jobs).retry(twin).state is State.READY


def test_a_waiting_job_need_not_wait(served: Served, ops: Ops, kind: str) -> None:
    """It is due now; its attempts count on."""
    job_id = enqueue(served.site, NewJob(kind=kind, run_at_ms=FAR_MS))
    change(served.site.storage, job_id, attempts=2)
    job = ops(Jobs).retry(job_id)
    assert (job.state, job.attempts) == (State.READY, 2)
    assert job.run_at.year < 2096


@pytest.mark.parametrize("state", ["running", "done", "held"])
def test_what_cannot_be_retried_says_why(served: Served, ops: Ops, kind: str, state: str) -> None:
    """And stays as it is."""
    job_id = enqueue(served.site, NewJob(kind=kind))
    change(served.site.storage, job_id, state=state)
    with pytest.raises(Conflict, match=f"is {state}"):
        ops(Jobs).retry(job_id)
    assert ops(Jobs).show(job_id).state == state


def test_a_discarded_job_is_gone(served: Served, ops: Ops, kind: str) -> None:
    """A second time it is not there; a running one stays."""
    job_id, running = (enqueue(served.site, NewJob(kind=kind)) for _ in range(2))
    change(served.site.storage, running, state="running")
    removed = ops(Jobs).discard(job_id)
    assert (removed.id, removed.name, removed.removed) == (job_id, job_id, True)
    with pytest.raises(NotFound, match=job_id):
        ops(Jobs).discard(job_id)
    with pytest.raises(Conflict, match="is running"):
        ops(Jobs).discard(running)


def test_rule_i3_a_held_job_is_released(served: Served, ops: Ops, kind: str) -> None:
    """It keeps its time; one that is not held stays as it is."""
    job_id = enqueue(served.site, NewJob(kind=kind, run_at_ms=FAR_MS))
    change(served.site.storage, job_id, state="held")
    for _ in range(2):
        job = ops(Jobs).release(job_id)
        assert (job.state, job.run_at.year) == (State.READY, 2096)


def test_many_are_changed_step_by_step(served: Served, ops: Ops, kind: str) -> None:
    """All of one kind, none of another; the number tells how many."""
    count = STEP_ROWS + 7
    other = f"{kind}x"
    for verb, before, after in (("retry_all", "dead", "ready"), ("release_all", "held", "ready")):
        make_many(served, f"{kind}{verb}", count, before)
        make_many(served, other, 1, before)
        call = getattr(ops(Jobs), verb)
        assert call(JobSelection(kind=f"{kind}{verb}")) == JobsChanged(jobs=count)
        assert call(JobSelection(kind=f"{kind}{verb}")) == JobsChanged(jobs=0)
        assert len(ops(Jobs).browse(kind=f"{kind}{verb}", state=State(after), limit=500).items) == count
        assert ops(Jobs).browse(kind=other).items[0].state == before
    make_many(served, kind, count, "dead")
    assert ops(Jobs).discard_all(JobSelection(kind=kind)) == JobsChanged(jobs=count)
    assert ops(Jobs).browse(kind=kind).items == ()
    assert ops(Jobs).discard_all(JobSelection(kind=kind)) == JobsChanged(jobs=0)


def test_changes_are_audited(served: Served, ops: Ops, kind: str) -> None:
    """Which job, by whom; a change of many once."""
    job_id = enqueue(served.site, NewJob(kind=kind))
    ops(Jobs).retry(job_id)
    ops(Jobs).discard(job_id)
    ops(Jobs).discard_all(JobSelection(kind=kind))
    with served.site.storage.read() as tx:
        rows = served.site.storage.fetch_all(
            tx, "SELECT operation FROM audit WHERE subject IN (?, ?) ORDER BY id", (job_id, kind)
        )
    assert [row[0] for row in rows] == ["jobs.retry", "jobs.discard", "jobs.discard_all"]


def test_rule_g4_jobs_belong_to_the_site(served: Served, domain: str, kind: str) -> None:
    """A domain's administrator neither sees nor changes them."""
    job_id = enqueue(served.site, NewJob(kind=kind))
    key = served.issue(Scope.ADMIN, reach=ReachKind.DOMAIN, subject=domain)
    jobs = served.there(Jobs, key)
    for call in (jobs.browse, lambda: jobs.show(job_id), lambda: jobs.discard_all(JobSelection())):
        with pytest.raises(Forbidden, match="site reach"):
            call()
    reader = served.there(Jobs, served.issue(Scope.READ))
    with pytest.raises(Forbidden, match="admin"):
        reader.show(job_id)
