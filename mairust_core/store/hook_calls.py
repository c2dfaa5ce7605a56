"""The log of hooks: one row for each call, kept for a while (rule J3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, select

from mairust_core.ids import to_time
from mairust_core.model.hook import Mode
from mairust_core.model.hook_forms import HookCall, Outcome
from mairust_core.model.ids import Id
from mairust_core.model.principal import Principal
from mairust_core.model.verdict import ActionWord
from mairust_core.store import StorageBackend
from mairust_core.store.tables import AnyRow, hook_log


def record(storage: StorageBackend, tx: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    """Write down what came of calls, each in the order of the table's columns."""
    storage.insert_together(tx, hook_log, rows)


def page(
    tx: Connection, by: Principal, hook: str, outcome: Outcome | None, cursor: str, limit: int
) -> list[HookCall]:
    """Calls of a hook, newest first, those older than `cursor`; only with this outcome, if one is given."""
    query = select(hook_log).where(hook_log.c.tenant_id == by.tenant_id, hook_log.c.hook == hook)
    if cursor:
        query = query.where(hook_log.c.id < Id.of_cursor(cursor))
    if outcome is not None:
        query = query.where(hook_log.c.outcome == outcome.value)
    return [_model(row) for row in tx.execute(query.order_by(hook_log.c.id.desc()).limit(limit))]


def _model(row: AnyRow) -> HookCall:
    return HookCall(
        id=Id(row.id),
        at=to_time(row.at_ms),
        hook=row.hook,
        plugin=row.plugin,
        delivery_id=row.delivery_id,
        mode=Mode(row.mode),
        outcome=Outcome(row.outcome),
        action=ActionWord(row.action),
        ms=row.took_us / 1000,
        detail=row.detail,
        trace_id=None if row.trace_id is None else Id(row.trace_id),
        message_id=None if row.message_id is None else Id(row.message_id),
        recipient=row.recipient,
    )
