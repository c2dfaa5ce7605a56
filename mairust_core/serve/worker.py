"""One process of a site: its road, its listeners, and what it does every so often."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from sqlalchemy import text

from mairust_core import __version__
from mairust_core.app import Site, open_site
from mairust_core.config import Settings
from mairust_core.doctor.databases import outgrown
from mairust_core.doctor.findings import explained
from mairust_core.errors import MaiRustError
from mairust_core.jobs.runner import Runner
from mairust_core.observe.collector import calm_collector
from mairust_core.observe.counters import Counters
from mairust_core.receive.health import Health
from mairust_core.receive.refusals import Refusals
from mairust_core.receive.road import MailRoad, open_road
from mairust_core.sandbox import cgroups, noted
from mairust_core.search.indexing import call_indexer
from mairust_core.serve.children import CLOSE_S, RENEW_S
from mairust_core.serve.committing import CommittingProcess, start_committing
from mairust_core.serve.listeners import Listeners
from mairust_core.serve.notify import notify
from mairust_core.serve.working import INDEX_S, JobsProcess, attend, start_jobs
from mairust_core.shortage import Threads, shortage
from mairust_core.store import process_numbers
from mairust_core.store.sqlite import Sqlite

PROBE_S = 0.5
POLL_S = 0.5
FLUSH_S = 1.0
KEEP_ROOM_S = 60.0
AGAIN_S = 5.0

log = logging.getLogger("mairust.serve")


def run(
    settings: Settings,
    sockets: dict[str, socket.socket],
    ready: Callable[[], None],
    counters: Counters,
    parent_alive: int | None = None,
) -> int:
    """Work until told to stop; the exit code.

    `ready` is called when every listener takes connections. `counters` are this worker's; what is said once
    for all workers is said by the first. `parent_alive` is a descriptor that reaches its end when the
    supervisor is gone. Raises the errors of `open_site`.
    """
    listening = _addresses(sockets)
    beside = _Beside(
        committing=start_committing(settings),
        jobs=start_jobs(settings, listening) if counters.index == 0 else None,
    )
    site = open_site(settings)
    site.counters = counters
    site.listening = listening
    site.ways_to_plugins.tell_isolation = partial(noted.note, settings.data_dir)
    _tell_what_runs(site)
    gc.freeze()
    calm_collector()
    if counters.index == 0:
        warn_of_growth(site)
    try:
        with _runner() as runner:
            runner.run(_Worker(site, sockets, ready, parent_alive, beside).run())
    finally:
        site.close()
        cgroups.leave()  # a worker below a supervisor ends without `atexit`
    return 0


def _tell_what_runs(site: Site) -> None:
    log.info("MaiRust %s serves %s, %s", __version__, site.settings.data_dir, site.storage.name)
    if isinstance(site.storage, Sqlite) and not site.storage.is_safe:
        log.warning("this SQLite has the fault mended in 3.51.3: only write.lock guards the data (rule D1)")


def warn_of_growth(site: Site) -> None:
    """Say in the log when the site outgrows its database (R-DB-2); nothing that fails here stops a server."""
    try:
        found = outgrown(site.storage)
    except MaiRustError as error:
        log.warning("the size of the site is not known: %s", error)
        return
    for finding in explained(found, "en").findings:
        log.warning("%s %s %s", finding.what, finding.why, finding.mend)


def _runner() -> asyncio.Runner:
    try:
        import uvloop
    except ModuleNotFoundError:
        return asyncio.Runner()
    return asyncio.Runner(loop_factory=uvloop.new_event_loop)


def _addresses(sockets: dict[str, socket.socket]) -> dict[str, tuple[str, int]]:
    """Host and port of each listener that has them."""
    names = {name: one.getsockname() for name, one in sockets.items()}
    return {name: (at[0], at[1]) for name, at in names.items() if isinstance(at, tuple)}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Beside:
    """The processes beside this one, as far as there are."""

    committing: CommittingProcess | None
    jobs: JobsProcess | None


class _Worker:
    def __init__(
        self,
        site: Site,
        sockets: dict[str, socket.socket],
        ready: Callable[[], None],
        parent_alive: int | None,
        beside: _Beside,
    ) -> None:
        self._site = site
        self._sockets = sockets
        self._ready = ready
        self._parent_alive = parent_alive
        self._beside = beside
        self._committer = beside.committing.committer(site) if beside.committing else None
        self._stopping = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._health = Health(site.free_bytes, self._probe)
        self._refusals = Refusals(site.storage, site.ids)
        self._jobs: list[Runner] = []

    async def run(self) -> None:
        asyncio.get_running_loop().set_default_executor(Threads())
        self._heed_signals()
        if self._committer is not None:
            self._committer.begin()
        chain = self._site.open_chain()
        self._site.running_chain = chain, asyncio.get_running_loop()
        road = open_road(self._site, self._health, self._refusals, chain, self._committer)
        if self._site.settings.jobs.workers:
            self._jobs.append(self._site.hook_runner(chain, asyncio.get_running_loop()))
        listeners = Listeners(self._site, road, self._sockets)
        await road.poll()
        await listeners.start()
        try:
            for runner in self._jobs:
                runner.start()
            self._share_jobs()
        except BaseException:
            await listeners.stop(0)
            raise
        self._begin_tasks(road)
        self._site.counters.begin()
        self._ready()
        await self._stopping.wait()
        await self._stop(listeners)
        await chain.close()
        road.close()
        if self._beside.committing is not None and self._committer is not None:
            self._committer.close()
            await self._beside.committing.child.end_within(CLOSE_S)

    async def _stop(self, listeners: Listeners) -> None:
        """Let what is under way end: mail, requests and jobs together, then tasks."""
        self._site.counters.stops()
        log.info("stopping, %d s for what is under way", self._site.settings.node.grace_s)
        if self._parent_alive is None:
            notify("STOPPING=1")
        await asyncio.gather(listeners.stop(self._site.settings.node.grace_s), self._stop_jobs())
        await self._end_tasks()
        self._site.running_chain = None

    def _begin_tasks(self, road: MailRoad) -> None:
        self._tasks += [
            asyncio.create_task(_poll(road)),
            asyncio.create_task(_every(PROBE_S, self._health.probe_database)),
            asyncio.create_task(_every(FLUSH_S, self._refusals.flush)),
            asyncio.create_task(_every(RENEW_S, self._renew)),
            asyncio.create_task(_every(KEEP_ROOM_S, self._site.keep_room, 0)),
        ]

    def _heed_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        loop.add_signal_handler(signal.SIGHUP, log.info, "certificates are read again when they change")
        if self._parent_alive is not None:
            loop.add_reader(self._parent_alive, self._orphaned, self._parent_alive)

    def _orphaned(self, alive: int) -> None:
        asyncio.get_running_loop().remove_reader(alive)
        os.close(alive)
        log.error("the supervisor is gone, stopping")
        self._stopping.set()

    def _probe(self) -> None:
        with self._site.storage.read() as tx:
            tx.execute(text("SELECT 1"))

    def _renew(self) -> None:
        process_numbers.renew(self._site.storage, self._site.ids)

    def _share_jobs(self) -> None:
        """Leave jobs to the process beside the first worker; where there is none, that runs them."""
        if self._beside.jobs is not None:
            self._site.job_bell = self._beside.jobs.bell
            self._beside.jobs.watch(self._take_jobs)
        elif self._site.counters.index == 0 and self._site.settings.jobs.workers:
            self._run_jobs()

    def _take_jobs(self) -> None:
        self._tasks.append(asyncio.create_task(self._run_jobs_at_last()))

    async def _run_jobs_at_last(self) -> None:
        """Run them here once that is possible: what ended the keeper may be what this one lacks, too."""
        while not self._stopping.is_set():
            try:
                self._run_jobs()
            except Exception as error:
                why = shortage(error)
                log.error(
                    "jobs cannot be run, again in %g s: %s", AGAIN_S, why or error, exc_info=why is None
                )
                await asyncio.sleep(AGAIN_S)
            else:
                return

    def _run_jobs(self) -> None:
        runner = self._site.job_runner()
        runner.start()
        self._jobs.append(runner)
        self._tasks.append(asyncio.create_task(_every(INDEX_S, partial(call_indexer, self._site))))

    async def _stop_jobs(self) -> None:
        grace_s = self._site.settings.node.grace_s
        stops = [asyncio.to_thread(runner.stop, grace_s) for runner in self._jobs]
        beside = [self._beside.jobs.stop(grace_s)] if self._beside.jobs else []
        await asyncio.gather(*beside, *stops)

    async def _end_tasks(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.to_thread(self._refusals.flush)


async def _poll(road: MailRoad) -> None:
    while True:
        await asyncio.sleep(POLL_S)
        try:
            await road.poll()
        except Exception:
            log.exception("administrative changes cannot be seen, again in %s s", POLL_S)


async def _every(pause_s: float, work: Callable[[], object], first_s: float | None = None) -> None:
    """Do something on a thread again and again; what fails is logged and tried the next time."""
    wait_s, told = pause_s if first_s is None else first_s, ""
    while True:
        await asyncio.sleep(wait_s)
        wait_s = pause_s
        told = await asyncio.to_thread(attend, work, told)
