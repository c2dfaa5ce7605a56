"""Queries on schedules: which job is made when, by whichever worker comes first."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, insert, select, update

from mairust_core.model.principal import DEFAULT_TENANT
from mairust_core.store import StorageBackend
from mairust_core.store.tables import schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A schedule as the database knows it."""

    name: str
    cron: str
    next_ms: int


def all_of(tx: Connection) -> dict[str, Kept]:
    """Every schedule, by name."""
    rows = tx.execute(select(schedule.c.name, schedule.c.cron, schedule.c.next_ms))
    return {row.name: Kept(name=row.name, cron=row.cron, next_ms=row.next_ms) for row in rows}


def keep(storage: StorageBackend, tx: Connection, name: str, cron: str, kind: str, next_ms: int) -> None:
    """Write down a schedule, or its new expression and the time that follows from it."""
    storage.serialise(tx, "schedule")
    found = all_of(tx).get(name)
    if found is None:
        tx.execute(
            insert(schedule).values(
                name=name, tenant_id=DEFAULT_TENANT, cron=cron, kind=kind, last_ms=None, next_ms=next_ms
            )
        )
    elif found.cron != cron:
        values = {"cron": cron, "kind": kind, "next_ms": next_ms}
        tx.execute(update(schedule).where(schedule.c.name == name).values(**values))


def advance(tx: Connection, kept: Kept, next_ms: int, last_ms: int | None) -> bool:
    """Move a schedule on to its next time; False when somebody else has done so.

    `last_ms` is the time it was due for, None when only the clock went back.
    """
    values = {"next_ms": next_ms} if last_ms is None else {"next_ms": next_ms, "last_ms": last_ms}
    moved = tx.execute(
        update(schedule)
        .where(schedule.c.name == kept.name, schedule.c.next_ms == kept.next_ms)
        .values(**values)
    )  # fmt: skip
    return bool(moved.rowcount)
