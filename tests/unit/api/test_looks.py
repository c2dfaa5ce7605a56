"""A look at what may not answer: one thread, however many ask and however long it takes."""

from __future__ import annotations

import asyncio
import gc
import threading
from typing import Any

import pytest

from mairust_core.api.looks import Look
from mairust_core.errors import StorageDown


async def test_one_look_is_for_all_who_ask_meanwhile() -> None:
    """Who asks after it has one of its own."""
    looks: list[int] = []
    go_on = threading.Event()

    def look() -> int:
        go_on.wait(30)
        looks.append(len(looks))
        return len(looks)

    looking = Look(look)
    asked = [asyncio.create_task(looking.now()) for _ in range(5)]
    await asyncio.sleep(0)
    go_on.set()
    assert await asyncio.gather(*asked) == [1] * 5
    assert await looking.now() == 2


async def test_a_look_that_takes_too_long_is_given_up_and_not_repeated_beside_it() -> None:
    """Each who asks waits for a while; nobody takes a second thread."""
    begun: list[int] = []
    go_on = threading.Event()

    def look() -> None:
        begun.append(1)
        go_on.wait(30)

    looking = Look(look, patience_s=0.05)
    for _ in range(3):
        with pytest.raises(TimeoutError):
            await looking.now()
    assert len(begun) == 1
    go_on.set()


async def test_what_a_look_raises_is_raised_and_the_next_one_looks_again() -> None:
    """As often as it is asked."""
    count = 0

    def look() -> None:
        nonlocal count
        count += 1
        raise StorageDown("open", url="sqlite", why="gone")

    looking = Look(look)
    for wanted in (1, 2):
        with pytest.raises(StorageDown):
            await looking.now()
        assert count == wanted


async def test_what_a_look_raises_when_nobody_waits_any_more_is_no_error_of_the_loop() -> None:
    """The loop hears of it only when the look is forgotten, so it is."""
    heard: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: heard.append(context))
    go_on, done = threading.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def look() -> None:
        go_on.wait(30)
        loop.call_soon_threadsafe(done.set)
        raise StorageDown("open", url="sqlite", why="gone")

    looking = Look(look, patience_s=0.01)
    with pytest.raises(TimeoutError):
        await looking.now()
    assert looking._looking is not None
    ended = asyncio.Event()
    looking._looking.add_done_callback(lambda _: ended.set())
    go_on.set()
    await asyncio.wait_for(done.wait(), 30)
    await asyncio.wait_for(ended.wait(), 30)
    del looking
    gc.collect()
    assert heard == []
