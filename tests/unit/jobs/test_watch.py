"""When a job is taken from a worker that died, whatever the clocks do."""

from __future__ import annotations

from mairust_core.jobs.watch import Watch
from mairust_core.model.ids import Id
from mairust_core.model.job import Held

LEASE_MS = 30_000
NOW = 1_800_000_000_000


def held(until_ms: int, fence: int = 1, job_id: int = 1) -> Held:
    """A lease of somebody else's."""
    return Held(
        id=Id(job_id), fence=fence, leased_until_ms=until_ms, attempts=1, max_attempts=4, worker="w:1"
    )


def watch() -> Watch:
    """A watch over leases of 30 s that are renewed every 10."""
    return Watch(LEASE_MS, 10.0)


def test_trap_d4_a_lease_that_is_over_is_overdue() -> None:
    """As soon as the database's clock says so, when it was watched until then."""
    one, now = held(NOW + 20_000), watch()
    assert now.look([one], NOW, 0.0).overdue == []
    assert now.look([one], NOW + 20_000, 20.0).overdue == []
    assert now.look([one], NOW + 20_001, 20.001).overdue == [one]


def test_a_renewed_lease_is_another_one() -> None:
    """Watching begins anew with each renewal, and with each fence."""
    now = watch()
    for second in range(0, 200, 10):
        renewed = held(NOW + second * 1000 + LEASE_MS)
        seen = now.look([renewed], NOW + second * 1000, float(second))
        assert (seen.overdue, seen.beyond) == ([], [])


def test_a_clock_that_leaps_ahead_ends_no_lease_that_is_renewed() -> None:
    """By the clock all are over; their holders get the time of one and a half renewals to show up."""
    now, leap = watch(), 86_400_000
    alive, dead = held(NOW + LEASE_MS, job_id=1), held(NOW + LEASE_MS, job_id=2)
    now.look([alive, dead], NOW, 0.0)
    assert now.look([alive, dead], NOW + leap, 5.0).overdue == []
    renewed = held(NOW + leap + 5_000 + LEASE_MS, job_id=1)
    assert now.look([renewed, dead], NOW + leap + 11_000, 16.0).overdue == [dead]


def test_a_clock_that_went_back_keeps_no_lease_for_ever() -> None:
    """What ends later than any lease given now is to be shortened, not ended: its holder may live."""
    one, now = held(NOW + LEASE_MS), watch()
    seen = now.look([one], NOW - 86_400_000, 0.0)
    assert (seen.overdue, seen.beyond) == ([], [one])
    shortened = held(NOW - 86_400_000 + LEASE_MS)
    assert now.look([shortened], NOW - 86_400_000 + LEASE_MS + 1, 30.0).overdue == []
    assert now.look([shortened], NOW - 86_400_000 + LEASE_MS + 20_000, 50.0).overdue == [shortened]


def test_the_first_look_of_a_process_takes_nothing() -> None:
    """Not even what seems to be over for hours: it has not watched yet."""
    one, now = held(NOW - 3_600_000), watch()
    assert now.look([one], NOW, 100.0).overdue == []
    assert now.look([one], NOW, 115.0).overdue == []
    assert now.look([one], NOW, 115.1).overdue == [one]


def test_what_ended_is_forgotten() -> None:
    """A job that comes back under the same lease, as after a restore, is watched anew."""
    one, now = held(NOW - 1), watch()
    now.look([one], NOW, 0.0)
    now.look([], NOW, 10.0)
    assert now.look([one], NOW, 20.0).overdue == []
