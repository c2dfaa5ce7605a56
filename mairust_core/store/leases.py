"""Leases: which worker has which job, until when (rule F3, trap D4).

A lease is over by the database's clock, never by a worker's. What a worker reports is written only if the
job's fencing number is still that of its lease; so a worker that was frozen for an hour changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select, update

from mairust_core.model.ids import Id
from mairust_core.model.job import Held, Leased, Priority, Settlement, State
from mairust_core.store import StorageBackend
from mairust_core.store.tables import job

LEASES_LOST = 3
"""A worker that dies says little about its job: so many attempts more than failures alone would get."""
MEND_ROWS = 500

_FINISHED = frozenset({State.DONE, State.DEAD})


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a worker wants: so many jobs of each kind, and no more than `limit` in all, for `lease_ms`."""

    kinds: Mapping[str, int]
    limit: int
    worker: str
    lease_ms: int


def next_due_ms(storage: StorageBackend, tx: Connection, kinds: Iterable[str]) -> int | None:
    """When the next job of these kinds is due, perhaps long ago; None when none waits. One statement."""
    pairs = _pairs(kinds)
    if not pairs:
        return None
    wanted = ", ".join(["(?, ?)"] * len(pairs))
    first = (
        "SELECT min(run_at_ms) FROM job"
        " WHERE state = 'ready' AND kind = wanted.kind AND priority = wanted.priority"
    )
    sql = f"WITH wanted (kind, priority) AS (VALUES {wanted}) SELECT min(({first})) FROM wanted"  # noqa: S608 - no values
    [(found,)] = storage.fetch_all(tx, sql, [value for pair in pairs for value in pair])
    return None if found is None else int(found)


def claim(storage: StorageBackend, tx: Connection, claim: Claim, now_ms: int) -> list[Leased]:
    """Lease jobs that are due, the lowest priority first, then the one that has waited longest."""
    pairs = [(kind, priority) for kind, priority in _pairs(claim.kinds) if claim.kinds[kind] > 0]
    if not pairs or claim.limit < 1:
        return []
    values: list[object] = []
    for kind, priority in pairs:
        values += (kind, priority, now_ms, min(claim.kinds[kind], claim.limit))
    rows = storage.fetch_all(tx, _due_sql(len(pairs), storage.skip_locked), [*values, claim.limit])
    found = _within(claim.kinds, rows)
    storage.execute_many(
        tx,
        "UPDATE job SET state = 'running', fence = ?, attempts = ?, leased_until_ms = ?, worker = ?"
        " WHERE id = ?",
        [(one.fence, one.attempts, now_ms + claim.lease_ms, claim.worker, one.id) for one in found],
    )
    return found


def _pairs(kinds: Iterable[str]) -> list[tuple[str, int]]:
    return [(kind, priority.value) for kind in kinds for priority in Priority]


def _due_sql(branches: int, skip_locked: str) -> str:
    """Each branch is one range of the index `ix_job_ready`, however long the queue and whatever fills it."""
    branch = (
        "SELECT id, kind, subject, payload, attempts, max_attempts, fence, priority, run_at_ms"  # noqa: S608 - no values
        " FROM job WHERE state = 'ready' AND kind = ? AND priority = ? AND run_at_ms <= ?"
        f" ORDER BY run_at_ms, id LIMIT ?{skip_locked}"
    )
    due = " UNION ALL ".join(f"SELECT * FROM ({branch}) AS due{n}" for n in range(branches))  # noqa: S608 - no values
    return f"{due} ORDER BY priority, run_at_ms, id LIMIT ?"


def _within(kinds: Mapping[str, int], rows: Iterable[Sequence[object]]) -> list[Leased]:
    """The rows as leases, of each kind no more than wanted over all priorities."""
    left = dict(kinds)
    found = []
    for id_, kind, subject, payload, attempts, max_attempts, fence, *_ in rows:
        name = str(kind)
        if left[name] > 0:
            left[name] -= 1
            found.append(
                Leased(
                    id=Id(str(id_)), kind=name, subject=str(subject), payload=json.loads(str(payload)),
                    attempts=int(str(attempts)) + 1, max_attempts=int(str(max_attempts)),
                    fence=int(str(fence)) + 1,
                )
            )  # fmt: skip
    return found


def settle(storage: StorageBackend, tx: Connection, ended: Sequence[Settlement], now_ms: int) -> set[Id]:
    """Write what became of leased jobs; the ids of those whose lease was still current."""
    rows = [
        (
            one.state.value,
            now_ms + one.delay_ms,
            one.lease.attempts - (not one.counted),
            one.error,
            now_ms if one.state in _FINISHED else None,
            one.lease.id,
            one.lease.fence,
        )
        for one in sorted(ended, key=lambda one: one.lease.id)
    ]
    kept = storage.fetch_each(
        tx,
        "UPDATE job SET state = ?, run_at_ms = ?, attempts = ?, last_error = ?, finished_ms = ?,"
        " leased_until_ms = NULL WHERE id = ? AND fence = ? AND state = 'running' RETURNING id",
        rows,
    )
    return {Id(row[0]) for row in kept if row is not None}


def renew(storage: StorageBackend, tx: Connection, leases: Sequence[Leased], until_ms: int) -> set[Id]:
    """Keep jobs until then; the ids of those that are still ours."""
    kept = storage.fetch_each(
        tx,
        "UPDATE job SET leased_until_ms = ? WHERE id = ? AND fence = ? AND state = 'running' RETURNING id",
        [(until_ms, one.id, one.fence) for one in sorted(leases, key=lambda one: one.id)],
    )
    return {Id(row[0]) for row in kept if row is not None}


def is_current(tx: Connection, lease: Leased) -> bool:
    """Whether the lease still holds; if so it does until this transaction ends, for the row is locked."""
    query = select(job.c.id).where(
        job.c.id == lease.id, job.c.fence == lease.fence, job.c.state == State.RUNNING.value
    )
    return tx.execute(query.with_for_update()).first() is not None


def finish(tx: Connection, lease: Leased, now_ms: int) -> bool:
    """Note that a job is done, if the lease still holds; whether it does."""
    mine = (job.c.id == lease.id) & (job.c.fence == lease.fence) & (job.c.state == State.RUNNING.value)
    done = {"state": State.DONE.value, "finished_ms": now_ms, "last_error": None, "leased_until_ms": None}
    return tx.execute(update(job).where(mine).values(done)).rowcount == 1


def held(storage: StorageBackend, tx: Connection) -> list[Held]:
    """Every running job, of all workers."""
    rows = storage.fetch_all(
        tx,
        "SELECT id, fence, leased_until_ms, attempts, max_attempts, worker FROM job"
        " WHERE state <> 'done' AND state = 'running' ORDER BY id",
        (),
    )
    return [
        Held(id=Id(id_), fence=fence, leased_until_ms=until, attempts=attempts, max_attempts=most, worker=who)
        for id_, fence, until, attempts, most, who in rows
    ]


def expire(
    storage: StorageBackend,
    tx: Connection,
    overdue: Sequence[Held],
    now_ms: int,
    why: str = "did not renew its lease",
) -> int:
    """Take jobs from workers that died, as `why` tells of each; what is renewed meanwhile stays. How many."""
    rows = []
    for one in overdue:
        spent = one.attempts >= one.max_attempts + LEASES_LOST
        state = State.DEAD if spent else State.READY
        error = f"the worker {one.worker} {why}"
        finished_ms = now_ms if spent else None
        rows.append((state.value, now_ms, error, finished_ms, one.id, one.fence, one.leased_until_ms))
    taken = storage.fetch_each(
        tx,
        "UPDATE job SET state = ?, run_at_ms = ?, last_error = ?, finished_ms = ?, leased_until_ms = NULL"
        " WHERE id = ? AND fence = ? AND leased_until_ms = ? AND state = 'running' RETURNING id",
        rows,
    )
    return sum(row is not None for row in taken)


def shorten(storage: StorageBackend, tx: Connection, leases: Sequence[Held], until_ms: int) -> None:
    """End leases at a time the clock will reach: it went back, or they would be over by now."""
    storage.execute_many(
        tx,
        "UPDATE job SET leased_until_ms = ? WHERE id = ? AND fence = ? AND leased_until_ms = ?"
        " AND state = 'running'",
        [(until_ms, one.id, one.fence, one.leased_until_ms) for one in leases],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Misdated:
    """A waiting job whose times come from a clock that went back, and the times it ought to have."""

    id: Id
    old_run_at_ms: int
    run_at_ms: int
    created_ms: int


def misdated(storage: StorageBackend, tx: Connection, now_ms: int, longest_delay_ms: int) -> list[Misdated]:
    """Some of the jobs that would wait until a clock that was set back has caught up.

    Those made at a time that is yet to come keep their delay; retries wait no longer than the longest one.
    """
    latest_ms = now_ms + longest_delay_ms
    rows = storage.fetch_all(
        tx,
        "SELECT id, run_at_ms, created_ms FROM job WHERE state <> 'done' AND state = 'ready'"
        " AND (created_ms > ? OR (attempts > 0 AND run_at_ms > ?)) ORDER BY id LIMIT ?",
        (now_ms, latest_ms, MEND_ROWS),
    )
    return [
        Misdated(
            id=Id(id_),
            old_run_at_ms=run_at_ms,
            run_at_ms=latest_ms if created_ms <= now_ms else now_ms + max(run_at_ms - created_ms, 0),
            created_ms=min(created_ms, now_ms),
        )
        for id_, run_at_ms, created_ms in rows
    ]


def redate(storage: StorageBackend, tx: Connection, jobs: Sequence[Misdated]) -> None:
    """Give waiting jobs their times, unless somebody changed them meanwhile."""
    storage.execute_many(
        tx,
        "UPDATE job SET run_at_ms = ?, created_ms = ? WHERE id = ? AND run_at_ms = ? AND state = 'ready'",
        [(one.run_at_ms, one.created_ms, one.id, one.old_run_at_ms) for one in jobs],
    )
