"""What calls of plugins came to and took: sums of each day, and of all days."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, select, text

from mairust_core.ids import to_time
from mairust_core.model.plugin_life import PluginUsage
from mairust_core.model.principal import DEFAULT_TENANT, Principal
from mairust_core.store.tables import AnyRow, plugin_usage

DAY_MS = 86_400_000
ALL_DAYS = 0
_SUMS = (
    "calls", "failures", "timeouts", "skipped", "signed", "tokens", "tokens_refused", "wall_us", "cpu_us",
)  # fmt: skip
_MOST = ("peak_bytes", "last_ms")
_COLUMNS = ("tenant_id", "plugin", "day", *_SUMS, *_MOST)
_ADD = (
    f"INSERT INTO plugin_usage ({', '.join(_COLUMNS)}) VALUES ({', '.join(f':{n}' for n in _COLUMNS)})"  # noqa: S608 - names are ours
    " ON CONFLICT (tenant_id, plugin, day) DO UPDATE SET "
    + ", ".join(
        [f"{n} = plugin_usage.{n} + excluded.{n}" for n in _SUMS]
        + [
            f"{n} = CASE WHEN excluded.{n} > plugin_usage.{n} THEN excluded.{n} ELSE plugin_usage.{n} END"
            for n in _MOST
        ]
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Today:
    """What a plugin did in all, and on one day."""

    total: PluginUsage
    today: PluginUsage


def add(
    tx: Connection, sums: Mapping[str, Mapping[str, int]], now_ms: int, tenant_id: int = DEFAULT_TENANT
) -> None:
    """Count these, by plugin and name of the column, to today and to all days.

    Plugins in the order of their ids, as everybody who locks several of these rows does.
    """
    rows = [
        dict.fromkeys(_COLUMNS, 0) | dict(found) | {"tenant_id": tenant_id, "plugin": plugin, "day": day}
        for plugin, found in sorted(sums.items())
        for day in (ALL_DAYS, now_ms // DAY_MS)
    ]
    if rows:
        tx.execute(text(_ADD), rows)


def of(tx: Connection, by: Principal, ids: Sequence[str], now_ms: int) -> dict[str, Today]:
    """What some plugins did; one statement."""
    today = now_ms // DAY_MS
    columns = plugin_usage.c
    query = select(plugin_usage).where(
        columns.tenant_id == by.tenant_id, columns.plugin.in_(ids), columns.day.in_([ALL_DAYS, today])
    )
    found: dict[tuple[str, int], PluginUsage] = {(r.plugin, r.day): _model(r) for r in tx.execute(query)}
    none = PluginUsage()
    return {
        one: Today(total=found.get((one, ALL_DAYS), none), today=found.get((one, today), none)) for one in ids
    }


def remove(tx: Connection, by: Principal, id_: str) -> None:
    """Forget what a plugin did."""
    mine = (plugin_usage.c.tenant_id == by.tenant_id) & (plugin_usage.c.plugin == id_)
    tx.execute(delete(plugin_usage).where(mine))


def expire(tx: Connection, before_ms: int, limit: int) -> int:
    """Delete some sums of days before a moment; how many."""
    columns = plugin_usage.c
    some = select(columns.tenant_id, columns.plugin, columns.day).where(
        columns.day != ALL_DAYS, columns.day < before_ms // DAY_MS
    )
    rows: list[Any] = list(tx.execute(some.limit(limit)))
    for tenant_id, plugin, day in rows:
        mine = (columns.tenant_id == tenant_id) & (columns.plugin == plugin) & (columns.day == day)
        tx.execute(delete(plugin_usage).where(mine))
    return len(rows)


def _model(row: AnyRow) -> PluginUsage:
    return PluginUsage(
        calls=row.calls,
        failures=row.failures,
        timeouts=row.timeouts,
        skipped=row.skipped,
        signed=row.signed,
        tokens=row.tokens,
        tokens_refused=row.tokens_refused,
        wall_ms=row.wall_us // 1000,
        cpu_ms=row.cpu_us // 1000,
        peak_memory_mb=round(row.peak_bytes / (1 << 20), 1),
        last_call_at=to_time(row.last_ms) if row.last_ms else None,
    )
