"""What plugins said, and why calls of them failed: the newest lines of each (rule J3)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Connection, delete, select

from mairust_core.ids import to_time
from mairust_core.model.ids import Id
from mairust_core.model.plugin_life import LogOrigin, PluginLogLine
from mairust_core.model.principal import DEFAULT_TENANT, Principal
from mairust_core.store import StorageBackend
from mairust_core.store.tables import AnyRow, plugin_log

KEPT = 1000
"""Lines of one plugin; a line has 512 bytes at the most."""


def record(
    storage: StorageBackend, tx: Connection, rows: Sequence[tuple[Any, ...]], plugins: Collection[str]
) -> None:
    """Write lines down, each in the order of the table's columns, and forget the oldest of these plugins."""
    storage.insert_together(tx, plugin_log, rows)
    for plugin in sorted(plugins):
        _trim(tx, DEFAULT_TENANT, plugin)


def _trim(tx: Connection, tenant_id: int, plugin: str) -> None:
    mine = (plugin_log.c.tenant_id == tenant_id) & (plugin_log.c.plugin == plugin)
    newest = select(plugin_log.c.id).where(mine).order_by(plugin_log.c.id.desc())
    last = tx.execute(newest.offset(KEPT).limit(1)).scalar_one_or_none()
    if last is not None:
        tx.execute(delete(plugin_log).where(mine, plugin_log.c.id <= last))


def page(tx: Connection, by: Principal, plugin: str, cursor: str, limit: int) -> list[PluginLogLine]:
    """Lines newest first, those older than `cursor`."""
    query = select(plugin_log).where(plugin_log.c.tenant_id == by.tenant_id, plugin_log.c.plugin == plugin)
    if cursor:
        query = query.where(plugin_log.c.id < Id.of_cursor(cursor))
    return [_model(row) for row in tx.execute(query.order_by(plugin_log.c.id.desc()).limit(limit))]


def after(tx: Connection, by: Principal, plugin: str, last: Id, limit: int) -> list[PluginLogLine]:
    """The lines that came after one, the oldest first."""
    query = select(plugin_log).where(plugin_log.c.tenant_id == by.tenant_id, plugin_log.c.plugin == plugin)
    query = query.where(plugin_log.c.id > last)
    return [_model(row) for row in tx.execute(query.order_by(plugin_log.c.id).limit(limit))]


def remove(tx: Connection, by: Principal, plugin: str) -> None:
    """Forget what a plugin said."""
    mine = (plugin_log.c.tenant_id == by.tenant_id) & (plugin_log.c.plugin == plugin)
    tx.execute(delete(plugin_log).where(mine))


def _model(row: AnyRow) -> PluginLogLine:
    return PluginLogLine(
        id=Id(row.id),
        at=to_time(row.at_ms),
        plugin=row.plugin,
        hook=row.hook,
        origin=LogOrigin(row.origin),
        text=row.text,
    )
