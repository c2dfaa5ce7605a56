"""What is done every so often: when last, how long it took, and what came of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select, text

from mairust_core.ids import now_ms, to_time
from mairust_core.model.principal import DEFAULT_TENANT
from mairust_core.store.tables import upkeep

_RECORD = (
    "INSERT INTO upkeep (task, tenant_id, at_ms, took_ms, outcome)"
    " VALUES (:task, :tenant_id, :at_ms, :took_ms, :outcome)"
    " ON CONFLICT (task) DO UPDATE SET at_ms = excluded.at_ms, took_ms = excluded.took_ms,"
    " outcome = excluded.outcome"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """The last run of a task that came to its end; `outcome` are counts by what was counted."""

    at: datetime
    took_s: float
    outcome: Mapping[str, int]


def record(tx: Connection, task: str, took_s: float, outcome: Mapping[str, int]) -> None:
    """Remember that a task has just been done; the run before it is forgotten."""
    tx.execute(
        text(_RECORD),
        {
            "task": task,
            "tenant_id": DEFAULT_TENANT,
            "at_ms": now_ms(),
            "took_ms": round(took_s * 1000),
            "outcome": json.dumps(dict(outcome)),
        },
    )


def last(tx: Connection, task: str) -> Done | None:
    """The last run of a task, None before the first."""
    row = tx.execute(select(upkeep).where(upkeep.c.task == task)).first()
    if row is None:
        return None
    return Done(at=to_time(row.at_ms), took_s=row.took_ms / 1000, outcome=json.loads(row.outcome))
