"""What an outcome means for its job."""

from __future__ import annotations

import random

import pytest

from mairust_core.errors import StorageDown
from mairust_core.jobs import Kind
from mairust_core.jobs.lease import Lease
from mairust_core.jobs.retries import (
    MAX_ERROR_LENGTH,
    Outcome,
    delay_ms,
    longest_delay_ms,
    one_line,
    settlement,
)
from mairust_core.model.ids import Id
from mairust_core.model.job import Leased, State

KIND = Kind(name="k", handler=lambda *_: None, retry_after_s=(30, 120, 600))


def lease(attempts: int = 1, max_attempts: int = 4) -> Lease:
    """A lease of a job on its so many-th attempt."""
    return Lease(
        Leased(
            id=Id(1), kind="k", subject="", payload={}, attempts=attempts, max_attempts=max_attempts, fence=1
        )
    )


def test_what_returned_is_done() -> None:
    """Whatever came before."""
    ruling = settlement(Outcome(lease=lease(4)), KIND, random.Random())
    assert (ruling.state, ruling.error, ruling.counted) == (State.DONE, None, True)


def test_failures_wait_longer_each_time_and_the_last_one_is_dead() -> None:
    """30 s, 2 min, 10 min, each give or take a tenth by chance."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    rulings = [settlement(Outcome(lease=lease(n), error="E"), KIND, chance) for n in (1, 2, 3, 4)]
    assert [one.state for one in rulings] == [State.READY, State.READY, State.READY, State.DEAD]
    for ruling, pause_s in zip(rulings, (30, 120, 600), strict=False):
        assert 900 * pause_s <= ruling.delay_ms <= 1100 * pause_s
    assert {one.error for one in rulings} == {"E"}


def test_chance_spreads_what_failed_together() -> None:
    """The same seed gives the same pauses, and they differ among themselves."""
    first, second = random.Random(7), random.Random(7)
    pauses = [delay_ms(KIND, 1, first) for _ in range(20)]
    assert pauses == [delay_ms(KIND, 1, second) for _ in range(20)]
    assert len(set(pauses)) > 10
    assert max(pauses) <= longest_delay_ms([KIND])


def test_more_attempts_than_pauses_take_the_last_one() -> None:
    """And a kind without any is tried again at once."""
    assert delay_ms(KIND, 99, random.Random()) >= 540_000
    assert delay_ms(Kind(name="n", handler=KIND.handler, retry_after_s=()), 3, random.Random()) == 0


def test_what_is_given_back_was_no_attempt() -> None:
    """Unless it stopped because its time was over: that is a failure."""
    given = lease()
    ruling = settlement(Outcome(lease=given, returned=True), KIND, random.Random())
    assert (ruling.state, ruling.counted, ruling.delay_ms) == (State.READY, False, 0)
    given.time_out()
    slow = Kind(name="k", handler=KIND.handler, timeout_s=2.5)
    late = settlement(Outcome(lease=given, returned=True), slow, random.Random())
    assert (late.state, late.counted, late.error) == (State.READY, True, "stopped after 2.5 seconds")
    assert late.delay_ms > 0


@pytest.mark.parametrize(
    ("error", "kept"),
    [
        (StorageDown("open", url="u", why="w"), "storage_down: The database u cannot be opened: w."),
        (ValueError("password=hunter2"), "ValueError at test_retries.py:"),
        (ConnectionRefusedError(111, "Connection refused"), "ConnectionRefusedError: Connection refused at"),
        (KeyError("Subject: private\nmail"), "KeyError at test_retries.py:"),
    ],
)
def test_trap_a3_of_an_error_no_foreign_text_is_kept(error: Exception, kept: str) -> None:
    """One line: our own words, or the class and the place."""
    try:
        raise error
    except Exception as caught:
        line = one_line(caught)
    assert line.startswith(kept)
    assert "\n" not in line
    assert "hunter2" not in line
    assert "private" not in line


def test_a_long_error_is_cut() -> None:
    """A log is no place for novels."""
    assert len(one_line(StorageDown("open", url="u" * 5000, why="w"))) == MAX_ERROR_LENGTH
