"""For how long jobs wait is told by the clock of the database, by which they are due (rule F3)."""

from __future__ import annotations

import pytest

from mairust_core.api.site_metrics import of_database
from mairust_core.app import Site
from mairust_core.ids import now_ms
from mairust_core.model.job import NewJob, State
from tests.support.clocks import Clock
from tests.support.jobs import change, enqueue
from tests.support.stores import Kit

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


@pytest.fixture(params=[-10 * DAY_MS, 0, 10 * DAY_MS], ids=["behind", "right", "ahead"])
def there_ms(request: pytest.FixtureRequest, kit: Kit) -> int:
    """The database's time when a test begins: before that of this process, the same, behind it."""
    Clock(kit).shift(request.param)
    return now_ms() + int(request.param)


def wait(site: Site, *due_ms: int) -> list[str]:
    """Jobs that nobody does, due at these moments; their ids as commands take them."""
    return [enqueue(site, NewJob(kind="k", run_at_ms=at)) for at in due_ms]


def late_s(site: Site) -> float:
    """What a monitor is told."""
    with site.storage.read() as tx:
        [found] = [one for one in of_database(site, tx) if one.name == "mairust_jobs_oldest_due_seconds"]
    [(_, value)] = found.samples
    return value


def test_the_oldest_job_that_is_due_is_as_old_as_the_database_says(jobs_site: Site, there_ms: int) -> None:
    """Neither the newest one nor one whose time has not come."""
    wait(jobs_site, there_ms - HOUR_MS, there_ms - 3 * HOUR_MS, there_ms + HOUR_MS)
    assert 3 * 3600 <= late_s(jobs_site) < 4 * 3600


def test_without_a_job_that_is_due_nothing_is_late(jobs_site: Site, there_ms: int) -> None:
    """None at all, and one that comes later by the database's clock."""
    assert late_s(jobs_site) == 0
    wait(jobs_site, there_ms + HOUR_MS)
    assert late_s(jobs_site) == 0


def test_jobs_that_wait_for_nobody_are_not_late(jobs_site: Site, there_ms: int) -> None:
    """Those that are held, running, given up or done, however old."""
    made = wait(jobs_site, *[there_ms - HOUR_MS] * 4)
    for one, state in zip(made, (State.HELD, State.RUNNING, State.DEAD, State.DONE), strict=True):
        change(jobs_site.storage, one, state=state.value)
    assert late_s(jobs_site) == 0
