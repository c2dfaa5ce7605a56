"""Plugins that are commands: asked on stdin, answering on stdout, in the sandbox.

A call is bounded by the least of its time-out and the plugin's `wall_time_ms`; waiting for a process counts
(rule E4).
"""

from __future__ import annotations

import asyncio

from mairust_core.hooks.processes import Starter, answered, limit_ms, noted, timed_out
from mairust_core.hooks.transport import Alive, Answer, Call, CallFailed
from mairust_core.hooks.workers import SIZE, Workers
from mairust_core.model.plugin import ProcessMode, Runnable
from mairust_core.sandbox.confinement import Confinement
from mairust_core.sandbox.process import Process

AT_A_TIME = 8
"""Processes of one plugin in mode oneshot, on one node."""


def open_stdin(runnable: Runnable, confinement: Confinement, servers: int = 1) -> Oneshot | Workers:
    """The transport for a plugin of protocol stdin, in the mode it asks for.

    It has its part of the processes that a node of so many server processes lets a plugin have, and one at
    least (rule H3).
    """
    if runnable.entry.mode is ProcessMode.WORKER:
        return Workers(runnable, confinement, max(1, SIZE // servers))
    return Oneshot(runnable, confinement, max(1, AT_A_TIME // servers))


class Oneshot:
    """A process for each call: the question on stdin, then its end; the answer is all that it writes.

    It must end with status 0: what a failing program wrote is no answer.
    """

    def __init__(self, runnable: Runnable, confinement: Confinement, size: int = AT_A_TIME) -> None:
        self._runnable = runnable
        self._starter = Starter(runnable, confinement)
        self._places = asyncio.Semaphore(size)
        self._running: set[Process] = set()
        self._endings: set[asyncio.Task[None]] = set()
        self._starting = 0
        self._closed = False

    @property
    def alive(self) -> Alive:
        """How many processes there are now: each of them works."""
        return Alive(workers=len(self._running), busy=len(self._running))

    async def call(self, call: Call) -> Answer:
        """Start it, ask it, and see it end."""
        with noted(self._starter.notes):
            return await self._ask(call)

    async def _ask(self, call: Call) -> Answer:
        limit = limit_ms(call, self._runnable)
        process: Process | None = None
        try:
            async with asyncio.timeout(limit / 1000), self._places:
                process = await self._start()
                return await answered(process, call.body + b"\n", self._starter.notes)
        except TimeoutError:
            raise timed_out(limit, process) from None
        finally:
            if process is not None:
                self._end(process)

    async def close(self) -> None:
        """End what runs; calls under way fail. Returns when the last process is gone."""
        self._closed = True
        for process in self._running:
            process.stop("it is being closed")
        while self._endings or self._running or self._starting:
            await asyncio.wait({*self._endings, asyncio.ensure_future(asyncio.sleep(0))})
        await self._starter.close()

    async def _start(self) -> Process:
        if self._closed:
            raise CallFailed("it is being closed")
        self._starting += 1
        try:
            process = await self._starter.start(self._runnable, lines=False)
        finally:
            self._starting -= 1
        self._running.add(process)
        if self._closed:
            process.stop("it is being closed")
        return process

    def _end(self, process: Process) -> None:
        self._running.discard(process)
        ending = asyncio.get_running_loop().create_task(process.ended())
        self._endings.add(ending)
        ending.add_done_callback(self._endings.discard)
