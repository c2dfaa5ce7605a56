"""What calls of processes have in common: their time, and what becomes of a process that failed one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from mairust_core.hooks.transport import Answer, Call, CallFailed, CallTimedOut, Used
from mairust_core.model.plugin import ProcessMode, Runnable
from mairust_core.sandbox.confinement import PROXIED, Confinement, Program, Unconfinable
from mairust_core.sandbox.egress import Egress
from mairust_core.sandbox.process import Process, Stopped
from mairust_core.sandbox.reach import Reach

STARTUP_CPU_MS = 2_000
"""For a worker to read its libraries, once."""


def limit_ms(call: Call, runnable: Runnable) -> int:
    """How long this call may take: min(timeout_ms, wall_time_ms)."""
    own = runnable.limits.wall_time_ms
    return call.timeout_ms if own is None else min(call.timeout_ms, own)


class Starter:
    """Starts processes of one plugin, and keeps the proxy that those of a limited network need."""

    def __init__(self, runnable: Runnable, confinement: Confinement) -> None:
        directory = runnable.directory
        self._confinement = confinement if directory is None else confinement.holding(directory)
        self._egress = Egress(runnable.id, self._reach(runnable))

    async def start(self, runnable: Runnable, *, lines: bool) -> Process:
        """A new process. Raises `CallFailed`."""
        self._egress.reach = self._reach(runnable)
        proxied = runnable.limits.network in PROXIED
        try:
            program = _program_of(runnable, await self._egress.socket() if proxied else None)
            return await Process.start(self._confinement, program, lines=lines)
        except (Unconfinable, OSError) as error:
            raise CallFailed(f"it could not be started: {error}") from None

    @cached_property
    def notes(self) -> Mapping[str, object]:
        """How well its processes are held here, for the trace."""
        isolation = self._confinement.machine.isolation
        return {"sandbox": isolation.grade.name.lower(), "missing": [one.layer for one in isolation.missing]}

    async def close(self) -> None:
        """End the proxy."""
        await self._egress.close()

    def _reach(self, runnable: Runnable) -> Reach:
        limits = runnable.limits
        return Reach(network=limits.network, allow=limits.network_allow, site=self._confinement.site)


def _program_of(runnable: Runnable, egress: Path | None) -> Program:
    if runnable.directory is None or not runnable.entry.command:
        raise Unconfinable("it has no files or no command")
    stays = runnable.entry.mode is ProcessMode.WORKER
    return Program(
        plugin=runnable.id,
        command=runnable.entry.command,
        directory=runnable.directory,
        limits=runnable.limits,
        startup_cpu_ms=STARTUP_CPU_MS if stays else 0,
        egress=egress,
        calls=runnable.entry.max_calls if stays else 1,
    )


@contextmanager
def noted(notes: Mapping[str, object]) -> Iterator[None]:
    """Have a call that fails in the block say how well its process was held."""
    try:
        yield
    except CallFailed as error:
        error.notes = notes
        raise


async def answered(process: Process, question: bytes, notes: Mapping[str, object]) -> Answer:
    """The process's answer and log; a process that gives none is ended. Raises `CallFailed`.

    Also when the caller is cancelled: it would be in the middle of an answer to nobody.
    """
    try:
        body = await process.ask(question)
    except Stopped as stopped:
        failed = CallFailed(str(stopped), process.take_log())
        failed.used = used_by(process)
        raise failed from None
    except asyncio.CancelledError:
        process.stop("nobody waits for it any more")
        raise
    return Answer(body=body, log=process.take_log(), notes=notes, used=used_by(process))


def used_by(process: Process) -> Used:
    """What its last call took."""
    found = process.used()
    return Used(cpu_us=found.cpu_us, memory_bytes=found.memory_bytes)


def timed_out(limit: int, process: Process | None) -> CallTimedOut:
    """What a call raises whose time is over; None: it found no process."""
    error = CallTimedOut(f"it did not answer within {limit} ms", process.take_log() if process else "")
    if process is not None:
        error.used = used_by(process)
    return error
