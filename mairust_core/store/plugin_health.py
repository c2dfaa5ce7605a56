"""How plugins are: what the last check found, and the processes of local ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, select, text

from mairust_core.ids import to_time
from mairust_core.model.plugin_life import HealthState, PluginHealth, Workers
from mairust_core.model.principal import DEFAULT_TENANT, Principal
from mairust_core.store.tables import AnyRow, plugin, plugin_health, plugin_worker

GONE_MS = 60_000
"""Who has not told of its processes for so long is gone."""
_CHECKED = (
    "INSERT INTO plugin_health (tenant_id, plugin, state, since_ms, checked_ms, took_us, failures, detail)"
    " VALUES (:tenant_id, :plugin, :state, :at_ms, :at_ms, :took_us, :failures, :detail)"
    " ON CONFLICT (tenant_id, plugin) DO UPDATE SET checked_ms = excluded.checked_ms,"
    " took_us = excluded.took_us, detail = excluded.detail, since_ms = CASE WHEN"
    " plugin_health.state = excluded.state THEN plugin_health.since_ms ELSE excluded.since_ms END,"
    " failures = CASE WHEN excluded.failures = 0 THEN 0 ELSE plugin_health.failures + 1 END,"
    " state = excluded.state"
)
_ALIVE = (
    "INSERT INTO plugin_worker (tenant_id, plugin, process, workers, busy, at_ms)"
    " VALUES (:tenant_id, :plugin, :process, :workers, :busy, :at_ms)"
    " ON CONFLICT (tenant_id, plugin, process) DO UPDATE SET workers = excluded.workers,"
    " busy = excluded.busy, at_ms = excluded.at_ms"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What one check found; `detail` is why the plugin is not well."""

    plugin: str
    state: HealthState
    took_us: int
    detail: str = ""


def record(tx: Connection, found: Sequence[Checked], now_ms: int) -> list[Checked]:
    """Write down what checks found of plugins that are still there; those whose state changed.

    A plugin that was well from its first check on did not change.
    """
    known = {row.plugin: row for row in tx.execute(select(plugin_health))}
    there = set(tx.execute(select(plugin.c.id)).scalars())
    kept = [one for one in found if one.plugin in there]
    rows = [
        {
            "tenant_id": DEFAULT_TENANT, "plugin": one.plugin, "state": one.state.value, "at_ms": now_ms,
            "took_us": one.took_us, "detail": one.detail, "failures": int(one.state is HealthState.UNWELL),
        }
        for one in sorted(kept, key=lambda one: one.plugin)
    ]  # fmt: skip
    if rows:
        tx.execute(text(_CHECKED), rows)
    was = {one.plugin: known[one.plugin].state if one.plugin in known else "well" for one in kept}
    return [one for one in kept if was[one.plugin] != one.state]


def forget_others(tx: Connection, checked: Sequence[str]) -> None:
    """Forget how plugins are that are not checked any more."""
    tx.execute(delete(plugin_health).where(plugin_health.c.plugin.not_in(list(checked))))


def of(tx: Connection, by: Principal, ids: Sequence[str]) -> dict[str, PluginHealth]:
    """How some plugins are, those that are checked; one statement."""
    mine = (plugin_health.c.tenant_id == by.tenant_id) & plugin_health.c.plugin.in_(list(ids))
    return {row.plugin: _model(row) for row in tx.execute(select(plugin_health).where(mine))}


def any_known(tx: Connection) -> bool:
    """Whether it is known how any plugin is."""
    return tx.execute(select(plugin_health.c.plugin).limit(1)).first() is not None


def unwell(tx: Connection) -> dict[str, PluginHealth]:
    """The plugins that are not well."""
    query = select(plugin_health).where(plugin_health.c.state == HealthState.UNWELL.value)
    return {row.plugin: _model(row) for row in tx.execute(query.order_by(plugin_health.c.plugin))}


def tell_alive(tx: Connection, process: int, alive: Mapping[str, tuple[int, int]], now_ms: int) -> None:
    """Write down how many processes each plugin has below one of ours: all, and busy ones."""
    mine = plugin_worker.c.process == process
    tx.execute(delete(plugin_worker).where(mine & plugin_worker.c.plugin.not_in(list(alive))))
    rows = [
        {
            "tenant_id": DEFAULT_TENANT, "plugin": plugin_, "process": process, "workers": workers,
            "busy": busy, "at_ms": now_ms,
        }
        for plugin_, (workers, busy) in sorted(alive.items())
    ]  # fmt: skip
    if rows:
        tx.execute(text(_ALIVE), rows)


def workers_of(tx: Connection, by: Principal, ids: Sequence[str], now_ms: int) -> dict[str, Workers]:
    """The processes of some plugins, those that have any; one statement."""
    columns = plugin_worker.c
    query = (
        select(columns.plugin, func.sum(columns.workers), func.sum(columns.busy))
        .where(columns.tenant_id == by.tenant_id, columns.plugin.in_(list(ids)))
        .where(columns.at_ms > now_ms - GONE_MS)
        .group_by(columns.plugin)
    )
    return {row[0]: Workers(alive=int(row[1]), busy=int(row[2])) for row in tx.execute(query)}


def remove(tx: Connection, by: Principal, id_: str) -> None:
    """Forget how a plugin is."""
    for table in (plugin_health, plugin_worker):
        tx.execute(delete(table).where(table.c.tenant_id == by.tenant_id, table.c.plugin == id_))


def _model(row: AnyRow) -> PluginHealth:
    return PluginHealth(
        state=HealthState(row.state),
        since=to_time(row.since_ms),
        checked_at=to_time(row.checked_ms),
        ms=row.took_us / 1000,
        failures=row.failures,
        detail=row.detail,
    )
