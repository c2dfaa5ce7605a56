"""Running the jobs of a server: in a process beside its first worker, on threads of that where there is none.

Indexing and collection are Python by the minute, and would share the interpreter with the worker's mail. A
worker whose process of jobs has died has threads by then, and cannot safely fork another.
"""

from __future__ import annotations

import asyncio
import logging
import os
import select
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial

from mairust_core.app import Site
from mairust_core.config import Settings
from mairust_core.errors import MaiRustError
from mairust_core.search.indexing import call_indexer
from mairust_core.serve.children import CLOSE_S, Child, Upkeep, cores, fork, with_site
from mairust_core.shortage import shortage
from mairust_core.store import process_numbers

NAME = "jobs"
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
    """The process, as its worker sees it."""

    def __init__(self, child: Child) -> None:
        self._child = child
        self._watching = False
        self.bell = Bell(child.outgoing)
        """Rings there; in this process, too, for who runs the jobs when it has ended."""

    def watch(self, lost: Callable[[str], None]) -> None:
        """Call `lost` on the running event loop if it ends by itself, with its name in the queue."""
        self._watching = True
        asyncio.get_running_loop().add_reader(self._child.incoming, self._ended, lost)

    def _ended(self, lost: Callable[[str], None]) -> None:
        self._unwatch()
        os.close(self._child.incoming)
        self.bell.close()
        code = self._child.wait()
        log.error("the jobs process ended with %d: this worker runs jobs until it is restarted", code)
        lost(process_numbers.holder(self._child.pid))

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
    """Fork it; None where one core has to do everything, or no job. To be called before there are threads.

    `listening` are the listeners of the server, by name: no plugin may reach them (rule H2).
    """
    if cores() < 2 or not settings.jobs.workers:
        return None
    worker = os.getpid()

    def live(incoming: int, _: int) -> None:
        with_site(settings, NAME, worker, partial(_work, listening, incoming))

    return JobsProcess(fork(NAME, live))


def _work(listening: Mapping[str, tuple[str, int]], incoming: int, site: Site) -> None:
    site.listening = listening
    upkeep = Upkeep(site)
    runner = site.job_runner()
    runner.start()
    while listen(incoming, site.job_bell, INDEX_S):
        upkeep()
        attend(partial(call_indexer, site))
    runner.stop(site.settings.node.grace_s)


def listen(incoming: int, bell: threading.Event, time_s: float) -> bool:
    """Ring as the worker does, for so long; False at once when it closed the pipe, which tells to end."""
    until_s = time.monotonic() + time_s
    while (left_s := until_s - time.monotonic()) > 0:
        if not select.select([incoming], [], [], left_s)[0]:
            break
        if not os.read(incoming, 4096):
            return False
        bell.set()
    return True


def attend(work: Callable[[], object]) -> None:
    """Do something that is tried again later: what fails is logged."""
    done = work.func if isinstance(work, partial) else work
    name = getattr(done, "__qualname__", type(done).__name__)  # never what it holds: settings, for one
    try:
        work()
    except MaiRustError as error:
        log.warning("%s: %s", name, error)
    except Exception as error:
        if lacking := shortage(error):
            log.warning("%s: %s", name, lacking)
        else:
            log.exception("%s failed", name)
