"""Plugins of ours that run in this process, on a thread of their own, told no more than any other (G6).

A function of the request, a dict, that returns the answer. It cannot be stopped: when its time is over the
mail goes on without it, and beyond `THREADS` that do not return nothing more is begun.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Mapping
from typing import Any

from mairust_core.hooks.transport import MAX_ANSWER_BYTES, Answer, Call, CallFailed, CallTimedOut

THREADS = 8
Function = Callable[[dict[str, Any]], Mapping[str, Any]]


class InProcess:
    """One plugin's function; calls run on daemon threads, at most `THREADS` at a time."""

    def __init__(self, function: Function) -> None:
        self._function = function
        self._free = asyncio.Semaphore(THREADS)

    async def call(self, call: Call) -> Answer:
        """Ask once; waiting for a thread counts (rule E4)."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[bytes] = loop.create_future()
        try:
            async with asyncio.timeout(call.timeout_ms / 1000):
                await self._free.acquire()
                threading.Thread(target=self._run, args=(call, loop, future), daemon=True).start()
                body = await asyncio.shield(future)
        except TimeoutError:
            future.add_done_callback(_heard)
            raise CallTimedOut(f"no answer within {call.timeout_ms} ms") from None
        if len(body) > MAX_ANSWER_BYTES:
            raise CallFailed(f"the answer is larger than {MAX_ANSWER_BYTES} bytes")
        return Answer(body=body)

    def _run(self, call: Call, loop: asyncio.AbstractEventLoop, future: asyncio.Future[bytes]) -> None:
        outcome: bytes | CallFailed
        try:
            outcome = json.dumps(self._function(json.loads(call.body)), allow_nan=False).encode()
        except Exception as error:  # whatever our own code raises is the hook's failure, not the mail's
            outcome = CallFailed(f"it failed: {type(error).__name__}")
            outcome.__cause__ = error
        try:
            loop.call_soon_threadsafe(self._tell, future, outcome)
        except RuntimeError:
            return  # the loop is closed: nobody waits any more

    def _tell(self, future: asyncio.Future[bytes], outcome: bytes | CallFailed) -> None:
        self._free.release()
        if future.done():
            return
        if isinstance(outcome, CallFailed):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)

    async def close(self) -> None:
        """Nothing is held but threads that end by themselves."""


def _heard(future: asyncio.Future[bytes]) -> None:
    """Look at a late outcome, so that nobody warns of an exception that was never seen."""
    if not future.cancelled():
        future.exception()
