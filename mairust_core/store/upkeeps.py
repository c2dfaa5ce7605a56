"""What is done every so often: when last, how long it took, and what came of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select

from mairust_core.ids import now_ms, to_time
from mairust_core.model.principal import DEFAULT_TENANT
from mairust_core.store.tables import upkeep


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """The last run of a task that came to its end; `outcome` are counts by what was counted."""

    at: datetime
    took_s: float
    outcome: Mapping[str, int]


def record(tx: Connection, task: str, took_s: float, outcome: Mapping[str, int]) -> None:
    """Remember that a task has just been done; the run before it is forgotten."""
    tx.execute(delete(upkeep).where(upkeep.c.task == task))
    tx.execute(
        insert(upkeep).values(
            task=task, tenant_id=DEFAULT_TENANT, at_ms=now_ms(), took_ms=round(took_s * 1000),
            outcome=json.dumps(dict(outcome)),
        )
    )  # fmt: skip


def last(tx: Connection, task: str) -> Done | None:
    """The last run of a task, None before the first."""
    row = tx.execute(select(upkeep).where(upkeep.c.task == task)).first()
    if row is None:
        return None
    return Done(at=to_time(row.at_ms), took_s=row.took_ms / 1000, outcome=json.loads(row.outcome))
