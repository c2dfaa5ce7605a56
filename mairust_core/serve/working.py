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
import time
from collections.abc import Callable, Mapping
from functools import partial

from mairust_core.app import Site
from mairust_core.config import Settings
from mairust_core.errors import MaiRustError
from mairust_core.ownership import become_owner
from mairust_core.search.indexing import call_indexer
from mairust_core.serve.children import Child, Upkeep, become, cores, die_with, fork, with_site
from mairust_core.shortage import shortage

NAME, KEEPER = "jobs", "keeper of jobs"
RESTART_AFTER_S = (0.1, 5.0)
"""First and longest pause before a process that died is started again."""
STABLE_S = 10.0
"""One that lived this long is followed after the first pause."""
INDEX_S = 5.0
"""Until then a search reads what is new itself: it misses nothing (rule J1)."""

log = logging.getLogger("mairust.serve")


class JobsProcess:
    """The keeper of the process, as its worker sees it."""

    def __init__(self, child: Child) -> None:
        self._child = child
        self._watching = False

    def watch(self, lost: Callable[[], None]) -> None:
        """Call `lost` on the running event loop if it ends by itself."""
        self._watching = True
        asyncio.get_running_loop().add_reader(self._child.incoming, self._ended, lost)

    def _ended(self, lost: Callable[[], None]) -> None:
        self._unwatch()
        code = self._child.wait()
        log.error("the keeper of jobs ended with %d: this worker runs jobs until it is restarted", code)
        lost()

    def _unwatch(self) -> None:
        asyncio.get_running_loop().remove_reader(self._child.incoming)
        self._watching = False

    async def stop(self) -> None:
        """Have its jobs end within the grace period, and wait for that; nothing if it has ended."""
        if self._watching:
            self._unwatch()
            os.close(self._child.outgoing)
            await asyncio.to_thread(self._child.wait)


def start_jobs(settings: Settings, listening: Mapping[str, tuple[str, int]]) -> JobsProcess | None:
    """Fork it; None where one core has to do everything, or no job. To be called before there are threads.

    `listening` are the listeners of the server, by name: no plugin may reach them (rule H2).
    """
    if cores() < 2 or not settings.jobs.workers:
        return None
    worker = os.getpid()

    def work(site: Site, incoming: int) -> None:
        site.listening = listening
        _work(site, incoming)

    def keep(incoming: int, _: int) -> None:
        become_owner(settings)
        die_with(worker, KEEPER)
        keeper = os.getpid()
        _keep(lambda: with_site(settings, NAME, keeper, lambda site: work(site, incoming)), incoming)

    return JobsProcess(fork(KEEPER, keep))


def _keep(life: Callable[[], None], incoming: int) -> None:
    """Fork a process that lives `life`, and another one whenever it dies, until `incoming` is closed."""
    pause_s, longest_s = RESTART_AFTER_S
    while True:
        began_s = time.monotonic()
        pid = os.fork()
        if pid == 0:
            become(NAME, life, (incoming,))
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if time.monotonic() - began_s >= STABLE_S:
            pause_s = RESTART_AFTER_S[0]
        if _closed(incoming, 0):
            return
        log.error("the jobs process ended with %d, starting it again in %.1f s", code, pause_s)
        if _closed(incoming, pause_s):
            return
        pause_s = min(pause_s * 2, longest_s)


def _closed(incoming: int, wait_s: float) -> bool:
    """Whether the worker tells to end, by closing its side, before that time is over."""
    return bool(select.select([incoming], [], [], wait_s)[0])


def _work(site: Site, incoming: int) -> None:
    upkeep = Upkeep(site)
    runner = site.job_runner()
    runner.start()
    while not _closed(incoming, INDEX_S):
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
