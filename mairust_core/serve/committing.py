"""The committing process of a worker: forked before the worker opens anything, gone when the worker is."""

from __future__ import annotations

import ctypes
import gc
import logging
import os
import signal
import sys
import time
from dataclasses import dataclass

from mairust_core.app import Site, open_site
from mairust_core.config import Settings
from mairust_core.errors import MaiRustError
from mairust_core.observe.collector import calm_collector
from mairust_core.receive.committer_process import answer
from mairust_core.receive.distant_committer import DistantCommitter
from mairust_core.store import process_numbers

RENEW_S = 300.0
_PR_SET_PDEATHSIG = 1
_STDERR = 2
log = logging.getLogger("mairust.serve")


@dataclass(frozen=True, slots=True, kw_only=True)
class CommittingProcess:
    """The process, and the two pipes that lead to it."""

    pid: int
    outgoing: int
    incoming: int

    def committer(self, site: Site) -> DistantCommitter:
        """Its committer, for one event loop; this process dies as it does."""
        return DistantCommitter(self.outgoing, self.incoming, site.committer, self._die_too)

    def _die_too(self) -> None:
        """End at once, killed where that was: what this process takes without it is never stored."""
        code = self.wait()
        log.critical("the committing process ended with %d, and so does this one", code)
        if code < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        os._exit(code or 1)

    def wait(self) -> int:
        """Its exit code, negative for a signal, when it has ended."""
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def start_committing(settings: Settings) -> CommittingProcess | None:
    """Fork it; None where one core has to do everything. To be called before there are threads."""
    if cores() < 2:
        return None
    to_child, outgoing = os.pipe()
    incoming, from_child = os.pipe()
    parent = os.getpid()
    gc.freeze()  # a collection would touch, and so copy, every page that both share
    pid = os.fork()
    if pid == 0:
        _become(settings, parent, to_child, from_child)
    os.close(to_child)
    os.close(from_child)
    return CommittingProcess(pid=pid, outgoing=outgoing, incoming=incoming)


def cores() -> int:
    """How many cores this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _become(settings: Settings, parent: int, incoming: int, outgoing: int) -> None:
    """The child's life; never returns."""
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # the worker decides when it ends
            signal.signal(number, signal.SIG_IGN)
        _keep_only(incoming, outgoing)
        code = _commit(settings, parent, incoming, outgoing)
    except MaiRustError as error:
        log.error("the committing process cannot start: %s", error)
        code = error.exit_code
    except Exception:
        log.exception("the committing process failed")
    finally:
        os._exit(code)


def _keep_only(*kept: int) -> None:
    """Close what the worker has open: sockets, locks, and pipes whose end somebody waits for."""
    start = _STDERR + 1
    for fd in sorted(kept):
        os.closerange(start, fd)
        start = fd + 1
    os.closerange(start, os.sysconf("SC_OPEN_MAX"))


def _commit(settings: Settings, parent: int, incoming: int, outgoing: int) -> int:
    site = open_site(settings)
    _die_with(parent)
    gc.freeze()
    calm_collector()
    try:
        answer(site.committer, incoming, outgoing, _Upkeep(site))
    finally:
        site.close()
    return 0


def _die_with(parent: int) -> None:
    """Be killed when the worker is: set after the last change of user, which would forget it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


class _Upkeep:
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
