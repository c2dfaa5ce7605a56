"""Running the jobs of a server: in a process beside its first worker, on threads of that where there is none.

Indexing and collection are Python by the minute, and would share the interpreter with the worker's mail. A
job may also be what takes all memory: its process dies alone, and a keeper, which has neither threads nor a
site, forks the next.
"""

from __future__ import annotations

import asyncio
import logging
import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial

from mairust_core.app import Site
from mairust_core.config import Settings
from mairust_core.errors import MaiRustError
from mairust_core.ownership import become_owner
from mairust_core.search.indexing import call_indexer
from mairust_core.serve.children import CLOSE_S, Child, Upkeep, become, cores, die_with, fork, with_site
from mairust_core.shortage import shortage
from mairust_core.store import process_numbers

NAME, KEEPER = "jobs", "jobs keeper"
RESTART_AFTER_S = (0.1, 30.0)
"""First and longest pause before a process that died is started again: each may keep a number for an hour."""
STABLE_S = 10.0
"""One that lived this long is followed after the first pause."""
PREDECESSORS = 16
"""So many are remembered: leases of earlier ones have run out."""
INDEX_S = 5.0
"""Until then a search reads what is new itself: it misses nothing (rule J1)."""

log = logging.getLogger("mairust.serve")


class Bell(threading.Event):
    """Heard in this process, and by who reads the pipe, which this owns."""

    def __init__(self, pipe: int) -> None:
        super().__init__()
        os.set_blocking(pipe, False)
        self._pipe: int | None = pipe
        self._closing = threading.Lock()

    def set(self) -> None:
        """Ring, from any thread and without waiting; a full pipe has rung often enough."""
        super().set()
        with self._closing, suppress(BlockingIOError, BrokenPipeError):
            if self._pipe is not None:
                os.write(self._pipe, b"!")

    def close(self) -> None:
        """Close the pipe, whose number may be another file's from then on."""
        with self._closing:
            if self._pipe is not None:
                os.close(self._pipe)
            self._pipe = None


class JobsProcess:
    """The keeper of the process, as its worker sees it."""

    def __init__(self, child: Child) -> None:
        self._child = child
        self._watching = False
        self.bell = Bell(child.outgoing)
        """Rings in the process; in this one, too, for who runs the jobs when the keeper has ended."""

    def watch(self, lost: Callable[[], None]) -> None:
        """Call `lost` on the running event loop if the keeper ends by itself, and with it the process."""
        self._watching = True
        asyncio.get_running_loop().add_reader(self._child.incoming, self._ended, lost)

    def _ended(self, lost: Callable[[], None]) -> None:
        self._unwatch()
        os.close(self._child.incoming)
        self.bell.close()
        code = self._child.wait()
        log.error("the keeper of jobs ended with %d: this worker runs jobs until it is restarted", code)
        lost()

    def _unwatch(self) -> None:
        asyncio.get_running_loop().remove_reader(self._child.incoming)
        self._watching = False

    async def stop(self, grace_s: float) -> None:
        """Have its jobs end, and wait for that; kill it when it takes longer. Nothing if it has ended."""
        if not self._watching:
            return
        self._unwatch()
        self.bell.close()
        await self._child.end_within(grace_s + CLOSE_S)


def start_jobs(settings: Settings, listening: Mapping[str, tuple[str, int]]) -> JobsProcess | None:
    """Fork the keeper; None where one core has to do everything, or no job. To be called before threads.

    `listening` are the listeners of the server, by name: no plugin may reach them (rule H2).
    """
    if cores() < 2 or not settings.jobs.workers:
        return None
    worker = os.getpid()

    def keep(incoming: int, _: int) -> None:
        become_owner(settings)
        die_with(worker, KEEPER)
        keeper = os.getpid()
        _keep(
            incoming,
            lambda gone: with_site(settings, NAME, keeper, partial(_work, listening, incoming, gone)),
        )

    return JobsProcess(fork(KEEPER, keep))


def _keep(incoming: int, live: Callable[[Iterable[str]], None]) -> None:
    """Fork a process, and another whenever it dies, until `incoming` is closed.

    Each lives `live` of the names in the queue of those before it: the last may not have come to take what
    the one before it had.
    """
    pause_s, longest_s = RESTART_AFTER_S
    gone: deque[str] = deque(maxlen=PREDECESSORS)
    while True:
        began_s = time.monotonic()
        try:
            name, code = _outlive(incoming, partial(live, gone))
            gone.append(name)
            ended = f"ended with {code}"
        except OSError as error:
            ended = f"cannot be started: {error}"
        if time.monotonic() - began_s >= STABLE_S:
            pause_s = RESTART_AFTER_S[0]
        if not listen(incoming, 0, int):
            return
        log.error("the jobs process %s, starting it again in %.1f s", ended, pause_s)
        if not listen(incoming, pause_s, int):  # it looks for jobs when it begins
            return
        pause_s = min(pause_s * 2, longest_s)


def _outlive(incoming: int, live: Callable[[], None]) -> tuple[str, int]:
    """Fork a process and wait until it ends: its name in the queue, and its exit code."""
    pid = os.fork()
    if pid == 0:
        become(NAME, live, (incoming,))
    name = process_numbers.holder(pid)
    return name, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _work(listening: Mapping[str, tuple[str, int]], incoming: int, gone: Iterable[str], site: Site) -> None:
    site.listening = listening
    upkeep = Upkeep(site)
    runner = site.job_runner()
    for name in gone:
        runner.inherit(name)
    runner.start()
    told = ""
    while listen(incoming, INDEX_S, site.job_bell.set):
        upkeep()
        told = attend(partial(call_indexer, site), told)
    runner.stop(site.settings.node.grace_s)


def listen(incoming: int, time_s: float, ring: Callable[[], object]) -> bool:
    """Ring as the worker does, for so long; False at once when it closed the pipe, which tells to end."""
    until_s = time.monotonic() + time_s
    left_s = time_s
    while select.select([incoming], [], [], max(left_s, 0))[0]:
        if not os.read(incoming, 4096):
            return False
        ring()
        left_s = until_s - time.monotonic()
        if left_s <= 0:
            break
    return True


def attend(work: Callable[[], object], told: str = "") -> str:
    """Do something that is tried again later; what fails, empty when nothing does.

    It is logged, unless it is what was `told` the time before: an outage is one matter, however long.
    """
    done = work.func if isinstance(work, partial) else work
    name = getattr(done, "__qualname__", type(done).__name__)  # never what it holds: settings, for one
    try:
        work()
    except Exception as error:
        known = error if isinstance(error, MaiRustError) else shortage(error)
        failed = f"{name}: {known}" if known else f"{name} failed: {type(error).__name__}"
        if failed != told:
            log.log(logging.WARNING if known else logging.ERROR, "%s", failed, exc_info=not known)
        return failed
    return ""
