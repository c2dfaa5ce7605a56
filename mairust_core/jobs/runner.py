"""A process's share in the queue: one thread speaks to the database, a few others run handlers.

Each turn is one transaction: what ended is settled, what is due is leased. Under load many jobs share it,
as mails share a commit; alone, a job waits for nothing. Idle, the queue is looked at once a second.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from random import Random
from typing import TYPE_CHECKING, Protocol

from mairust_core.errors import MaiRustError
from mairust_core.ids import to_time
from mairust_core.jobs import Kind, Schedule, Timing
from mairust_core.jobs.crew import Crew
from mairust_core.jobs.lease import Lease
from mairust_core.jobs.retries import Outcome, longest_delay_ms, settlement
from mairust_core.jobs.schedules import Calendar
from mairust_core.jobs.watch import Seen, Watch
from mairust_core.store import leases as queries
from mairust_core.store import process_numbers

if TYPE_CHECKING:
    from mairust_core.app import Site

MAX_AHEAD = 128
"""Jobs leased beyond those that have a thread: quick ones only, so that many share a transaction."""
AHEAD_S = 0.05
CLOCK_WENT_BACK_MS = 1000
LAST_LOOKS_S = 0.1
"""A runner that stops looks so often whether its last job has ended."""
AFTER_TROUBLE_S = 1.0

log = logging.getLogger("mairust.jobs")


class Workforce(Protocol):
    """Those who run handlers: leases go in, outcomes come out."""

    def start(self) -> None:
        """Begin to work."""
        ...

    def pace_s(self) -> float | None:
        """How long a job takes of late; None when nothing is to be leased ahead."""
        ...

    def take(self, leases: list[Lease]) -> None:
        """Run these."""
        ...

    def outcomes(self) -> list[Outcome]:
        """What has ended since the last call."""
        ...

    def withdraw(self) -> list[Lease]:
        """The leases that are not begun, and will not be."""
        ...

    def begun(self) -> dict[Lease, float]:
        """What is being run, and since when."""
        ...

    def end(self) -> None:
        """Take nothing any more."""
        ...


class Runner:
    """Runs jobs of the given kinds until it is stopped; `threads` at a time.

    `workforce` makes those who run them, given what tells the runner of an outcome; threads otherwise.
    """

    def __init__(
        self,
        site: Site,
        kinds: Sequence[Kind],
        schedules: Sequence[Schedule] = (),
        *,
        threads: int,
        timing: Timing | None = None,
        chance: Random | None = None,
        workforce: Callable[[Callable[[], None]], Workforce] | None = None,
        bell: threading.Event | None = None,
    ) -> None:
        self._storage = site.storage
        self._kinds = {kind.name: kind for kind in kinds}
        self._threads = threads
        self._timing = timing or Timing()
        self._chance = chance or Random()  # noqa: S311 - spreads retries, keeps no secret
        self._bell = bell or site.job_bell
        self._worker = process_numbers.holder()
        self._crew: Workforce = (
            workforce(self._bell.set) if workforce else Crew(site, self._kinds, threads, self._bell.set)
        )
        self._calendar = Calendar(site.storage, site.ids, schedules)
        self._watch = Watch(self._lease_ms, self._timing.renew_s)
        self._held: dict[Lease, float] = {}
        """Our leases, and since when by our own clock they are good."""
        self._unsettled: list[Outcome] = []
        self._pause_s = self._timing.first_pause_s
        self._watched = float("-inf")
        self._clock_ahead_ms: int | None = None
        self._stopping = threading.Event()
        self._trouble = ""
        self._thread = threading.Thread(target=self._run, name="jobs", daemon=True)

    @property
    def _lease_ms(self) -> int:
        return round(self._timing.lease_s * 1000)

    def inherit(self, worker: str) -> None:
        """Take at once what that worker has: its process is known to have ended. Before `start`."""
        self._watch.end(worker)

    def start(self) -> None:
        """Begin to run jobs; raises what starting a thread raises, and none is left then."""
        try:
            self._crew.start()
            self._thread.start()
        except BaseException:
            self._crew.end()
            raise

    def stop(self, grace_s: float) -> None:
        """Take nothing new, give back what is not begun, and wait that long for what is.

        Handlers are told by `Lease.stopping`. A job whose handler goes on beyond that is found by the other
        workers when its lease is over.
        """
        self._stopping.set()
        self._bell.set()
        self._thread.join(grace_s)
        self._crew.end()
        if self._thread.is_alive():
            log.warning("jobs are still running after %g s, their leases run out by themselves", grace_s)

    def _run(self) -> None:
        while True:
            rung = self._bell.is_set()
            self._bell.clear()  # before anything is looked at: what rings from here on is heard below
            if self._stopping.is_set() and self._wind_down():
                return
            wait_s = AFTER_TROUBLE_S
            try:
                wait_s = self._turn(rung)
            except MaiRustError as error:
                self._tell_trouble(str(error))
            except Exception:
                log.exception("the queue of jobs could not be served, again in %g s", wait_s)
            else:
                self._tell_trouble("")
            self._lose_what_ran_out()
            # what ended while we were told to stop is settled by now, and nothing will ring for it
            self._bell.wait(min(wait_s, LAST_LOOKS_S) if self._stopping.is_set() else wait_s)

    def _tell_trouble(self, why: str) -> None:
        if why != self._trouble:
            self._trouble = why
            if why:
                log.warning("jobs wait: %s", why)
            else:
                log.info("jobs are run again")

    def _wind_down(self) -> bool:
        """Tell handlers to stop; True when nothing is left of them."""
        self._return(self._crew.withdraw())
        for lease in self._held:
            lease.stopping.set()
        return not self._held and not self._unsettled

    def _return(self, unbegun: list[Lease]) -> None:
        self._unsettled += [Outcome(lease=lease, returned=True) for lease in unbegun]

    def _turn(self, rung: bool) -> float:
        """Look after everything once; how long to wait for the bell before the next turn."""
        self._unsettled += self._crew.outcomes()
        self._heed_time()
        wanted = {} if self._stopping.is_set() else self._wanted()
        works = bool(self._unsettled) or bool(wanted and (rung or self._is_due(wanted)))
        if works:
            self._exchange(wanted)
        self._renew_when_due()
        if time.monotonic() - self._watched >= self._timing.watch_s and not self._stopping.is_set():
            self._look_around()
        return self._next_wait_s(works)

    def _next_wait_s(self, works: bool) -> float:
        """Jobs that end ring the bell; the pause is for jobs that others make."""
        if works:
            self._pause_s = self._timing.first_pause_s
        else:
            self._pause_s = min(self._pause_s * 2, self._timing.longest_pause_s)
        return min(self._pause_s, self._timing.renew_s / 4)

    def _wanted(self) -> dict[str, int]:
        """How many more jobs of each kind this process could begin, or lease ahead when they are quick."""
        pace_s = self._crew.pace_s()
        ahead = 0 if pace_s is None else min(MAX_AHEAD, int(AHEAD_S * self._threads / max(pace_s, 1e-6)))
        free = self._threads + ahead - len(self._held) + len(self._unsettled)
        if free < 1:
            return {}
        have = Counter(lease.job.kind for lease in self._held)
        have.subtract(Counter(outcome.lease.job.kind for outcome in self._unsettled))
        wanted = {}
        for kind in self._kinds.values():
            room = free if kind.concurrency is None else min(free, kind.concurrency - have[kind.name])
            if room > 0:
                wanted[kind.name] = room
        return wanted

    def _is_due(self, wanted: dict[str, int]) -> bool:
        with self._storage.read() as tx:
            due_ms = queries.next_due_ms(self._storage, tx, wanted)
            return due_ms is not None and due_ms <= self._storage.now_ms(tx)

    def _exchange(self, wanted: dict[str, int]) -> None:
        """Settle what ended and lease what is due, in one transaction."""
        ended = list(self._unsettled)
        rulings = [
            settlement(one, self._kinds[one.lease.job.kind], self._chance)
            for one in ended
            if not one.lease.finished
        ]
        limit = max(wanted.values(), default=0)
        asked = queries.Claim(kinds=wanted, limit=limit, worker=self._worker, lease_ms=self._lease_ms)
        began = time.monotonic()
        with self._storage.write() as tx:
            now_ms = self._storage.now_ms(tx)
            kept = queries.settle(self._storage, tx, rulings, now_ms)
            leased = queries.claim(self._storage, tx, asked, now_ms) if limit else []
        for outcome in ended:
            self._held.pop(outcome.lease, None)
            if not outcome.lease.finished and outcome.lease.job.id not in kept:
                log.warning("what became of job %d is not written: its lease was lost", outcome.lease.job.id)
        del self._unsettled[: len(ended)]
        fresh = [Lease(one) for one in leased]
        self._held.update(dict.fromkeys(fresh, began))
        self._crew.take(fresh)

    def _renew_when_due(self) -> None:
        now = time.monotonic()
        held = {lease: since for lease, since in self._held.items() if not (lease.lost or lease.finished)}
        if not any(now - since >= self._timing.renew_s for since in held.values()):
            return
        with self._storage.write() as tx:
            until_ms = self._storage.now_ms(tx) + self._lease_ms
            kept = queries.renew(self._storage, tx, [lease.job for lease in held], until_ms)
        for lease in held:
            if lease.job.id in kept:
                self._held[lease] = now
            else:
                log.warning("the lease of job %d was lost", lease.job.id)
                lease.lose()

    def _lose_what_ran_out(self) -> None:
        """A lease that could not be renewed for its whole length may be somebody else's."""
        now = time.monotonic()
        for lease, since in self._held.items():
            if not lease.lost and now - since >= self._timing.lease_s:
                log.warning("the lease of job %d ran out before it could be renewed", lease.job.id)
                lease.lose()

    def _heed_time(self) -> None:
        """Stop handlers whose time is over, give back what found no thread."""
        now = time.monotonic()
        begun = self._crew.begun()
        for lease, since in begun.items():
            limit_s = self._kinds[lease.job.kind].timeout_s
            if limit_s is not None and now - since >= limit_s and not lease.timed_out:
                log.warning("job %d (%s) takes longer than %g s", lease.job.id, lease.job.kind, limit_s)
                lease.time_out()
        if len(begun) == self._threads and now - max(begun.values()) >= self._timing.return_s:
            self._return(self._crew.withdraw())

    def _look_around(self) -> None:
        """Schedules, other workers' leases, and whether the clock went back."""
        if self._watched == float("-inf"):
            self._calendar.write_down()
        if self._calendar.look():
            self._bell.set()
        mine = {lease.job.id for lease in self._held}
        with self._storage.read() as tx:
            others = [one for one in queries.held(self._storage, tx) if one.id not in mine]
            now_ms = self._storage.now_ms(tx)
        self._heed_clock(now_ms)
        seen = self._watch.look(others, now_ms, time.monotonic())
        if seen.ended or seen.overdue or seen.beyond:
            self._take_over(seen, now_ms)
        self._watched = time.monotonic()

    def _take_over(self, seen: Seen, now_ms: int) -> None:
        with self._storage.write() as tx:
            given_up = queries.expire(self._storage, tx, seen.ended, now_ms, "died")
            taken = queries.expire(self._storage, tx, seen.overdue, now_ms)
            queries.shorten(self._storage, tx, seen.beyond, now_ms + self._lease_ms)
        if given_up:
            log.warning("%d jobs taken from a process that died", given_up)
        if taken:
            log.warning("%d jobs taken from workers that did not renew their leases", taken)
        if given_up or taken:
            self._bell.set()

    def _heed_clock(self, now_ms: int) -> None:
        """At the start, and when the database's clock went back against our own."""
        ahead_ms = now_ms - round(time.monotonic() * 1000)
        known, self._clock_ahead_ms = self._clock_ahead_ms, ahead_ms
        if known is not None and ahead_ms > known - CLOCK_WENT_BACK_MS:
            return
        longest_ms = longest_delay_ms(list(self._kinds.values()))
        moved = 0
        while behind := self._misdated(now_ms, longest_ms):
            with self._storage.write() as tx:
                queries.redate(self._storage, tx, behind)
            moved += len(behind)
        if moved:
            log.warning("the clock went back to %s, %d waiting jobs follow it", to_time(now_ms), moved)
            self._bell.set()

    def _misdated(self, now_ms: int, longest_ms: int) -> list[queries.Misdated]:
        with self._storage.read() as tx:
            return queries.misdated(self._storage, tx, now_ms, longest_ms)
