"""Queries on jobs: made inside anybody's transaction, shown, retried, discarded, held and released."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Update,
    case,
    delete,
    func,
    literal,
    literal_column,
    select,
    text,
    true,
    union_all,
    update,
)

from mairust_core.errors import Conflict, NotFound
from mairust_core.ids import IdSource, to_time
from mairust_core.model.ids import Id
from mairust_core.model.job import Job, JobCounts, NewJob, Priority, State
from mairust_core.model.principal import Principal, ReachKind
from mairust_core.store import StorageBackend
from mairust_core.store.tables import AnyRow, job

# SQLite takes a partial index only where its very condition stands in the query.
_NOT_DONE: ColumnElement[bool] = literal_column("state <> 'done'")
_COLUMNS = ", ".join(job.c.keys())
_MARKS = ", ".join("?" * len(job.c))
_SHOWN = [column for column in job.c if column.name not in {"payload", "dedupe", "fence"}]


def enqueue(storage: StorageBackend, tx: Connection, ids: IdSource, new: Sequence[NewJob]) -> list[Id | None]:
    """Make jobs in the caller's transaction: they are there when it commits, and not otherwise.

    The id of each, None where an unfinished job has the same `dedupe`. Ring `site.job_bell` after the commit,
    and who runs the jobs of this process begins at once; without, somebody begins within a second.
    """
    if not new:
        return []
    now_ms = storage.now_ms(tx)
    made = storage.fetch_each(
        tx,
        f"INSERT INTO job ({_COLUMNS}) VALUES ({_MARKS}) ON CONFLICT (tenant_id, dedupe)"  # noqa: S608 - names are ours
        " WHERE dedupe IS NOT NULL AND finished_ms IS NULL DO NOTHING RETURNING id",
        [_row(ids.next(), one, now_ms) for one in new],
    )
    return [None if row is None else Id(row[0]) for row in made]


def insert(storage: StorageBackend, tx: Connection, made: Sequence[tuple[Id, NewJob, int]]) -> None:
    """Make jobs that have their ids, each after so many milliseconds; without regard to `dedupe`."""
    if made:
        now_ms = storage.now_ms(tx)
        rows = [
            _row(job_id, replace(new, run_at_ms=now_ms + delay_ms, dedupe=None), now_ms)
            for job_id, new, delay_ms in made
        ]
        storage.insert_rows(tx, job, rows)


def _row(job_id: Id, new: NewJob, now_ms: int) -> tuple[Any, ...]:
    """In the order of the table's columns."""
    run_at_ms = now_ms if new.run_at_ms is None else new.run_at_ms
    payload = json.dumps(new.payload, ensure_ascii=False, separators=(",", ":"))
    return (
        job_id, new.tenant_id, new.kind, new.subject, payload, State.READY.value, new.priority.value,
        run_at_ms, 0, new.max_attempts, 0, None, None, None, new.dedupe, now_ms, None,
    )  # fmt: skip


def page(tx: Connection, by: Principal, state: State | None, kind: str, cursor: str, limit: int) -> list[Job]:
    """Jobs, newest first, those older than `cursor`; one statement."""
    query = select(*_SHOWN).where(_within(by)).order_by(job.c.id.desc()).limit(limit)
    if cursor:
        query = query.where(job.c.id < Id.of_cursor(cursor))
    if kind:
        query = query.where(job.c.kind == kind)
    if state is not None:
        query = query.where(job.c.state == state.value)
        if state is not State.DONE:
            query = query.where(_NOT_DONE)
    return [_model(row) for row in tx.execute(query)]


def get(tx: Connection, by: Principal, job_id: Id, *, locked: bool = False) -> Job:
    """One job, held until the transaction ends if it is to be changed; raises `NotFound`."""
    query = select(*_SHOWN).where(_within(by), job.c.id == job_id)
    row = tx.execute(query.with_for_update() if locked else query).first()
    if row is None:
        raise NotFound("job", id=job_id)
    return _model(row)


def retry(storage: StorageBackend, tx: Connection, by: Principal, job_id: Id) -> Job:
    """Let a dead or waiting job run now; a dead one has all its attempts again.

    Raises `NotFound`, and `Conflict` when it runs, is done or is held.
    """
    found = _locked(tx, by, job_id)
    if found.state not in {State.DEAD, State.READY}:
        raise Conflict("job_state", id=job_id, state=found.state.value)
    _let_run(storage, tx, [job_id])
    return get(tx, by, job_id)


def retry_some(storage: StorageBackend, tx: Connection, by: Principal, kind: str, limit: int) -> int:
    """Let dead jobs run again, the oldest first; how many."""
    ids = _some(tx, by, State.DEAD, kind, limit)
    _let_run(storage, tx, ids)
    return len(ids)


def _let_run(storage: StorageBackend, tx: Connection, ids: Sequence[Id]) -> None:
    """A dead job comes back without its `dedupe`: another one may have taken that meanwhile."""
    dead = job.c.state == State.DEAD.value
    again = {
        "state": State.READY.value,
        "run_at_ms": storage.now_ms(tx),
        "attempts": case((dead, 0), else_=job.c.attempts),
        "dedupe": case((dead, None), else_=job.c.dedupe),
        "finished_ms": None,
    }
    tx.execute(_change(ids).values(**again))


def discard(tx: Connection, by: Principal, job_id: Id) -> None:
    """Delete a job; raises `NotFound`, and `Conflict` while it runs."""
    found = _locked(tx, by, job_id)
    if found.state is State.RUNNING:
        raise Conflict("job_state", id=job_id, state=found.state.value)
    tx.execute(delete(job).where(job.c.id == job_id))


def discard_some(tx: Connection, by: Principal, kind: str, limit: int) -> int:
    """Delete dead jobs, the oldest first; how many."""
    ids = _some(tx, by, State.DEAD, kind, limit)
    tx.execute(delete(job).where(job.c.id.in_(ids)))
    return len(ids)


def release(tx: Connection, by: Principal, job_id: Id) -> Job:
    """Let a held job run when its time comes; harmless unless it is held. Raises `NotFound`."""
    if _locked(tx, by, job_id).state is State.HELD:
        tx.execute(_change([job_id]).values(state=State.READY.value))
    return get(tx, by, job_id)


def release_some(tx: Connection, by: Principal, kind: str, limit: int) -> int:
    """Let held jobs run when their time comes, the oldest first; how many."""
    ids = _some(tx, by, State.HELD, kind, limit)
    tx.execute(_change(ids).values(state=State.READY.value))
    return len(ids)


def hold_all(tx: Connection) -> int:
    """Hold every job that has not ended, as a restored site does (rule I3); how many."""
    ended = (State.DONE.value, State.DEAD.value, State.HELD.value)
    held = tx.execute(
        update(job)
        .where(_NOT_DONE, job.c.state.not_in(ended))
        .values(state=State.HELD.value, leased_until_ms=None, fence=job.c.fence + 1)
    )
    return held.rowcount


def purge(tx: Connection, before_ms: int, limit: int) -> int:
    """Delete the oldest jobs done before a moment (rule J3); how many."""
    some = select(job.c.id).where(text("state = 'done'"), job.c.finished_ms < before_ms)
    ids = list(tx.execute(some.order_by(job.c.finished_ms).limit(limit)).scalars())
    if ids:
        tx.execute(delete(job).where(job.c.id.in_(ids)))
    return len(ids)


def counts(storage: StorageBackend, tx: Connection) -> JobCounts:
    """How many jobs are ready, due, running, dead and held, of the whole site."""
    late = case((job.c.run_at_ms <= storage.now_ms(tx), 1))
    numbers = (func.count(), func.count(late), func.min(job.c.run_at_ms))
    # each state by itself: together they would tempt PostgreSQL to read what is done as well
    rows = tx.execute(
        union_all(
            *(
                select(literal(state.value), *numbers).where(_NOT_DONE, job.c.state == state.value)
                for state in State
                if state is not State.DONE
            )
        )
    )
    found = {State(state): (count, due, first) for state, count, due, first in rows}
    ready, due, oldest_ms = found[State.READY]
    return JobCounts(
        ready=ready,
        due=due,
        oldest_due_ms=oldest_ms if due else None,
        running=found[State.RUNNING][0],
        dead=found[State.DEAD][0],
        held=found[State.HELD][0],
    )


def _within(by: Principal) -> ColumnElement[bool]:
    """Jobs belong to the site (rule G4): no narrower reach sees any."""
    mine: ColumnElement[bool] = job.c.tenant_id == by.tenant_id
    return mine if by.reach.kind is ReachKind.SITE else mine & ~true()


def _locked(tx: Connection, by: Principal, job_id: Id) -> Job:
    tx.execute(select(job.c.id).where(_within(by), job.c.id == job_id).with_for_update())
    return get(tx, by, job_id)


def _some(
    tx: Connection,
    by: Principal,
    state: State,
    kind: str,
    limit: int,
    more: ColumnElement[bool] | None = None,
) -> list[Id]:
    query = select(job.c.id).where(_within(by), _NOT_DONE, job.c.state == state.value)
    if kind:
        query = query.where(job.c.kind == kind)
    if more is not None:
        query = query.where(more)
    return [
        Id(found) for found in tx.execute(query.order_by(job.c.id).limit(limit).with_for_update()).scalars()
    ]


def _change(ids: Sequence[Id]) -> Update:
    return update(job).where(job.c.id.in_(ids))


def _model(row: AnyRow) -> Job:
    return Job(
        id=Id(row.id),
        kind=row.kind,
        subject=row.subject,
        state=State(row.state),
        priority=Priority(row.priority),
        attempts=row.attempts,
        max_attempts=row.max_attempts,
        run_at=to_time(row.run_at_ms),
        created_at=to_time(row.created_ms),
        finished_at=_time(row.finished_ms),
        leased_until=_time(row.leased_until_ms),
        worker=row.worker,
        last_error=row.last_error,
    )


def _time(ms: int | None) -> datetime | None:
    return None if ms is None else to_time(ms)
