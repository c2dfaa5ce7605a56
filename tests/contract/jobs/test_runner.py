"""A runner at work, on both databases: attempts, limits, time, and a good end."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection

from mairust_core.app import Site
from mairust_core.errors import StorageDown
from mairust_core.jobs import Interrupted, Kind, LeaseLost, Timing
from mairust_core.jobs.lease import Lease
from mairust_core.jobs.runner import Runner
from mairust_core.model.ids import Id
from mairust_core.model.job import Job, NewJob, Priority, State
from mairust_core.store import jobs
from mairust_core.store import leases as queries
from tests.contract.jobs.conftest import BRISK, PATIENCE_S, SHORT, Start, until
from tests.support.jobs import change, enqueue, states
from tests.support.stores import ADMIN

Payload = Mapping[str, Any]


def shown(site: Site, job_id: str) -> Job:
    """A job as people see it."""
    with site.storage.read() as tx:
        return jobs.get(tx, ADMIN, Id(job_id))


def settled(site: Site, job_id: str) -> Job:
    """A job once it is done or dead."""
    until(lambda: shown(site, job_id).state in {State.DONE, State.DEAD}, f"the end of job {job_id}")
    return shown(site, job_id)


def test_a_job_is_done_once_with_its_payload(start: Start) -> None:
    """The handler gets the site, what the job says, and the lease."""
    seen: list[tuple[Site, Payload, int]] = []
    start(Kind(name="k", handler=lambda site, payload, lease: seen.append((site, payload, lease.job.fence))))
    job_id = enqueue(start.site, NewJob(kind="k", payload={"message": "17"}))
    job = settled(start.site, job_id)
    assert (job.state, job.attempts, job.last_error, job.leased_until) == (State.DONE, 1, None, None)
    assert seen == [(start.site, {"message": "17"}, 1)]


def test_a_thousand_jobs_share_few_transactions(start: Start) -> None:
    """Quick ones are leased ahead and settled together; each is done once."""
    seen: list[Id] = []
    lock = threading.Lock()

    def handle(_: Site, __: Payload, lease: Lease) -> None:
        with lock:
            seen.append(lease.job.id)

    made = [enqueue(start.site, NewJob(kind="k")) for _ in range(20)]
    with start.site.storage.write() as tx:
        made += map(str, jobs.enqueue(start.site.storage, tx, start.site.ids, [NewJob(kind="k")] * 980))
    start(Kind(name="k", handler=handle))
    until(lambda: states(start.site.storage) == {"done": 1000})
    assert sorted(seen) == sorted(Id(one) for one in made)


def test_the_bell_wakes_a_runner_that_looks_once_an_hour(start: Start) -> None:
    """What this process made begins at once."""
    rarely = Timing(lease_s=14_400, renew_s=14_400, first_pause_s=3600, longest_pause_s=3600)
    runs = threading.Event()
    start(Kind(name="k", handler=lambda *_: runs.set()), timing=rarely)
    enqueue(start.site, NewJob(kind="k"))
    start.site.job_bell.set()
    assert runs.wait(PATIENCE_S)


def test_a_failure_is_tried_again_and_then_dead(start: Start) -> None:
    """With the pauses of its kind; each attempt sees its number; the last error stays."""
    seen: list[int] = []

    def fail(_: Site, __: Payload, lease: Lease) -> None:
        seen.append(lease.job.attempts)
        raise StorageDown("open", url="u", why=f"attempt {lease.job.attempts}")

    start(Kind(name="k", handler=fail, retry_after_s=(0.01,)))
    job = settled(start.site, enqueue(start.site, NewJob(kind="k", max_attempts=3)))
    assert (job.state, job.attempts, seen) == (State.DEAD, 3, [1, 2, 3])
    assert job.last_error is not None
    assert "attempt 3" in job.last_error


@pytest.mark.parametrize(
    ("error", "traced"), [(StorageDown("open", url="u", why="gone"), False), (ValueError("bang"), True)]
)
def test_the_log_traces_what_does_not_explain_itself(
    start: Start, caplog: pytest.LogCaptureFixture, error: Exception, traced: bool
) -> None:
    """A full disk or a lost database is one line an attempt; a fault of the program is its traceback."""

    def fail(*_: object) -> None:
        raise error

    start(Kind(name="k", handler=fail))
    settled(start.site, enqueue(start.site, NewJob(kind="k", max_attempts=1)))
    (line,) = [one for one in caplog.records if "failed, attempt 1" in one.message]
    assert bool(line.exc_info) is traced


def test_a_failed_job_waits_for_its_time(start: Start) -> None:
    """Half a minute by default, and others go on meanwhile."""

    def fail(*_: object) -> None:
        raise ValueError("secret")

    start(Kind(name="bad", handler=fail), Kind(name="good", handler=lambda *_: None))
    bad = enqueue(start.site, NewJob(kind="bad"))
    until(lambda: shown(start.site, bad).attempts == 1 and shown(start.site, bad).state is State.READY)
    settled(start.site, enqueue(start.site, NewJob(kind="good")))
    job = shown(start.site, bad)
    assert (job.state, job.attempts) == (State.READY, 1)
    assert (job.run_at - job.created_at).total_seconds() >= 27
    assert job.last_error is not None
    assert job.last_error.startswith("ValueError at test_runner.py:")


def test_a_thread_outlives_whatever_a_handler_raises(start: Start) -> None:
    """Even an exit: it is a failure like others."""

    def leave(*_: object) -> None:
        raise SystemExit(3)

    start(Kind(name="exits", handler=leave), Kind(name="k", handler=lambda *_: None), threads=1)
    job = settled(start.site, enqueue(start.site, NewJob(kind="exits", max_attempts=1)))
    assert (job.state, (job.last_error or "")[:10]) == (State.DEAD, "SystemExit")
    assert settled(start.site, enqueue(start.site, NewJob(kind="k"))).state is State.DONE


def test_a_kind_nobody_registered_waits(start: Start) -> None:
    """For a newer program; it is not taken and not failed."""
    start(Kind(name="k", handler=lambda *_: None))
    strange = enqueue(start.site, NewJob(kind="strange"))
    settled(start.site, enqueue(start.site, NewJob(kind="k")))
    assert shown(start.site, strange).state is State.READY


class Gauge:
    """How many are inside at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.inside = self.most = self.total = 0

    @contextmanager
    def one(self) -> Iterator[None]:
        """One more."""
        with self._lock:
            self.inside, self.total = self.inside + 1, self.total + 1
            self.most = max(self.most, self.inside)
        yield
        with self._lock:
            self.inside -= 1


def test_a_kind_s_limit_holds_while_others_use_the_threads(start: Start) -> None:
    """One at a time of the limited kind, though four threads are there."""
    limited, free = Gauge(), Gauge()
    pause = threading.Event()

    def handler(gauge: Gauge) -> Kind:
        def handle(*_: object) -> None:
            with gauge.one():
                pause.wait(0.005)

        return Kind(
            name="limited" if gauge is limited else "free",
            handler=handle,
            concurrency=1 if gauge is limited else None,
        )

    for _ in range(20):
        enqueue(start.site, NewJob(kind="limited"))
        enqueue(start.site, NewJob(kind="free"))
    start(handler(limited), handler(free), threads=4)
    until(lambda: states(start.site.storage) == {"done": 40})
    assert (limited.most, limited.total, free.total) == (1, 20, 20)
    assert free.most <= 4


def test_urgent_jobs_overtake(start: Start) -> None:
    """With one thread the order is that of priority, then of age."""
    order: list[str] = []
    gate = threading.Event()

    def handle(_: Site, __: Payload, lease: Lease) -> None:
        order.append(lease.job.subject)
        gate.wait(PATIENCE_S)

    start(Kind(name="k", handler=handle), threads=1)
    enqueue(start.site, NewJob(kind="k", subject="first"))
    until(lambda: order == ["first"])
    for subject, priority in (("low", 200), ("a", 100), ("b", 100), ("high", 10)):
        enqueue(start.site, NewJob(kind="k", subject=subject, priority=Priority(priority)))
    gate.set()
    until(lambda: states(start.site.storage) == {"done": 5})
    assert order == ["first", "high", "a", "b", "low"]


def test_a_long_job_keeps_its_lease(start: Start) -> None:
    """Renewed again and again while others watch; nobody else begins it."""
    fences: list[int] = []
    begun, gate = threading.Event(), threading.Event()

    def handle(_: Site, __: Payload, lease: Lease) -> None:
        fences.append(lease.job.fence)
        begun.set()
        gate.wait(PATIENCE_S)

    kind = Kind(name="k", handler=handle)
    timing = Timing(lease_s=6, renew_s=0.1, first_pause_s=0.01, longest_pause_s=0.05, watch_s=0.05)
    start(kind, timing=timing)
    start(kind, timing=timing)
    job_id = enqueue(start.site, NewJob(kind="k"))
    assert begun.wait(PATIENCE_S)
    ends = set()

    def renewed() -> bool:
        ends.add(shown(start.site, job_id).leased_until)
        return len(ends) > 5

    until(renewed, "renewals")
    gate.set()
    assert settled(start.site, job_id).attempts == 1
    assert fences == [1]


def test_rule_f3_a_stale_worker_writes_nothing(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    """Its job was taken over while it worked: its own end is refused, and `confirm` tells it before."""
    begun, gate = threading.Event(), threading.Event()
    told: list[str] = []

    def handle(site: Site, _: Payload, lease: Lease) -> None:
        if lease.job.fence > 1:
            return
        begun.set()
        gate.wait(PATIENCE_S)
        with site.storage.write() as tx:
            try:
                lease.confirm(tx)
            except LeaseLost as error:
                told.append(str(error))

    start(Kind(name="k", handler=handle))
    job_id = enqueue(start.site, NewJob(kind="k"))
    assert begun.wait(PATIENCE_S)
    change(start.site.storage, job_id, state="ready")  # as when its lease had run out
    until(lambda: shown(start.site, job_id).state is State.DONE)
    gate.set()
    until(lambda: "its lease was lost" in caplog.text)
    assert told == [f"job {job_id}, lease 1"]
    job = shown(start.site, job_id)
    assert (job.state, job.attempts) == (State.DONE, 2)


def test_what_a_handler_writes_under_its_lease_stands(start: Start) -> None:
    """While it holds, `confirm` returns, and what is made in that transaction is there and done."""

    def handle(site: Site, _: Payload, lease: Lease) -> None:
        with site.storage.write() as tx:
            lease.confirm(tx)
            jobs.enqueue(site.storage, tx, site.ids, [NewJob(kind="next")])

    start(Kind(name="k", handler=handle), Kind(name="next", handler=lambda *_: None))
    made = enqueue(start.site, NewJob(kind="k"))
    until(lambda: states(start.site.storage) == {"done": 2})
    assert shown(start.site, made).attempts == 1


def test_rule_f3_a_handler_ends_its_job_with_what_it_writes(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    """In one transaction: what goes wrong afterwards has the job run no second time, and is no lost lease."""
    runs: list[int] = []

    def handle(site: Site, payload: Payload, lease: Lease) -> None:
        runs.append(lease.job.id)
        with site.storage.write() as tx:
            lease.finish(tx, site.storage.now_ms(tx))
            if payload["fails"] == "before" and lease.job.attempts == 1:
                raise RuntimeError("nothing is committed")
        lease.finished = True
        if payload["fails"] == "after":
            raise RuntimeError("too late to matter")

    start(Kind(name="k", handler=handle, retry_after_s=(0.01,)))
    for fails in ("never", "after"):
        job = settled(start.site, enqueue(start.site, NewJob(kind="k", payload={"fails": fails})))
        assert (job.state, job.attempts, job.last_error) == (State.DONE, 1, None)
    again = enqueue(start.site, NewJob(kind="k", payload={"fails": "before"}))
    until(lambda: shown(start.site, again).state is State.DONE)
    assert (shown(start.site, again).attempts, len(runs)) == (2, 4)
    assert "lease was lost" not in caplog.text


def test_rule_f3_a_stale_worker_ends_nothing(start: Start) -> None:
    """Nor does what it writes beside."""
    begun, gate = threading.Event(), threading.Event()
    lost: list[LeaseLost] = []

    def handle(site: Site, _: Payload, lease: Lease) -> None:
        if lease.job.fence > 1:
            return
        begun.set()
        gate.wait(PATIENCE_S)
        try:
            with site.storage.write() as tx:
                jobs.enqueue(site.storage, tx, site.ids, [NewJob(kind="next")])
                lease.finish(tx, site.storage.now_ms(tx))
        except LeaseLost as error:
            lost.append(error)

    start(Kind(name="k", handler=handle))
    job_id = enqueue(start.site, NewJob(kind="k"))
    assert begun.wait(PATIENCE_S)
    change(start.site.storage, job_id, state="ready")  # as when its lease had run out
    until(lambda: shown(start.site, job_id).state is State.DONE)
    gate.set()
    until(lambda: bool(lost))
    assert states(start.site.storage) == {"done": 1}


def test_a_handler_past_its_time_is_told_to_stop(start: Start) -> None:
    """And has failed when it does; one that ends its work all the same has done it."""

    def stops(_: Site, payload: Payload, lease: Lease) -> None:
        assert lease.stopping.wait(PATIENCE_S)
        if payload["stops"]:
            lease.check()

    start(Kind(name="k", handler=stops, timeout_s=0.05))
    stopped = enqueue(start.site, NewJob(kind="k", payload={"stops": True}, max_attempts=1))
    ended = enqueue(start.site, NewJob(kind="k", payload={"stops": False}, max_attempts=1))
    job = settled(start.site, stopped)
    assert (job.state, job.last_error) == (State.DEAD, "stopped after 0.05 seconds")
    assert settled(start.site, ended).state is State.DONE


def test_a_runner_that_stops_gives_back_what_it_has_not_done(start: Start) -> None:
    """What was not begun, and what stops when told; no attempt is counted, and another runner does it all."""
    begun = threading.Event()

    def waits(_: Site, __: Payload, lease: Lease) -> None:
        begun.set()
        lease.stopping.wait(PATIENCE_S)
        lease.check()

    made = [enqueue(start.site, NewJob(kind="k")) for _ in range(3)]
    first = start(Kind(name="k", handler=waits))
    assert begun.wait(PATIENCE_S)
    first.stop(PATIENCE_S)
    assert states(start.site.storage) == {"ready": 3}
    assert {shown(start.site, one).attempts for one in made} == {0}
    start(Kind(name="k", handler=lambda *_: None))
    until(lambda: states(start.site.storage) == {"done": 3})


def test_what_ends_within_the_grace_period_is_done(start: Start) -> None:
    """Stopping waits for it and writes it down."""
    begun = threading.Event()

    def ends(_: Site, __: Payload, lease: Lease) -> None:
        begun.set()
        lease.stopping.wait(PATIENCE_S)

    job_id = enqueue(start.site, NewJob(kind="k"))
    runner = start(Kind(name="k", handler=ends))
    assert begun.wait(PATIENCE_S)
    runner.stop(PATIENCE_S)
    assert shown(start.site, job_id).state is State.DONE


def test_a_handler_that_never_ends_does_not_keep_the_process(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    """Stopping waits for the grace period only; its lease is left to run out."""
    begun, gate = threading.Event(), threading.Event()

    def hangs(*_: object) -> None:
        begun.set()
        gate.wait(PATIENCE_S)

    job_id = enqueue(start.site, NewJob(kind="k"))
    runner = start(Kind(name="k", handler=hangs))
    assert begun.wait(PATIENCE_S)
    runner.stop(0.05)
    assert "their leases run out by themselves" in caplog.text
    assert shown(start.site, job_id).state is State.RUNNING
    gate.set()


def test_quick_jobs_do_not_wait_behind_long_ones(start: Start) -> None:
    """What was leased ahead and finds no thread is given back for others."""
    gate, long_begun = threading.Event(), threading.Semaphore(0)

    def handle(_: Site, payload: Payload, __: Lease) -> None:
        if payload.get("long"):
            long_begun.release()
            gate.wait(PATIENCE_S)

    kind = Kind(name="k", handler=handle)
    start(kind)
    for _ in range(50):
        enqueue(start.site, NewJob(kind="k"))
    until(lambda: states(start.site.storage) == {"done": 50})  # quick so far
    with start.site.storage.write() as tx:
        batch = [NewJob(kind="k", payload={"long": True})] * 2 + [NewJob(kind="k")] * 30
        jobs.enqueue(start.site.storage, tx, start.site.ids, batch)
    for _ in range(2):
        assert long_begun.acquire(timeout=PATIENCE_S)
    until(lambda: states(start.site.storage).get("running") == 2, "giving back")
    start(kind)
    until(lambda: states(start.site.storage)["done"] == 80)
    gate.set()


def test_trap_d4_what_a_vanished_worker_had_is_done_by_another(start: Start) -> None:
    """Its lease runs out by the database's clock, its fence is no good any more."""
    for _ in range(5):
        enqueue(start.site, NewJob(kind="k"))
    asked = queries.Claim(kinds={"k": 5}, limit=5, worker="gone:1", lease_ms=200)
    with start.site.storage.write() as tx:
        lost = queries.claim(start.site.storage, tx, asked, start.site.storage.now_ms(tx))
    start(Kind(name="k", handler=lambda *_: None), timing=SHORT)
    until(lambda: states(start.site.storage) == {"done": 5})
    assert {shown(start.site, str(int(one.id))).attempts for one in lost} == {2}


def test_what_an_ended_worker_had_is_done_at_once_and_nobody_else_s(start: Start) -> None:
    """Whoever saw its process end need not wait for its leases; an attempt is counted all the same."""
    made = [enqueue(start.site, NewJob(kind="k", max_attempts=2)) for _ in range(3)]
    change(start.site.storage, made[0], attempts=4)  # its last one began: two, and three for processes
    with start.site.storage.write() as tx:
        for worker, limit in (("ended:1", 2), ("alive:1", 1)):
            asked = queries.Claim(kinds={"k": limit}, limit=limit, worker=worker, lease_ms=14_400_000)
            queries.claim(start.site.storage, tx, asked, start.site.storage.now_ms(tx))
    timing = Timing(lease_s=14_400, renew_s=14_400, first_pause_s=0.005, longest_pause_s=0.02, watch_s=0.02)
    start(Kind(name="k", handler=lambda *_: None), timing=timing, ended="ended:1")
    spent, innocent = settled(start.site, made[0]), settled(start.site, made[1])
    assert (spent.state, spent.last_error) == (State.DEAD, "the worker ended:1 died")
    assert (innocent.state, innocent.attempts) == (State.DONE, 2)
    alive = shown(start.site, made[2])
    assert (alive.state, alive.worker) == (State.RUNNING, "alive:1")


def test_jobs_left_alone_while_the_database_is_away_go_on(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said once that they wait, and once that they run again."""
    caplog.set_level("INFO", logger="mairust.jobs")
    away = threading.Event()

    class Flaky(type(start.site.storage)):  # type: ignore[misc]  # the backend under test, with outages
        @contextmanager
        def write(self) -> Iterator[Connection]:
            if away.is_set():
                raise StorageDown("open", url="u", why="away")
            with super().write() as tx:
                yield tx

    broken = Site(start.site.settings, Flaky(start.site.storage.url))
    runner = Runner(broken, [Kind(name="k", handler=lambda *_: None)], threads=2, timing=BRISK)
    runner.start()
    away.set()
    enqueue(start.site, NewJob(kind="k"))
    until(lambda: "jobs wait" in caplog.text)
    away.clear()
    until(lambda: states(start.site.storage) == {"done": 1})
    runner.stop(PATIENCE_S)
    broken.close()
    assert caplog.text.count("jobs wait") == 1
    assert "jobs are run again" in caplog.text


def test_an_idle_runner_only_looks(start: Start) -> None:
    """Once it has begun it writes nothing, and each look is one short transaction."""
    reads, writes = [0], [0]

    class Counted(type(start.site.storage)):  # type: ignore[misc]  # the backend under test, counted
        @contextmanager
        def read(self) -> Iterator[Connection]:
            reads[0] += 1
            with super().read() as tx:
                yield tx

        @contextmanager
        def write(self) -> Iterator[Connection]:
            writes[0] += 1
            with super().write() as tx:
                yield tx

    site = Site(start.site.settings, Counted(start.site.storage.url))
    assert site.ids
    enqueue(start.site, NewJob(kind="k", run_at_ms=4_000_000_000_000))
    before = writes[0]
    runner = Runner(site, [Kind(name="k", handler=lambda *_: None)], threads=2, timing=BRISK)
    runner.start()
    until(lambda: reads[0] > 50)
    runner.stop(PATIENCE_S)
    assert writes[0] == before
    site.close()


def test_interrupted_is_for_handlers(start: Start) -> None:
    """One that raises it without being asked gives its job back, and may have it again."""
    seen: list[int] = []

    def handle(_: Site, __: Payload, lease: Lease) -> None:
        seen.append(lease.job.attempts)
        if len(seen) < 3:
            raise Interrupted

    start(Kind(name="k", handler=handle))
    assert settled(start.site, enqueue(start.site, NewJob(kind="k"))).attempts == 1
    assert seen == [1, 1, 1]
