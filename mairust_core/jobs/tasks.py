"""Handlers that do nothing but wait run as tasks of the event loop and hold no thread (rule E4)."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, cast

from mairust_core.jobs import Interrupted, Kind, Later, LeaseLost
from mairust_core.jobs.lease import Lease
from mairust_core.jobs.retries import Outcome, one_line

if TYPE_CHECKING:
    from mairust_core.app import Site

AT_ONCE = 64
"""Jobs that wait on the loop of one process at a time."""
LOOK_S = 0.2
"""How soon a task notices that it is to stop."""

log = logging.getLogger("mairust.jobs")


class Tasks:
    """Takes leases from a runner's thread and runs them on `loop`, all at once; the runner bounds them."""

    def __init__(
        self,
        site: Site,
        kinds: Mapping[str, Kind],
        loop: asyncio.AbstractEventLoop,
        tell: Callable[[], None],
    ) -> None:
        self._site = site
        self._kinds = kinds
        self._loop = loop
        self._tell = tell
        self._outcomes: deque[Outcome] = deque()
        self._begun: dict[Lease, float] = {}
        self._changed = threading.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Nothing to start: the loop runs."""

    def pace_s(self) -> float | None:
        """Nothing is leased ahead: each has its slot."""
        return None

    def take(self, leases: list[Lease]) -> None:
        """Run these now."""
        with self._changed:
            self._begun |= dict.fromkeys(leases, time.monotonic())
        for lease in leases:
            self._loop.call_soon_threadsafe(self._begin, lease)

    def _begin(self, lease: Lease) -> None:
        task = self._loop.create_task(self._run(lease))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, lease: Lease) -> None:
        outcome = await self._outcome(lease)
        with self._changed:
            del self._begun[lease]
        self._outcomes.append(outcome)
        self._tell()

    async def _outcome(self, lease: Lease) -> Outcome:
        job = lease.job
        handler = cast(Callable[..., Coroutine[Any, Any, None]], self._kinds[job.kind].handler)
        work = self._loop.create_task(handler(self._site, job.payload, lease))
        while not work.done():
            await asyncio.wait({work}, timeout=LOOK_S)
            if lease.stopping.is_set():
                work.cancel()
        try:
            await work
        except (Interrupted, LeaseLost, asyncio.CancelledError):
            return Outcome(lease=lease, returned=True)
        except Later as wait:
            return Outcome(lease=lease, returned=True, waits_s=wait.delay_s, error=str(wait))
        except Exception as error:  # whatever a handler raises is its job's failure
            log.info("job %d (%s %s) failed, attempt %d", job.id, job.kind, job.subject, job.attempts)
            return Outcome(lease=lease, error=one_line(error))
        return Outcome(lease=lease)

    def outcomes(self) -> list[Outcome]:
        """What has ended since the last call."""
        found = []
        while self._outcomes:
            found.append(self._outcomes.popleft())
        return found

    def withdraw(self) -> list[Lease]:
        """None: all have begun."""
        return []

    def begun(self) -> dict[Lease, float]:
        """What is being run, and since when."""
        with self._changed:
            return dict(self._begun)

    def end(self) -> None:
        """Tasks end with their leases."""
