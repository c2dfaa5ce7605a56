"""Running the jobs of a server: in a process beside its first worker, on threads of that where there is none.

Indexing and collection are Python by the minute, and would share the interpreter with the worker's mail. A
worker whose process of jobs has died has threads by then, and cannot safely fork another.
"""

from __future__ import annotations

import asyncio
import logging
import os
import select
import signal
from collections.abc import Callable, Mapping
from functools import partial

from mairust_core.app import Site
from mairust_core.config import Settings
from mairust_core.errors import MaiRustError
from mairust_core.search.indexing import call_indexer
from mairust_core.serve.children import Child, Upkeep, cores, fork, with_site
from mairust_core.shortage import shortage

NAME = "jobs"
KILL_AFTER_S = 2.0
"""Beyond the grace period, for closing the database: sooner than a supervisor kills the worker."""
INDEX_S = 5.0
"""Until then a search reads what is new itself: it misses nothing (rule J1)."""

log = logging.getLogger("mairust.serve")


class JobsProcess:
    """The process, as its worker sees it."""

    def __init__(self, child: Child) -> None:
        self._child = child
        self._watching = False

    def watch(self, lost: Callable[[], None]) -> None:
        """Call `lost` on the running event loop if it ends by itself."""
        self._watching = True
        asyncio.get_running_loop().add_reader(self._child.incoming, self._ended, lost)

    def _ended(self, lost: Callable[[], None]) -> None:
        self._unwatch()
        os.close(self._child.incoming)
        os.close(self._child.outgoing)
        code = self._child.wait()
        log.error("the jobs process ended with %d: this worker runs jobs until it is restarted", code)
        lost()

    def _unwatch(self) -> None:
        asyncio.get_running_loop().remove_reader(self._child.incoming)
        self._watching = False

    async def stop(self, grace_s: float) -> None:
        """Have its jobs end, and wait for that; kill it when it takes longer. Nothing if it has ended."""
        if not self._watching:
            return
        self._unwatch()
        os.close(self._child.outgoing)
        killing = asyncio.get_running_loop().call_later(grace_s + KILL_AFTER_S, self._kill)
        await asyncio.to_thread(self._child.wait)
        killing.cancel()

    def _kill(self) -> None:
        log.error("the jobs process did not end in time, killing it")
        os.kill(self._child.pid, signal.SIGKILL)


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
    while not select.select([incoming], [], [], INDEX_S)[0]:  # closed, it tells to end
        upkeep()
        attend(partial(call_indexer, site))
    runner.stop(site.settings.node.grace_s)


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
