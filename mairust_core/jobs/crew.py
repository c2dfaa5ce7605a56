"""The threads that run handlers."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from mairust_core.errors import MaiRustError
from mairust_core.jobs import Interrupted, Kind, Later, LeaseLost
from mairust_core.jobs.lease import Lease
from mairust_core.jobs.retries import Outcome, one_line

if TYPE_CHECKING:
    from mairust_core.app import Site

log = logging.getLogger("mairust.jobs")


class Crew:
    """A few threads; leases go in, outcomes come out. `tell` is called when there is an outcome.

    The threads are daemons: one whose handler never returns does not keep the process.
    """

    def __init__(self, site: Site, kinds: Mapping[str, Kind], threads: int, tell: Callable[[], None]) -> None:
        self._site = site
        self._kinds = kinds
        self._tell = tell
        self._waiting: deque[Lease] = deque()
        self._outcomes: deque[Outcome] = deque()
        self._begun: dict[Lease, float] = {}
        self._changed = threading.Condition()
        self._ending = False
        self._mean_s: float | None = None
        self._threads = [
            threading.Thread(target=self._work, name=f"job-{number}", daemon=True)
            for number in range(threads)
        ]

    def start(self) -> None:
        """Begin to work."""
        for thread in self._threads:
            thread.start()

    def pace_s(self) -> float | None:
        """How long a job takes of late, or has taken by now when no thread is free; None at first."""
        with self._changed:
            mean_s, begun = self._mean_s, list(self._begun.values())
        if mean_s is None or len(begun) < len(self._threads):
            return mean_s
        return max(mean_s, time.monotonic() - max(begun))

    def take(self, leases: list[Lease]) -> None:
        """Run these as threads become free, in order."""
        with self._changed:
            self._waiting.extend(leases)
            self._changed.notify(len(leases))

    def outcomes(self) -> list[Outcome]:
        """What has ended since the last call."""
        found = []
        while self._outcomes:
            found.append(self._outcomes.popleft())
        return found

    def withdraw(self) -> list[Lease]:
        """The leases that no thread has begun, which it will not begin any more."""
        with self._changed:
            found = list(self._waiting)
            self._waiting.clear()
        return found

    def begun(self) -> dict[Lease, float]:
        """What is being run, and since when."""
        with self._changed:
            return dict(self._begun)

    def end(self) -> None:
        """Take nothing any more."""
        with self._changed:
            self._ending = True
            self._changed.notify_all()

    def _work(self) -> None:
        while (lease := self._next()) is not None:
            outcome = self._run(lease)
            with self._changed:
                took_s = time.monotonic() - self._begun.pop(lease)
                self._mean_s = took_s if self._mean_s is None else self._mean_s * 0.9 + took_s * 0.1
            self._outcomes.append(outcome)
            self._tell()

    def _next(self) -> Lease | None:
        with self._changed:
            while not self._waiting and not self._ending:
                self._changed.wait()
            if self._ending:
                return None
            lease = self._waiting.popleft()
            self._begun[lease] = time.monotonic()
            return lease

    def _run(self, lease: Lease) -> Outcome:
        job = lease.job
        try:
            self._kinds[job.kind].handler(self._site, job.payload, lease)
        except (Interrupted, LeaseLost):
            return Outcome(lease=lease, returned=True)
        except Later as wait:
            return Outcome(lease=lease, returned=True, waits_s=wait.delay_s, error=str(wait))
        except MaiRustError as error:  # it says itself what happened and what mends it
            log.error(
                "job %d (%s %s) failed, attempt %d: %s", job.id, job.kind, job.subject, job.attempts, error
            )
            return Outcome(lease=lease, error=one_line(error))
        except BaseException as error:  # a thread of the crew outlives whatever a handler raises
            log.exception("job %d (%s %s) failed, attempt %d", job.id, job.kind, job.subject, job.attempts)
            return Outcome(lease=lease, error=one_line(error))
        return Outcome(lease=lease)
