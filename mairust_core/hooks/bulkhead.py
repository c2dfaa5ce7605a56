"""How many calls of one hook there may be at a time: what hangs holds no more than that (rule E4)."""

from __future__ import annotations

import asyncio
from collections import deque


class Bulkhead:
    """The places of one hook, given in the order in which they are asked for; belongs to one event loop."""

    def __init__(self, places: int) -> None:
        self._free = places
        self._waiting: deque[asyncio.Future[bool]] = deque()

    async def take(self, within_s: float) -> bool:
        """Take a place; False when none became free in time."""
        if self._free:
            self._free -= 1
            return True
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[bool] = loop.create_future()
        self._waiting.append(turn)
        timer = loop.call_later(within_s, self._too_late, turn)
        try:
            return await turn
        except asyncio.CancelledError:
            if not turn.cancelled() and turn.result():  # it had become ours meanwhile
                self.give_back()
            elif turn in self._waiting:  # `give_back` may have passed over it already
                self._waiting.remove(turn)
            raise
        finally:
            timer.cancel()

    def _too_late(self, turn: asyncio.Future[bool]) -> None:
        if not turn.done():
            self._waiting.remove(turn)
            turn.set_result(False)

    def give_back(self) -> None:
        """Let another have the place."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(True)
                return
        self._free += 1
