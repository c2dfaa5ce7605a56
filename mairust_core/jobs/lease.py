"""The right to run one job, as its handler holds it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from mairust_core.jobs import Interrupted, LeaseLost
from mairust_core.model.job import Leased
from mairust_core.store import leases

if TYPE_CHECKING:
    from sqlalchemy import Connection


class Lease:
    """One lease of one job, renewed by its runner; `stopping` is set when the handler should end."""

    def __init__(self, job: Leased) -> None:
        self.job = job
        self.stopping = threading.Event()
        """The process ends, the time is over, or the lease is lost."""
        self.lost = False
        """Somebody else has the job, or may have it by now."""
        self.timed_out = False
        self.finished = False
        """The handler has written that its job is done, and that is committed."""

    def check(self) -> None:
        """Return while there is no reason to stop; raises `Interrupted`. For long handlers, between steps."""
        if self.stopping.is_set():
            raise Interrupted

    def confirm(self, tx: Connection) -> None:
        """Return when this lease is the current one, and keep it so until the transaction ends.

        What the handler writes in that transaction is written under this lease or not at all. Raises
        `LeaseLost`.
        """
        if self.lost or not leases.is_current(tx, self.job):
            self.lose()
            raise LeaseLost(f"job {int(self.job.id)}, lease {self.job.fence}")

    def finish(self, tx: Connection, now_ms: int) -> None:
        """Write that the job is done in the transaction of what it did: killed a moment later, it is not
        done twice. After the commit the handler sets `finished`. Raises `LeaseLost`.
        """
        if self.lost or not leases.finish(tx, self.job, now_ms):
            self.lose()
            raise LeaseLost(f"job {int(self.job.id)}, lease {self.job.fence}")

    def lose(self) -> None:
        """Note that the job may be somebody else's by now."""
        self.lost = True
        self.stopping.set()

    def time_out(self) -> None:
        """Note that the handler has had its time."""
        self.timed_out = True
        self.stopping.set()
