"""Cron expressions: five fields, in UTC."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from cronsim import CronSimError

from mairust_core.chores import KINDS, SCHEDULES
from mairust_core.ids import to_ms
from mairust_core.jobs.schedules import next_ms


def ms(text: str) -> int:
    """Milliseconds of a time in UTC."""
    return to_ms(datetime.fromisoformat(text).replace(tzinfo=UTC))


@pytest.mark.parametrize(
    ("cron", "after", "due"),
    [
        ("17 * * * *", "2026-11-25 22:17:00", "2026-11-25 23:17:00"),
        ("17 * * * *", "2026-11-25 22:16:59.999", "2026-11-25 22:17:00"),
        ("0 3 * * *", "2026-12-31 03:00:00.001", "2027-01-01 03:00:00"),
        ("*/15 8-9 * * 1-5", "2026-11-27 09:50:00", "2026-11-30 08:00:00"),
        ("0 0 29 2 *", "2026-11-25 00:00:00", "2028-02-29 00:00:00"),
        ("30 2 * * *", "2026-03-29 00:00:00", "2026-03-29 02:30:00"),  # no such time in Berlin, one in UTC
    ],
)
def test_the_next_time_lies_after_the_moment(cron: str, after: str, due: str) -> None:
    """Never at it, so that no time comes twice."""
    assert next_ms(cron, ms(after)) == ms(due)


@pytest.mark.parametrize("cron", ["", "* * * *", "61 * * * *", "x * * * *", "0 0 31 2 *"])
def test_what_is_no_expression_is_refused(cron: str) -> None:
    """When the schedule is written down, not when it is due."""
    with pytest.raises(CronSimError):
        next_ms(cron, ms("2026-11-25 00:00:00"))


def test_the_built_in_schedules_are_sound() -> None:
    """Each names a kind there is, and comes again within the day."""
    kinds = {kind.name for kind in KINDS}
    now = ms("2026-11-25 12:00:00")
    assert {one.name for one in SCHEDULES} == {"gc", "jobs.purge", "plugins.health"}
    for one in SCHEDULES:
        assert one.kind in kinds
        assert now < next_ms(one.cron, now) <= now + 86_400_000
