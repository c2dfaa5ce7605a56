"""A look at something that may not answer: on a thread, by one at a time, and with patience."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

PATIENCE_S = 3.0

T = TypeVar("T")


class Look(Generic[T]):
    """However many ask, one thread looks; who comes meanwhile is told the same. For one event loop."""

    def __init__(self, look: Callable[[], T], patience_s: float = PATIENCE_S) -> None:
        self._look = look
        self._patience_s = patience_s
        self._looking: asyncio.Future[T] | None = None

    async def now(self) -> T:
        """What is seen; raises what the look raises, and `TimeoutError` when it takes too long."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.ensure_future(asyncio.to_thread(self._look))
            self._looking.add_done_callback(_noticed)
        async with asyncio.timeout(self._patience_s):
            return await asyncio.shield(self._looking)


def _noticed(looking: asyncio.Future[T]) -> None:
    """Perhaps nobody waits any more for what it raised."""
    if not looking.cancelled():
        looking.exception()
