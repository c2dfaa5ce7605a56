"""Memory for requests, reserved before they are made: who finds no room waits for it, in turn.

Nobody is refused because others hold it. A request of usual size goes beside the large ones, on a lane of its
own, so that one large mail with a slow plugin makes only large mail wait.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

FREE_BYTES = 1 << 20
"""So little needs no room."""
USUAL_BYTES = 32 << 20
"""More than this is large."""
USUAL_ROOM_BYTES = 128 << 20
LARGE_ROOM_BYTES = 256 << 20


class Room:
    """Some bytes that may be held at once; belongs to one event loop."""

    def __init__(self, most_bytes: int) -> None:
        self._free = self._most = most_bytes
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def take(self, size_bytes: int) -> int:
        """Wait until so much is free, or all of it for what is larger; how much is now the caller's."""
        wanted = min(size_bytes, self._most)
        if not self._waiting and wanted <= self._free:
            self._free -= wanted
            return wanted
        mine = (wanted, asyncio.get_running_loop().create_future())
        self._waiting.append(mine)
        try:
            await mine[1]
        except asyncio.CancelledError:
            if mine in self._waiting:
                self._waiting.remove(mine)
                self._serve()
            else:  # it had become ours meanwhile
                self.give_back(wanted)
            raise
        return wanted

    def give_back(self, taken_bytes: int) -> None:
        """Let others have it."""
        self._free += taken_bytes
        self._serve()

    def _serve(self) -> None:
        while self._waiting and self._waiting[0][0] <= self._free:
            wanted, turn = self._waiting.popleft()
            self._free -= wanted
            turn.set_result(None)


class Rooms:
    """The lanes of one kind of calls; belongs to one event loop."""

    def __init__(self, usual_bytes: int = USUAL_ROOM_BYTES, large_bytes: int = LARGE_ROOM_BYTES) -> None:
        self._usual = Room(usual_bytes)
        self._large = Room(large_bytes)

    @asynccontextmanager
    async def held(self, size_bytes: int, until: float | None = None) -> AsyncIterator[None]:
        """Hold so much for the block; raises `TimeoutError` when there is none by `until`, loop time."""
        if size_bytes <= FREE_BYTES:
            yield
            return
        room = self._usual if size_bytes <= USUAL_BYTES else self._large
        async with asyncio.timeout_at(until):
            taken = await room.take(size_bytes)
        try:
            yield
        finally:
            room.give_back(taken)
