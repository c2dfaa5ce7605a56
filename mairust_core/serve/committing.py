"""The committing process of a worker: commits its mail, and takes it along when it dies."""

from __future__ import annotations

import logging
import os
import signal
from dataclasses import dataclass
from functools import partial

from mairust_core.app import Site
from mairust_core.config import Settings
from mairust_core.receive.committer_process import answer
from mairust_core.receive.distant_committer import DistantCommitter
from mairust_core.serve.children import Child, Upkeep, cores, fork, with_site

NAME = "committing"
log = logging.getLogger("mairust.serve")


@dataclass(frozen=True, slots=True)
class CommittingProcess:
    """The process, as its worker sees it."""

    child: Child

    def committer(self, site: Site) -> DistantCommitter:
        """Its committer, for one event loop; this process dies as it does."""
        return DistantCommitter(self.child.outgoing, self.child.incoming, site.committer, self._die_too)

    def _die_too(self) -> None:
        """End at once, killed where that was: what this process takes without it is never stored."""
        code = self.child.wait()
        log.critical("the committing process ended with %d, and so does this one", code)
        if code < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        os._exit(code or 1)


def start_committing(settings: Settings) -> CommittingProcess | None:
    """Fork it; None where one core has to do everything. To be called before there are threads."""
    if cores() < 2:
        return None
    worker = os.getpid()

    def live(incoming: int, outgoing: int) -> None:
        with_site(settings, NAME, worker, partial(_commit, incoming, outgoing))

    return CommittingProcess(fork(NAME, live))


def _commit(incoming: int, outgoing: int, site: Site) -> None:
    answer(site.committer, incoming, outgoing, Upkeep(site))
