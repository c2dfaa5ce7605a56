"""Schedules on both databases: one job for each time that comes, whoever is first."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest

from mairust_core.app import Site
from mairust_core.ids import now_ms, to_ms
from mairust_core.jobs import Kind, Schedule
from mairust_core.jobs.schedules import Calendar, next_ms
from mairust_core.model.job import NewJob
from mairust_core.store import jobs
from mairust_core.store import schedules as queries
from tests.contract.jobs.conftest import Start, until
from tests.support.clocks import Clock
from tests.support.jobs import change, states
from tests.support.stores import Kit

MINUTELY = Schedule(name="minutely", cron="* * * * *", kind="k")
MINUTE_MS, HOUR_MS = 60_000, 3_600_000
BEGIN_MS = now_ms() // HOUR_MS * HOUR_MS + MINUTE_MS // 2


@pytest.fixture
def clock(kit: Kit) -> Clock:
    """The database's clock, half a minute past a full hour, whatever the true time."""
    made = Clock(kit)
    shift(made, 0)
    return made


def calendar(site: Site, *schedules: Schedule) -> Calendar:
    """A process's view of its schedules, written down."""
    made = Calendar(site.storage, site.ids, schedules or (MINUTELY,))
    made.write_down()
    return made


def shift(clock: Clock, minutes: float) -> None:
    """Half a minute past the hour, and so many minutes."""
    clock.set(BEGIN_MS + round(minutes * MINUTE_MS))


def next_of(site: Site) -> int:
    """When the schedule is due."""
    with site.storage.read() as tx:
        return queries.all_of(tx)["minutely"].next_ms


def test_nothing_is_made_before_its_time(jobs_site: Site, clock: Clock) -> None:
    """Then one job, with the schedule's name."""
    mine = calendar(jobs_site)
    assert mine.look() == 0
    shift(clock, 1)
    assert mine.look() == 1
    assert mine.look() == 0
    assert states(jobs_site.storage) == {"ready": 1}


def test_many_processes_make_one_job_for_each_time(jobs_site: Site, clock: Clock) -> None:
    """All look at once, time after time, and finish it in between."""
    calendars = [calendar(jobs_site) for _ in range(6)]
    made: list[int] = []
    for minute in range(1, 6):
        shift(clock, minute)
        barrier = threading.Barrier(len(calendars))

        def look(one: Calendar, barrier: threading.Barrier = barrier) -> None:
            barrier.wait()
            made.append(one.look())

        threads = [threading.Thread(target=look, args=(one,)) for one in calendars]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sum(made) == minute
        finish(jobs_site)
    assert states(jobs_site.storage) == {"done": 5}


def finish(site: Site) -> None:
    """Let every job be done."""
    with site.storage.write() as tx:
        site.storage.execute_many(
            tx, "UPDATE job SET state = 'done', finished_ms = ? WHERE state = 'ready'", [(1,)]
        )


def test_a_process_that_was_slow_makes_no_second_job(jobs_site: Site, clock: Clock) -> None:
    """It saw that the time had come, and when it acts another one's job for that time is done already."""
    mine = calendar(jobs_site)
    shift(clock, 1)
    with jobs_site.storage.read() as tx:
        seen = queries.all_of(tx)["minutely"]
    assert mine.look() == 1
    finish(jobs_site)
    with jobs_site.storage.write() as tx:
        assert not queries.advance(tx, seen, seen.next_ms + MINUTE_MS, seen.next_ms)
    assert mine.look() == 0


def test_missed_times_are_made_up_for_by_one_job(jobs_site: Site, clock: Clock) -> None:
    """Nobody was there for half an hour; the next time lies ahead."""
    mine = calendar(jobs_site)
    shift(clock, 31)
    assert mine.look() == 1
    assert mine.look() == 0
    with jobs_site.storage.read() as tx:
        assert next_of(jobs_site) > jobs_site.storage.now_ms(tx)


def test_a_time_that_comes_while_the_job_before_is_not_finished_is_left_out(
    jobs_site: Site, kit: Kit, clock: Clock
) -> None:
    """Running, waiting and held ones count; a dead one does not stand in the way."""
    mine = calendar(jobs_site)
    shift(clock, 1)
    assert mine.look() == 1
    [(job_id,)] = kit.rows("SELECT id FROM job")
    for minute, state in ((2, "ready"), (3, "running"), (4, "held")):
        change(kit.storage, str(job_id), state=state)
        shift(clock, minute)
        assert mine.look() == 0
    change(kit.storage, str(job_id), state="dead", finished_ms=1)
    shift(clock, 5)
    assert mine.look() == 1


def test_a_clock_that_went_back_does_not_stop_a_schedule(jobs_site: Site, clock: Clock) -> None:
    """It follows the clock at once, without making a job twice for it."""
    mine = calendar(jobs_site)
    shift(clock, 50)
    assert mine.look() == 1
    finish(jobs_site)
    before = next_of(jobs_site)
    shift(clock, 10)
    assert mine.look() == 0
    assert next_of(jobs_site) == before - 40 * MINUTE_MS
    assert states(jobs_site.storage) == {"done": 1}
    shift(clock, 11)
    assert mine.look() == 1


def test_a_new_expression_is_in_force_from_the_next_start(jobs_site: Site, clock: Clock) -> None:
    """And what only a newer program knows stays as it is."""
    calendar(jobs_site, MINUTELY, Schedule(name="newer", cron="0 0 1 1 *", kind="n"))
    changed = Schedule(name="minutely", cron="0 3 * * *", kind="k")
    mine = calendar(jobs_site, changed)
    with jobs_site.storage.read() as tx:
        known, now = queries.all_of(tx), jobs_site.storage.now_ms(tx)
    assert known["minutely"].next_ms == next_ms("0 3 * * *", now)
    assert known["newer"].cron == "0 0 1 1 *"
    shift(clock, 400 * 24 * 60)
    assert mine.look() == 1
    assert states(jobs_site.storage) == {"ready": 1}


def test_a_runner_does_what_is_scheduled(start: Start, clock: Clock) -> None:
    """Through the queue like everything else, with the payload empty."""
    runs: list[tuple[dict[str, object], str]] = []
    kind = Kind(name="k", handler=lambda _, payload, lease: runs.append((dict(payload), lease.job.subject)))
    start(kind, schedules=[MINUTELY])
    until(lambda: bool(next_or_none(start.site)))
    shift(clock, 1)
    until(lambda: states(start.site.storage) == {"done": 1})
    assert runs == [({}, "schedule minutely")]


def next_or_none(site: Site) -> int | None:
    """When the schedule is due, once it is written down."""
    with site.storage.read() as tx:
        found = queries.all_of(tx).get("minutely")
    return None if found is None else found.next_ms


def test_a_clock_set_back_a_year_stops_no_job(start: Start, clock: Clock) -> None:
    """Neither those that wait nor those that fail and wait for their next attempt."""
    seen: list[int] = []

    def once_more(_: object, __: object, lease: object) -> None:
        seen.append(1)
        if len(seen) == 1:
            raise ValueError

    start(Kind(name="k", handler=once_more, retry_after_s=(0.05,)))
    year = 365 * 24 * 60
    with start.site.storage.write() as tx:
        delayed = start.site.storage.now_ms(tx) + 1500
        jobs.enqueue(start.site.storage, tx, start.site.ids, [NewJob(kind="k", run_at_ms=delayed)])
    shift(clock, -year)
    until(lambda: states(start.site.storage) == {"done": 1})
    assert len(seen) == 2


def test_the_moment_is_that_of_the_database(jobs_site: Site, clock: Clock) -> None:
    """Not of this machine: here they differ."""
    shift(clock, 60 * 24 * 365)
    with jobs_site.storage.read() as tx:
        now = jobs_site.storage.now_ms(tx)
    assert datetime.fromtimestamp(now / 1000, UTC).year > datetime.now(UTC).year
    assert now > to_ms(datetime.now(UTC))
