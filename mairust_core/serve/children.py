"""Processes that a worker forks before it opens anything, and which are gone when it is."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn

from mairust_core.app import Site, open_site
from mairust_core.config import Settings
from mairust_core.errors import MaiRustError
from mairust_core.observe.collector import calm_collector
from mairust_core.shortage import shortage
from mairust_core.store import process_numbers

CLOSE_S = 2.0
"""To close the database, beyond the time for what is under way; both of a worker's processes have ended or
been killed before a supervisor kills the worker."""
RENEW_S = 300.0
_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_STDERR = 2
log = logging.getLogger("mairust.serve")


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """A process, a pipe that leads to it and one that comes from it; the first tells it to end by closing."""

    name: str
    pid: int
    outgoing: int
    incoming: int

    def wait(self) -> int:
        """Its exit code, negative for a signal, when it has ended."""
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    async def end_within(self, time_s: float) -> None:
        """Wait until it has ended, as it was told to; kill it when it takes longer."""
        killing = asyncio.get_running_loop().call_later(time_s, self._kill)
        await asyncio.to_thread(self.wait)
        killing.cancel()

    def _kill(self) -> None:
        log.error("the %s process did not end in time, killing it", self.name)
        os.kill(self.pid, signal.SIGKILL)


Life = Callable[[int, int], None]
"""What a child does, with the pipe that comes to it and the one that leaves."""


def fork(name: str, life: Life) -> Child:
    """Fork a process that lives `life`; its log calls it `the NAME process`. To be called before threads."""
    to_child, outgoing = os.pipe()
    incoming, from_child = os.pipe()
    gc.freeze()  # a collection would touch, and so copy, every page that both share
    pid = os.fork()
    if pid == 0:
        become(name, lambda: life(to_child, from_child), (to_child, from_child))
    os.close(to_child)
    os.close(from_child)
    return Child(name=name, pid=pid, outgoing=outgoing, incoming=incoming)


def cores() -> int:
    """How many cores this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def become(name: str, life: Callable[[], None], kept: Sequence[int]) -> NoReturn:
    """Go on as a process that has just been forked, with those descriptors alone; never returns."""
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # the worker decides when it ends
            signal.signal(number, signal.SIG_IGN)
        _keep_only(kept)
        life()
        code = 0
    except MaiRustError as error:
        log.error("the %s process cannot start: %s", name, error)
        code = error.exit_code
    except Exception as error:
        if lacking := shortage(error):
            log.error("the %s process cannot go on: %s", name, lacking)
            code = lacking.exit_code
        else:
            log.exception("the %s process failed", name)
    finally:
        os._exit(code)


def with_site(settings: Settings, name: str, parent: int, work: Callable[[Site], None]) -> None:
    """Work with a site of one's own, as long as the parent lives; raises what `open_site` does."""
    site = open_site(settings)
    die_with(parent, name)
    gc.freeze()
    calm_collector()
    try:
        work(site)
    finally:
        site.close()


def _keep_only(kept: Sequence[int]) -> None:
    """Close what the worker has open: sockets, locks, and pipes whose end somebody waits for."""
    start = _STDERR + 1
    for fd in sorted(kept):
        os.closerange(start, fd)
        start = fd + 1
    os.closerange(start, os.sysconf("SC_OPEN_MAX"))


def die_with(parent: int, name: str) -> None:
    """Be killed when the parent is: set after the last change of user, which would forget it.

    `name`, of 15 letters at most, is what the system shows of this process from here on.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        libc.prctl(_PR_SET_NAME, name.encode())
    if os.getppid() != parent:
        os._exit(0)


class Upkeep:
    """Renews the process number, if ids had to be made here."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._due_s = time.monotonic() + RENEW_S

    def __call__(self) -> float:
        """Do what is due; how many seconds until the next time."""
        left_s = self._due_s - time.monotonic()
        if left_s > 0:
            return left_s
        self._due_s = time.monotonic() + RENEW_S
        if self._site.has_ids:
            try:
                process_numbers.renew(self._site.storage, self._site.ids)
            except MaiRustError as error:
                log.warning("the process number could not be renewed: %s", error)
        return RENEW_S
