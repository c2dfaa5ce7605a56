"""What is done later: jobs, leased from the database by whichever worker is free (rule F3, trap D4).

In the order of a job's life:

    store.jobs.enqueue  made in somebody's transaction
    schedules.py        or by a schedule whose time has come
    runner.py           leased with others in one transaction, by the one thread that speaks to the queue
    crew.py             handled by one of a few threads
    tasks.py            or on the event loop, by what does nothing but wait
    retries.py          what its outcome means: done, once more later, or dead
    watch.py            and taken from workers that died
    purge.py            forgotten after its time (rule J3)

Handlers are registered by `app.py`; this room imports none. A handler runs at least once: it may have run
before without anybody having heard of it, and never at the same time as another lease's, unless its process
stood still for longer than the lease. One that must know uses `Lease.confirm` in its own transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mairust_core.model.job import Priority

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from mairust_core.app import Site
    from mairust_core.jobs.lease import Lease

Handler = Callable[["Site", Mapping[str, Any], "Lease"], None]
"""Does one job: with the site, the job's payload, and the lease under which it runs. Runs on a thread."""

TaskHandler = Callable[["Site", Mapping[str, Any], "Lease"], Coroutine[Any, Any, None]]
"""Likewise on the event loop, where it waits without holding a thread; cancelled when it is to stop."""


class Interrupted(Exception):
    """Raised by a handler that stopped in good order; its job is ready again and the attempt not counted."""


class Later(Exception):
    """Raised by a handler whose job has to wait for something else; the attempt is not counted."""

    def __init__(self, why: str, delay_s: float) -> None:
        """`why` is one line for people, in our own words; after `delay_s` the job is tried again."""
        super().__init__(why)
        self.delay_s = delay_s


class LeaseLost(Exception):
    """Somebody else has the job by now: nothing may be written for it any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of job and what does it.

    `retry_after_s`: the pauses after the first, second, … failure, the last one for all further ones.
    `concurrency`: how many one process runs at a time; None as many as it has threads. `timeout_s`: after
    this `Lease.stopping` is set, and a handler that then raises `Interrupted` has failed.
    """

    name: str
    handler: Handler | TaskHandler
    retry_after_s: tuple[float, ...] = (30.0, 120.0, 600.0)
    concurrency: int | None = None
    timeout_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A job that is made again and again: five fields of cron, in UTC.

    It is made once for each time that comes, by whichever process is first. Times that were missed, or came
    while the job before was not finished, are made up for by one job.
    """

    name: str
    cron: str
    kind: str
    priority: Priority = Priority.LOW
    needed: Callable[[Connection], bool] | None = None
    """Whether there is anything to do for it now; a time at which there is not passes without a job."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How a runner keeps time, in seconds; tests are in more of a hurry."""

    lease_s: float = 30.0
    """A worker that died is noticed after this."""
    renew_s: float = 10.0
    first_pause_s: float = 0.05
    """After work the queue is looked at again after this, and then ever less often."""
    longest_pause_s: float = 1.0
    watch_s: float = 5.0
    """Between two looks at schedules and other workers' leases."""
    return_s: float = 1.0
    """A leased job that found no free thread for so long is given back."""
