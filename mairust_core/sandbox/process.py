"""One confined process on an event loop: asked over its pipes, bounded in all it does, gone when told.

No thread waits for it. Whatever goes wrong ends it at once, with one reason; the first one counts.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from mairust_core.sandbox.confinement import MIB, Confinement, Program
from mairust_core.sandbox.spawn import FAILED, STARTED, Spawned, spawn
from mairust_core.sandbox.usage import Tree, Usage, fair_memory_bytes
from mairust_core.sandbox.watch import MOST_TASKS, Watch

if TYPE_CHECKING:
    from resource import struct_rusage

MAX_OUTPUT_BYTES = 128 << 10
"""Of one answer."""
MAX_ERROR_BYTES = 1 << 20
"""Of one call on stderr; more is a flood."""
KEPT_ERROR_BYTES = 8 << 10
"""Of it, kept."""
PEAK_S = 1.0
_RESERVED_EXIT = 128
_INFO_S = 5.0
_REMOVE_S = 0.02
_REMOVE_TRIES = 250


log = logging.getLogger("mairust.sandbox")


class Stopped(Exception):
    """The process ended before it answered, or was ended for what it did; the text says why."""


class Process:
    """A running program; belongs to the event loop it was started on, and to its thread.

    `lines`: it answers with lines, one for each question; otherwise with all it writes until it ends.
    """

    def __init__(self, spawned: Spawned, program: Program, *, lines: bool) -> None:
        self._loop = asyncio.get_running_loop()
        self._spawned = spawned
        self._program = program
        self._lines = lines
        self._out = bytearray()
        self._error = bytearray()
        self._error_bytes = 0
        self._waiting: asyncio.Future[bytes] | None = None
        self._started = False
        self._not_started = ""
        self._fault: str | None = None
        self._open = 3
        self._first: int | None = None
        self._info = b""
        self._known = asyncio.Event()
        self._gone = asyncio.Event()
        self._pid = spawned.process.pid
        self._pidfd = spawned.pidfd
        self._tree = Tree(self._pid, MOST_TASKS)
        self._reading: dict[int, Callable[[], None]] = {}
        self._transports: list[asyncio.BaseTransport] = []
        self._ending: asyncio.Task[None] | None = None
        self._peak_bytes = 0
        self._peak_good_s = 0.0
        self._watch = Watch(self._usage, program, self.stop, counted=spawned.group is not None)

    @classmethod
    async def start(cls, confinement: Confinement, program: Program, *, lines: bool) -> Process:
        """Start it. Raises `Unconfinable`."""
        process = cls(spawn(confinement, program), program, lines=lines)
        try:
            await process._connect()
        except BaseException:
            await process.ended()
            raise
        return process

    async def _connect(self) -> None:
        made = self._spawned.process
        self._loop.add_reader(self._pidfd, self._on_exit)
        self._read(self._spawned.status_fd, self._on_status)
        if self._spawned.info_fd is None:
            self._known.set()
        else:
            self._read(self._spawned.info_fd, self._on_info)
        assert made.stdin is not None
        self._stdin, _ = await self._loop.connect_write_pipe(asyncio.BaseProtocol, made.stdin)
        self._transports.append(self._stdin)
        for pipe, take in ((made.stdout, self._on_output), (made.stderr, self._on_error)):
            assert pipe is not None
            reader = partial(_Reader, take, self._on_end)
            transport, _ = await self._loop.connect_read_pipe(reader, pipe)
            self._transports.append(transport)

    # What is asked of it

    @property
    def fault(self) -> str | None:
        """Why it is ending or has ended; None while it can be asked."""
        return self._fault

    async def ask(self, question: bytes) -> bytes:
        """Its answer: one line without its end, or all it writes. Raises `Stopped`; one at a time.

        When the caller is cancelled the process is in the middle of an answer and is to be ended.
        """
        assert self._waiting is None
        self._waiting = self._loop.create_future()
        if self._fault is not None:
            self._waiting.set_exception(Stopped(self._fault))
        else:
            self._watch.begin_call()
        if self._fault is None and not self._stdin.is_closing():
            self._stdin.write(question)
        if not self._lines and not self._stdin.is_closing():
            self._stdin.write_eof()
        try:
            return await self._waiting
        finally:
            self._waiting = None
            self._watch.end_call()

    def take_log(self) -> str:
        """What it wrote to stderr since this was last asked, cut."""
        text = self._error.decode("utf-8", "replace")
        if self._error_bytes > len(self._error):
            text += f"… ({self._error_bytes} bytes)"
        self._error.clear()
        self._error_bytes = 0
        return text

    def used(self) -> Usage:
        """What the last call took: CPU of all its processes, and the most memory that was seen of them.

        A control group tells the most that they ever used; it is asked once a second.
        """
        found = self._watch.last_call
        group, now_s = self._spawned.group, self._loop.time()
        if group is not None and (now_s >= self._peak_good_s or self._gone.is_set()):
            self._peak_bytes, self._peak_good_s = max(self._peak_bytes, group.peak_bytes()), now_s + PEAK_S
        return replace(found, memory_bytes=max(found.memory_bytes, self._peak_bytes))

    def stop(self, reason: str) -> None:
        """End it now, whatever it does; who waits for its answer hears the reason."""
        if self._fault is None:
            self._fault = reason
        self._watch.close()
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(Stopped(self._fault))
        if self._ending is None:
            self._ending = self._loop.create_task(self._end())

    async def ended(self) -> None:
        """Wait until it is gone, with all it started, its descriptors and its control group."""
        self.stop("it was ended")
        assert self._ending is not None
        await asyncio.shield(self._ending)

    # What it does

    def _on_status(self, said: bytes) -> None:
        if said.startswith(STARTED):
            self._started = True
            self._watch.begin()
            said = said.removeprefix(STARTED)
        if said.startswith(FAILED):
            self._started = False
            self._not_started = said.removeprefix(FAILED).decode("utf-8", "replace")

    def _on_info(self, said: bytes) -> None:
        """It comes in pieces, and its end says that there will be no more."""
        self._info += said
        if said:
            return
        with suppress(ValueError, KeyError, OSError):  # it failed before, or is gone again
            self._first = os.pidfd_open(json.loads(self._info)["child-pid"])
        self._known.set()

    def _on_output(self, data: bytes) -> None:
        if self._fault is not None:
            return
        seen = len(self._out)
        self._out += data
        if len(self._out) > MAX_OUTPUT_BYTES:
            self.stop(f"it wrote more than {MAX_OUTPUT_BYTES >> 10} KiB")
        elif self._lines and (end := self._out.find(b"\n", seen)) >= 0:
            self._on_line(bytes(self._out[:end]), rest=len(self._out) - end - 1)

    def _on_line(self, line: bytes, rest: int) -> None:
        self._out.clear()
        if self._waiting is None or self._waiting.done():
            self.stop("it wrote without being asked")
        elif rest:
            self.stop("it wrote more than one line")
        elif not self._stdin.is_closing() and self._stdin.get_write_buffer_size():
            self.stop("it answered before it had read the question")
        else:
            self._waiting.set_result(line)

    def _on_error(self, data: bytes) -> None:
        if self._fault is not None:
            return
        self._error_bytes += len(data)
        self._error += data[: KEPT_ERROR_BYTES - len(self._error)]
        if self._error_bytes > MAX_ERROR_BYTES:
            self.stop(f"it wrote more than {MAX_ERROR_BYTES >> 20} MiB to stderr")

    def _on_exit(self) -> None:
        self._loop.remove_reader(self._pidfd)
        os.killpg(self._pid, signal.SIGKILL)  # what it left behind, before its number is free
        _, status, used = os.wait4(self._pid, 0)
        self._spawned.process.returncode = os.waitstatus_to_exitcode(status)
        self._watch.ended(_in_all(used))
        self._gone.set()
        self._on_end()

    def _on_end(self) -> None:
        """One of stdout, stderr and the process itself came to its end; after all three there is a result."""
        self._open -= 1
        if self._open or self._fault is not None:
            return
        if self._spawned.status_fd in self._reading:  # what it said there may not have been heard yet
            self._reading[self._spawned.status_fd]()
        if not self._lines and self._spawned.process.returncode == 0 and self._started:
            if self._waiting is not None and not self._waiting.done():
                self._waiting.set_result(bytes(self._out))
            self.stop("it ended")
        else:
            self.stop(self._why_it_ended())

    def _why_it_ended(self) -> str:
        if self._not_started:
            return f"it could not be started: {self._not_started}"
        if not self._started:
            said = self._error.decode("utf-8", "replace").strip() or "no reason given"
            return f"it could not be started: {said}"
        if self._spawned.group is not None and self._spawned.group.was_out_of_memory():
            return f"it used more than {self._program.limits.memory_mb} MB of memory"
        code = self._spawned.process.returncode
        number = -code if code < 0 else code - _RESERVED_EXIT
        if number == signal.SIGXCPU:
            return f"it used more than {self._program.lifetime_cpu_ms} ms of CPU in its life"
        if number in {*signal.Signals}:
            return f"it was ended by {signal.Signals(number).name}"
        return f"it ended before it answered, with exit status {code}"

    def _usage(self) -> Usage:
        """What it has used; its group bounds memory by itself."""
        if self._spawned.group is not None:
            return Usage(cpu_us=self._spawned.group.cpu_us())
        used = self._tree.look()
        if used.memory_bytes > self._program.limits.memory_mb * MIB:
            used = replace(used, memory_bytes=fair_memory_bytes(self._pid, MOST_TASKS))
        return used

    # Its end

    async def _end(self) -> None:
        with suppress(TimeoutError):  # before that is known, its namespace could outlive bubblewrap
            async with asyncio.timeout(_INFO_S):
                await self._known.wait()
        if self._first is not None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._first, signal.SIGKILL)
        if not self._gone.is_set():
            os.killpg(self._pid, signal.SIGKILL)
        await self._gone.wait()
        if self._first is not None:  # the kernel ends all others of a namespace before its first one
            await _readable(self._loop, self._first)
        self._close()
        await self._remove_group()

    def _close(self) -> None:
        for transport in self._transports:
            transport.close()
        for fd in (self._pidfd, self._first):
            if fd is not None:
                os.close(fd)
        for fd in [*self._reading]:
            self._close_reading(fd)

    async def _remove_group(self) -> None:
        group = self._spawned.group
        if group is None:
            return
        for _ in range(_REMOVE_TRIES):
            if group.remove():
                return
            await asyncio.sleep(_REMOVE_S)
        group.leave()
        log.warning("a control group of %s has processes that do not end", self._program.plugin)

    def _read(self, fd: int, take: Callable[[bytes], None]) -> None:
        """Hand over what comes on a descriptor of our own, and at last its end."""

        def ready() -> None:
            try:
                data = os.read(fd, 4096)
            except BlockingIOError:
                return
            take(data)
            if not data:
                self._close_reading(fd)

        os.set_blocking(fd, False)
        self._reading[fd] = ready
        self._loop.add_reader(fd, ready)

    def _close_reading(self, fd: int) -> None:
        del self._reading[fd]
        self._loop.remove_reader(fd)
        os.close(fd)


def _in_all(used: struct_rusage) -> Usage:
    """What a process that ended had used, with those of its children that it waited for.

    Its `ru_maxrss` begins with ours, whose memory it was before it became another program.
    """
    return Usage(cpu_us=round((used.ru_utime + used.ru_stime) * 1_000_000))


class _Reader(asyncio.Protocol):
    """One pipe's reader."""

    def __init__(self, take: Callable[[bytes], None], end: Callable[[], None]) -> None:
        self._take = take
        self._end = end

    def data_received(self, data: bytes) -> None:
        """Hand it over."""
        self._take(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Its end."""
        self._end()


async def _readable(loop: asyncio.AbstractEventLoop, fd: int) -> None:
    ready = asyncio.Event()
    loop.add_reader(fd, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(fd)
