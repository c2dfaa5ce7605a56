"""Schedules: when they are due, and their jobs made once over all processes."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cronsim import CronSim

from mairust_core.ids import IdSource, to_ms, to_time
from mairust_core.jobs import Schedule
from mairust_core.model.job import NewJob
from mairust_core.store import StorageBackend, jobs
from mairust_core.store import schedules as queries

if TYPE_CHECKING:
    from sqlalchemy import Connection

log = logging.getLogger("mairust.jobs")


def next_ms(cron: str, after_ms: int) -> int:
    """The first time after a moment, in UTC; raises `CronSimError` for what is no expression."""
    return to_ms(next(CronSim(cron, to_time(after_ms))))


class Calendar:
    """The schedules of this program, and the database that tells all processes when each is due next."""

    def __init__(self, storage: StorageBackend, ids: IdSource, schedules: Sequence[Schedule]) -> None:
        self._storage = storage
        self._ids = ids
        self._schedules = {one.name: one for one in schedules}

    def write_down(self) -> None:
        """Make the database know the schedules as this program declares them; to be called once.

        What it knows besides may be of a newer program on another node: it stays, and is not heeded here.
        """
        with self._storage.read() as tx:
            known, now_ms = queries.all_of(tx), self._storage.now_ms(tx)
        fresh = [one for one in self._schedules.values() if self._differs(one, known)]
        if not fresh:
            return
        with self._storage.write() as tx:
            for one in fresh:
                due_ms = next_ms(one.cron, now_ms)
                queries.keep(self._storage, tx, one.name, one.cron, one.kind, due_ms)

    def _differs(self, one: Schedule, known: dict[str, queries.Kept]) -> bool:
        return one.name not in known or known[one.name].cron != one.cron

    def look(self) -> int:
        """Make the jobs whose time has come, each in one transaction with its next time; how many."""
        with self._storage.read() as tx:
            known, now_ms = queries.all_of(tx), self._storage.now_ms(tx)
        return sum(
            self._advance(self._schedules[name], kept, now_ms)
            for name, kept in known.items()
            if name in self._schedules
        )

    def _advance(self, one: Schedule, kept: queries.Kept, now_ms: int) -> bool:
        following_ms = next_ms(one.cron, now_ms)
        due = kept.next_ms <= now_ms
        if not due and kept.next_ms <= following_ms:
            return False
        with self._storage.write() as tx:  # due, or the clock went back behind the time before
            if not queries.advance(tx, kept, following_ms, kept.next_ms if due else None) or not due:
                return False
            if one.needed is not None and not one.needed(tx):
                return False
            return self._make(tx, one)

    def _make(self, tx: Connection, one: Schedule) -> bool:
        dedupe = f"schedule:{one.name}"
        new = NewJob(kind=one.kind, subject=f"schedule {one.name}", priority=one.priority, dedupe=dedupe)
        made = jobs.enqueue(self._storage, tx, self._ids, [new])[0] is not None
        if not made:
            log.info("the job of schedule %s is not finished yet, this time is left out", one.name)
        return made
