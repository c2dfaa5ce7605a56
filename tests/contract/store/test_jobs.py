"""The queue in the database, on both: what is claimed, kept, settled and found again (rule F3)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import pytest

from mairust_core.model.ids import Id
from mairust_core.model.job import Job, Leased, NewJob, Priority, Settlement, State
from mairust_core.store import jobs, leases
from mairust_core.store.tables import job
from tests.support.jobs import change, states
from tests.support.stores import ADMIN, Kit

LEASE_MS = 30_000
ALL = {"a": 100, "b": 100, "quick": 100}


def make(kit: Kit, *new: NewJob) -> list[Id | None]:
    """Make jobs in a transaction of their own."""
    with kit.storage.write() as tx:
        return jobs.enqueue(kit.storage, tx, kit.ids, new)


def claim(
    kit: Kit, kinds: dict[str, int] | None = None, limit: int = 100, worker: str = "w:1"
) -> list[Leased]:
    """Lease what is due."""
    asked = leases.Claim(kinds=kinds or ALL, limit=limit, worker=worker, lease_ms=LEASE_MS)
    with kit.storage.write() as tx:
        return leases.claim(kit.storage, tx, asked, kit.storage.now_ms(tx))


def settle(kit: Kit, *ended: Settlement) -> set[Id]:
    """Write what became of jobs."""
    with kit.storage.write() as tx:
        return leases.settle(kit.storage, tx, ended, kit.storage.now_ms(tx))


def done(one: Leased) -> Settlement:
    """It is done."""
    return Settlement(lease=one, state=State.DONE)


def get(kit: Kit, job_id: Id) -> Job:
    """A job as people see it."""
    with kit.storage.read() as tx:
        return jobs.get(tx, ADMIN, job_id)


def subjects(found: Sequence[Leased]) -> list[str]:
    """Of these jobs."""
    return [one.subject for one in found]


def test_a_job_is_there_when_its_transaction_commits_and_not_otherwise(kit: Kit) -> None:
    """The outbox: whoever makes a row and a job has both or none."""

    def fails() -> None:
        with kit.storage.write() as tx:
            jobs.enqueue(kit.storage, tx, kit.ids, [NewJob(kind="a")])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fails()
    assert claim(kit) == []
    [made] = make(kit, NewJob(kind="a", subject="s", payload={"message": "17", "n": [1, None, "é"]}))
    [one] = claim(kit)
    assert (one.id, one.kind, one.subject, one.attempts, one.fence) == (made, "a", "s", 1, 1)
    assert one.payload == {"message": "17", "n": [1, None, "é"]}


def test_nothing_is_made_of_nothing(kit: Kit) -> None:
    """No statement either."""
    assert make(kit) == []


def test_jobs_with_the_same_key_are_made_once_until_it_is_finished(kit: Kit) -> None:
    """Also in one call; ready, running and held count as unfinished."""
    one = NewJob(kind="a", dedupe="index/7")
    made = make(kit, one, one, NewJob(kind="a", dedupe="index/8"), NewJob(kind="a"))
    assert [job_id is not None for job_id in made] == [True, False, True, True]
    assert made[0] is not None
    [leased] = claim(kit, limit=1)
    assert make(kit, one) == [None]
    settle(kit, Settlement(lease=leased, state=State.READY))
    change(kit.storage, str(int(leased.id)), state="held")
    assert make(kit, one) == [None]
    change(kit.storage, str(int(leased.id)), state="ready")
    again = next(job for job in claim(kit) if job.id == leased.id)
    settle(kit, Settlement(lease=again, state=State.DEAD))
    [second] = make(kit, one)
    assert second is not None
    assert kit.problems() == []


def test_priority_goes_first_then_who_waited_longest(kit: Kit) -> None:
    """Over all kinds; a job whose time has not come is not taken."""
    now = 1_000_000
    make(
        kit,
        NewJob(kind="a", subject="low", priority=Priority.LOW, run_at_ms=now),
        NewJob(kind="a", subject="second", run_at_ms=now + 2),
        NewJob(kind="b", subject="first", run_at_ms=now + 1),
        NewJob(kind="a", subject="later", priority=Priority.HIGH, run_at_ms=4_000_000_000_000),
        NewJob(kind="b", subject="high", priority=Priority.HIGH, run_at_ms=now + 9),
    )
    assert subjects(claim(kit, limit=2)) == ["high", "first"]
    assert subjects(claim(kit)) == ["second", "low"]
    assert claim(kit) == []


def test_no_kind_gets_more_than_was_asked_for(kit: Kit) -> None:
    """Over all its priorities; a kind that was not asked for is not touched, however long its queue."""
    for priority in Priority:
        make(kit, *(NewJob(kind="a", priority=priority) for _ in range(3)), NewJob(kind="other"))
    make(kit, *(NewJob(kind="b") for _ in range(3)))
    taken = claim(kit, {"a": 2, "b": 100, "none": 5})
    assert sorted(one.kind for one in taken) == ["a", "a", "b", "b", "b"]
    assert states(kit.storage) == {"running": 5, "ready": 10}
    assert claim(kit, {"a": 0}) == []
    assert claim(kit, {"a": 5}, limit=0) == []


def test_rule_f3_the_fence_rises_with_every_lease(kit: Kit) -> None:
    """And only the current one settles a job."""
    make(kit, NewJob(kind="a"))
    [first] = claim(kit)
    settle(kit, Settlement(lease=first, state=State.READY, error="once"))
    [second] = claim(kit)
    assert (first.fence, second.fence, second.attempts) == (1, 2, 2)
    assert settle(kit, done(first)) == set()
    assert get(kit, first.id).state is State.RUNNING
    assert settle(kit, done(second)) == {second.id}
    assert get(kit, first.id).state is State.DONE
    assert settle(kit, done(second)) == set()


def test_what_is_settled_keeps_its_story(kit: Kit) -> None:
    """When it runs again, why it failed, whether the attempt counted."""
    make(kit, NewJob(kind="a"), NewJob(kind="b"), NewJob(kind="quick"))
    a, b, c = sorted(claim(kit), key=lambda one: one.kind)
    kept = settle(
        kit,
        Settlement(lease=a, state=State.READY, delay_ms=60_000, error="E"),
        Settlement(lease=b, state=State.READY, counted=False),
        Settlement(lease=c, state=State.DEAD, error="E"),
    )
    assert kept == {a.id, b.id, c.id}
    failed, returned, dead = get(kit, a.id), get(kit, b.id), get(kit, c.id)
    assert (failed.state, failed.attempts, failed.last_error) == (State.READY, 1, "E")
    assert 59 <= (failed.run_at - failed.created_at).total_seconds() <= 120
    assert (returned.state, returned.attempts, returned.leased_until) == (State.READY, 0, None)
    assert (dead.state, dead.last_error, dead.worker) == (State.DEAD, "E", "w:1")
    assert dead.finished_at is not None
    assert subjects(claim(kit)) == [""]  # the one given back, at once
    assert kit.problems() == []


def test_rule_f3_a_lease_is_renewed_by_its_holder_only(kit: Kit) -> None:
    """And only while the job is running under it."""
    make(kit, NewJob(kind="a"), NewJob(kind="b"))
    one, other = claim(kit)
    settle(kit, Settlement(lease=other, state=State.READY))
    [taken] = claim(kit)
    with kit.storage.write() as tx:
        until = kit.storage.now_ms(tx) + 99_000
        assert leases.renew(kit.storage, tx, [one, other], until) == {one.id}
        assert {one.id: one.leased_until_ms for one in leases.held(kit.storage, tx)}[one.id] == until
        assert leases.is_current(tx, one)
        assert not leases.is_current(tx, other)
        assert leases.is_current(tx, taken)


def test_trap_d4_what_a_dead_worker_had_is_taken_from_it(kit: Kit) -> None:
    """Ready again, its next lease higher; one that was renewed meanwhile stays."""
    make(kit, NewJob(kind="a"), NewJob(kind="b"))
    one, renewed = claim(kit)
    with kit.storage.read() as tx:
        held = leases.held(kit.storage, tx)
    assert {job.worker for job in held} == {"w:1"}
    with kit.storage.write() as tx:
        leases.renew(kit.storage, tx, [renewed], kit.storage.now_ms(tx) + 99_000)
        assert leases.expire(kit.storage, tx, held, kit.storage.now_ms(tx)) == 1
    found = get(kit, one.id)
    assert found.last_error == "the worker w:1 did not renew its lease"
    [again] = claim(kit, worker="w:2")
    assert (again.id, again.fence, again.attempts) == (one.id, 2, 2)
    assert settle(kit, done(one)) == set()
    assert settle(kit, done(again), done(renewed)) == {again.id, renewed.id}


def test_a_job_whose_workers_die_is_dead_in_the_end(kit: Kit) -> None:
    """After more attempts than failures alone would get: it may be innocent, or it may be poison."""
    make(kit, NewJob(kind="a", max_attempts=1))
    for _ in range(1 + leases.LEASES_LOST):
        assert len(claim(kit)) == 1
        with kit.storage.write() as tx:
            leases.expire(kit.storage, tx, leases.held(kit.storage, tx), kit.storage.now_ms(tx))
    assert claim(kit) == []
    assert states(kit.storage) == {"dead": 1}


def test_two_claimants_never_get_the_same_job(kit: Kit) -> None:
    """At the same time, batch by batch."""
    made = make(kit, *(NewJob(kind="a") for _ in range(400)))
    taken: list[list[Id]] = [[], [], []]

    def work(mine: list[Id]) -> None:
        while found := claim(kit, limit=7):
            mine.extend(one.id for one in found)

    threads = [threading.Thread(target=work, args=(mine,)) for mine in taken]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(job_id for mine in taken for job_id in mine) == made


def test_the_next_due_time_is_known_without_a_claim(kit: Kit) -> None:
    """Of the kinds asked for, of any priority."""

    def due(kinds: Sequence[str]) -> int | None:
        with kit.storage.read() as tx:
            return leases.next_due_ms(kit.storage, tx, kinds)

    assert due(["a", "b"]) is None
    make(kit, NewJob(kind="a", run_at_ms=50), NewJob(kind="b", run_at_ms=40, priority=Priority.LOW))
    assert due(["a"]) == 50
    assert due(["a", "b"]) == 40
    assert due(["other"]) is None
    assert due([]) is None


def _plans(kit: Kit, statement: str, values: Sequence[object]) -> str:
    prefix = "EXPLAIN QUERY PLAN " if kit.storage.name == "sqlite" else "EXPLAIN "
    with kit.storage.read() as tx:
        return "\n".join(str(row) for row in kit.storage.fetch_all(tx, prefix + statement, values))


def test_done_jobs_cost_a_claim_nothing(kit: Kit) -> None:
    """Among 20,000 of them, finding, listing and counting what is not done reads an index of that alone."""
    rows = [
        (n, 1, "a", "", "{}", "done", 100, 1, 1, 4, 1, None, "w:1", None, None, 1, n)
        for n in range(1, 20_001)
    ]
    with kit.storage.write() as tx:
        kit.storage.insert_rows(tx, job, rows)
    make(kit, NewJob(kind="a", subject="the one"))
    if kit.storage.name == "postgresql":
        kit.run("ANALYZE job")
    look: Callable[[str, Sequence[object]], str] = lambda sql, values: _plans(kit, sql, values)  # noqa: E731 - a word
    assert "ix_job_ready" in look(leases._due_sql(1, ""), ("a", 100, 5, 1, 1))
    assert "ix_job_ready" in look(
        "SELECT min(run_at_ms) FROM job WHERE state = 'ready' AND kind = ? AND priority = ?", ("a", 100)
    )
    assert "ix_job_live" in look(
        "SELECT id FROM job WHERE state <> 'done' AND state = 'dead' ORDER BY id", ()
    )
    assert "ix_job_done" in look("SELECT id FROM job WHERE state = 'done' AND finished_ms < ?", (7,))
    assert subjects(claim(kit)) == ["the one"]


def test_rule_j3_done_jobs_are_purged_after_their_time(kit: Kit) -> None:
    """The oldest first, some at a time; dead ones stay."""
    make(kit, *(NewJob(kind="a") for _ in range(5)))
    one, *rest = claim(kit)
    settle(kit, Settlement(lease=one, state=State.DEAD, error="E"), *map(done, rest))
    for number, each in enumerate(rest):
        change(kit.storage, str(int(each.id)), finished_ms=number)
    with kit.storage.write() as tx:
        assert jobs.purge(tx, 3, 2) == 2
        assert jobs.purge(tx, 3, 2) == 1
        assert jobs.purge(tx, 3, 2) == 0
    assert states(kit.storage) == {"dead": 1, "done": 1}


def test_counts_are_of_what_is_not_done(kit: Kit) -> None:
    """And tell since when the longest waiting one is due."""
    with kit.storage.read() as tx:
        nothing = jobs.counts(kit.storage, tx)
    assert (nothing.ready, nothing.due, nothing.oldest_due_ms, nothing.running) == (0, 0, None, 0)
    far = 4_000_000_000_000
    make(kit, *(NewJob(kind="a") for _ in range(4)))
    a, b, c, _ = claim(kit)
    settle(kit, done(a), Settlement(lease=b, state=State.DEAD), Settlement(lease=c, state=State.READY))
    make(kit, NewJob(kind="a", run_at_ms=5), NewJob(kind="b", run_at_ms=far))
    with kit.storage.read() as tx:
        found = jobs.counts(kit.storage, tx)
    assert (found.ready, found.due, found.oldest_due_ms) == (3, 2, 5)
    assert (found.running, found.dead, found.held) == (1, 1, 0)


def test_rule_i3_a_restored_site_holds_what_has_not_ended(kit: Kit) -> None:
    """Also what was running when the backup was made, whose worker cannot settle it any more."""
    make(kit, *(NewJob(kind="a") for _ in range(4)))
    first, second = claim(kit, limit=2)
    settle(kit, done(first))
    with kit.storage.write() as tx:
        assert jobs.hold_all(tx) == 3
        assert jobs.hold_all(tx) == 0
    assert settle(kit, done(second)) == set()
    assert claim(kit) == []
    with kit.storage.write() as tx:
        assert jobs.release_some(tx, ADMIN, "b", 10) == 0
        assert jobs.release_some(tx, ADMIN, "", 2) == 2
        assert jobs.release_some(tx, ADMIN, "a", 2) == 1
    assert len(claim(kit)) == 3
    assert kit.problems() == []


def test_a_clock_that_went_back_takes_waiting_jobs_along(kit: Kit) -> None:
    """Delays are kept, retries wait no longer than the longest one; what is due far ahead stays so."""
    year, delay = 31_536_000_000, 600_000
    make(kit, NewJob(kind="a"), NewJob(kind="b"), NewJob(kind="quick", run_at_ms=4_000_000_000_000))
    a, b, far = (job_id for (job_id,) in kit.rows("SELECT id FROM job ORDER BY id"))
    with kit.storage.read() as tx:
        now = kit.storage.now_ms(tx)
        assert leases.misdated(kit.storage, tx, now + 1000, delay) == []
    change(kit.storage, str(a), created_ms=now + year, run_at_ms=now + year + 5000)
    change(kit.storage, str(b), attempts=1, run_at_ms=now + year)
    with kit.storage.write() as tx:
        leases.redate(kit.storage, tx, leases.misdated(kit.storage, tx, now, delay))
        assert leases.misdated(kit.storage, tx, now, delay) == []
    found = kit.rows("SELECT id, run_at_ms FROM job ORDER BY id")
    assert found == [(a, now + 5000), (b, now + delay), (far, 4_000_000_000_000)]
