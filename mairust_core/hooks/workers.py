"""Worker processes of one plugin: long-lived, asked one line at a time, replaced before they can go bad."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

from mairust_core.hooks.processes import Starter, answered, limit_ms, noted, timed_out
from mairust_core.hooks.transport import Alive, Answer, Call, CallFailed
from mairust_core.model.plugin import Runnable
from mairust_core.sandbox.confinement import Confinement
from mairust_core.sandbox.process import Process

SIZE = 6
"""Processes of one plugin on one node, made as calls need them."""
IDLE_S = 60.0
"""All but one end when they were not needed for so long."""


@dataclass(slots=True, eq=False)
class _Worker:
    """One process, and how it was used."""

    process: Process
    calls: int = 0
    idle_since_s: float = 0.0


class Workers:
    """The pool of one plugin: a transport.

    A worker that fails a call, breaks a limit or has answered `max_calls` questions takes no further one;
    another is started when a call needs it. A plugin that changes gets a pool of its own (`pool`).
    """

    def __init__(
        self, runnable: Runnable, confinement: Confinement, size: int = SIZE, idle_s: float = IDLE_S
    ) -> None:
        self._runnable = runnable
        self._starter = Starter(runnable, confinement)
        self._size = size
        self._idle_s = idle_s
        self._shrinking: asyncio.TimerHandle | None = None
        self._idle: deque[_Worker] = deque()
        self._all: set[_Worker] = set()
        self._starting = 0
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._endings: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def alive(self) -> Alive:
        """How many workers there are now."""
        return Alive(workers=len(self._all), busy=len(self._all) - len(self._idle))

    async def call(self, call: Call) -> Answer:
        """Ask a worker, waiting for one if all are busy."""
        with noted(self._starter.notes):
            return await self._ask(call)

    async def _ask(self, call: Call) -> Answer:
        limit = limit_ms(call, self._runnable)
        worker: _Worker | None = None
        try:
            async with asyncio.timeout(limit / 1000):
                worker = await self._take()
                answer = await answered(worker.process, call.body + b"\n", self._starter.notes)
        except TimeoutError:
            raise timed_out(limit, worker.process if worker else None) from None
        finally:
            if worker is not None:
                self._give_back(worker)
        return answer

    async def close(self) -> None:
        """End all workers; calls under way fail. Returns when the last process is gone."""
        self._closed = True
        if self._shrinking is not None:
            self._shrinking.cancel()
        for worker in [*self._all]:
            self._retire(worker)
        self._idle.clear()
        self._wake_all()
        while self._endings or self._starting:
            await asyncio.wait({*self._endings, asyncio.ensure_future(asyncio.sleep(0))})
        await self._starter.close()

    async def _take(self) -> _Worker:
        while True:
            if self._closed:
                raise CallFailed("it is being closed")
            while self._idle:
                worker = self._idle.pop()  # the one used last: the others can be ended
                if worker.process.fault is None:
                    return worker
                self._retire(worker)
            if len(self._all) + self._starting < self._size:
                return await self._start()
            await self._until_one_is_free()

    async def _start(self) -> _Worker:
        self._starting += 1
        try:
            process = await self._starter.start(self._runnable, lines=True)
        finally:
            self._starting -= 1
        worker = _Worker(process)
        self._all.add(worker)
        if self._closed:
            self._retire(worker)
            raise CallFailed("it is being closed")
        return worker

    async def _until_one_is_free(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self._wake()  # it was woken and does not come: the next one shall
            raise
        finally:
            if waiter in self._waiters:
                self._waiters.remove(waiter)

    def _give_back(self, worker: _Worker) -> None:
        worker.calls += 1
        worn = worker.calls >= self._runnable.entry.max_calls
        if worn or self._closed or worker.process.fault is not None:
            self._retire(worker)
        else:
            worker.idle_since_s = asyncio.get_running_loop().time()
            self._idle.append(worker)
            if len(self._idle) > 1 and self._shrinking is None:
                self._shrink_later()
        self._wake()

    def _shrink_later(self) -> None:
        self._shrinking = asyncio.get_running_loop().call_later(self._idle_s, self._shrink)

    def _shrink(self) -> None:
        """End those that were not needed; the ones used last are at the right."""
        self._shrinking = None
        until_s = asyncio.get_running_loop().time() - self._idle_s
        while len(self._idle) > 1 and self._idle[0].idle_since_s <= until_s:
            self._retire(self._idle.popleft())
        if len(self._idle) > 1:
            self._shrink_later()

    def _retire(self, worker: _Worker) -> None:
        """Its place is free at once; it ends by itself."""
        if worker in self._all:
            self._all.remove(worker)
            ending = asyncio.get_running_loop().create_task(worker.process.ended())
            self._endings.add(ending)
            ending.add_done_callback(self._endings.discard)

    def _wake(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def _wake_all(self) -> None:
        while self._waiters:
            self._wake()
