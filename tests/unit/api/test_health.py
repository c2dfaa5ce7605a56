"""Whether a node is ready: looked at once a second, by whoever asks first, and nobody waits for another."""

from __future__ import annotations

import asyncio
import logging
import threading

import pytest

from mairust_core.api.health import REMEMBERED_S, Readiness
from mairust_core.errors import StorageDown

ASKERS = 5


class Hanging:
    """A database that hangs for longer than an answer is remembered, by a clock of its own."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.looks = 0
        self.go_on = threading.Event()

    def clock(self) -> float:
        """What time it is."""
        return self.now_s

    def look(self) -> None:
        """Wait until the test goes on; by then it is late."""
        self.looks += 1
        self.go_on.wait(30)
        self.now_s += 3 * REMEMBERED_S
        raise StorageDown("open", url="sqlite", why="gone")


async def test_who_asks_together_waits_for_one_look() -> None:
    """None begins when another has ended."""
    database = Hanging()
    readiness = Readiness(database.look, clock=database.clock)
    asked = [asyncio.create_task(readiness.now()) for _ in range(ASKERS)]
    await asyncio.sleep(0)
    database.go_on.set()
    assert await asyncio.gather(*asked) == [False] * ASKERS
    assert database.looks == 1


async def test_who_asks_after_a_look_that_took_long_is_told_what_it_found() -> None:
    """An answer is as old as its end, not as its beginning; a second later one looks again."""
    database = Hanging()
    database.go_on.set()
    readiness = Readiness(database.look, clock=database.clock)
    assert [await readiness.now() for _ in range(ASKERS)] == [False] * ASKERS
    assert database.looks == 1
    database.now_s += REMEMBERED_S
    assert not await readiness.now()
    assert database.looks == 1
    database.now_s += 0.001
    assert not await readiness.now()
    assert database.looks == 2


async def test_an_error_without_words_is_told_in_ours(caplog: pytest.LogCaptureFixture) -> None:
    """A look that took too long says nothing by itself."""

    def look() -> None:
        raise TimeoutError

    with caplog.at_level(logging.WARNING):
        assert not await Readiness(look).now()
    assert "not ready: the database does not answer" in caplog.text
