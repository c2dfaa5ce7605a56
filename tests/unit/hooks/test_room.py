"""Memory for requests: reserved before it is used, waited for in turn, and never a reason to refuse."""

from __future__ import annotations

import asyncio

import pytest

from mairust_core.hooks.room import FREE_BYTES, USUAL_BYTES, Room, Rooms


async def _settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_who_finds_no_room_waits_in_turn() -> None:
    """A small one behind a large one does not pass it, so that the large one has its turn at last."""
    room, order = Room(10), []
    assert await room.take(6) == 6

    async def wait(name: str, size: int) -> None:
        taken = await room.take(size)
        order.append((name, taken))

    waiting = [asyncio.create_task(wait("all of it", 99)), asyncio.create_task(wait("small", 1))]
    await _settled()
    assert order == []
    room.give_back(6)
    await _settled()
    assert order == [("all of it", 10)]
    room.give_back(10)
    await asyncio.gather(*waiting)
    assert order == [("all of it", 10), ("small", 1)]


async def test_who_gives_up_leaves_nothing_behind() -> None:
    """Neither in the queue nor taken, also when its turn came in the same moment."""
    room = Room(10)
    await room.take(10)
    first, second = asyncio.create_task(room.take(8)), asyncio.create_task(room.take(8))
    await _settled()
    first.cancel()
    await _settled()
    room.give_back(10)  # the second one's turn comes, and it is cancelled before it runs
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    async with asyncio.timeout(5):
        assert await room.take(10) == 10


async def test_little_needs_no_room_and_large_requests_have_a_lane_of_their_own() -> None:
    """However full it is."""
    rooms = Rooms(usual_bytes=USUAL_BYTES, large_bytes=USUAL_BYTES + 1)
    soon = asyncio.get_running_loop().time()
    async with rooms.held(USUAL_BYTES + 1), rooms.held(FREE_BYTES + 1), rooms.held(FREE_BYTES, soon):
        with pytest.raises(TimeoutError):
            async with rooms.held(USUAL_BYTES + 1, soon):
                pass
        with pytest.raises(TimeoutError):
            async with rooms.held(USUAL_BYTES, soon):
                pass
    async with rooms.held(USUAL_BYTES + 1, soon + 5), rooms.held(USUAL_BYTES, soon + 5):
        pass
