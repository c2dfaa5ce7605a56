"""The record of which plugin saw which mail (B-5): written beside the log of hooks, read within a reach."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, select

from mairust_core.ids import first_id, to_time
from mairust_core.model.ids import Id
from mairust_core.model.plugin_life import Occasion, PluginAccess
from mairust_core.model.principal import Principal, ReachKind
from mairust_core.store import StorageBackend, accounts
from mairust_core.store.tables import AnyRow, account, message, plugin_access


@dataclass(frozen=True, slots=True, kw_only=True)
class Sought:
    """Which accesses a list shows: every word given must fit."""

    plugin: str = ""
    account_id: int | None = None
    message_id: int | None = None
    since_ms: int = 0


def record(storage: StorageBackend, tx: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    """Write some down, each in the order of the table's columns."""
    storage.insert_together(tx, plugin_access, rows)


def page(tx: Connection, by: Principal, sought: Sought, cursor: str, limit: int) -> list[PluginAccess]:
    """Accesses newest first, those older than `cursor`, of accounts in reach; one statement.

    Whoever reaches the whole site also sees those of accounts that are gone.
    """
    joined = plugin_access.outerjoin(account, account.c.id == plugin_access.c.account_id)
    query = (
        select(plugin_access, account.c.address.label("address"))
        .select_from(joined)
        .where(plugin_access.c.tenant_id == by.tenant_id)
    )
    if by.reach.kind is not ReachKind.SITE:
        query = query.where(accounts.within(by))
    if sought.plugin:
        query = query.where(plugin_access.c.plugin == sought.plugin)
    if sought.account_id is not None:
        query = query.where(plugin_access.c.account_id == sought.account_id)
    if sought.message_id is not None:
        query = query.where(plugin_access.c.message_id == sought.message_id)
    if sought.since_ms:
        # a row gets its id a little after the plugin was asked, so that this bounds what is read
        query = query.where(
            plugin_access.c.id >= first_id(sought.since_ms), plugin_access.c.at_ms >= sought.since_ms
        )
    if cursor:
        query = query.where(plugin_access.c.id < Id.of_cursor(cursor))
    return [_model(row) for row in tx.execute(query.order_by(plugin_access.c.id.desc()).limit(limit))]


def owner_of(tx: Connection, by: Principal, message_id: int) -> int | None:
    """Whose message it is, within reach; None for one that is gone, or never was there."""
    query = select(message.c.account_id).join(account, account.c.id == message.c.account_id)
    return tx.execute(query.where(message.c.id == message_id, accounts.within(by))).scalar_one_or_none()


def expire(tx: Connection, before_ms: int, limit: int) -> int:
    """Delete the oldest ones from before a moment; how many."""
    some = select(plugin_access.c.id).where(plugin_access.c.id < first_id(before_ms))
    ids = list(tx.execute(some.order_by(plugin_access.c.id).limit(limit)).scalars())
    if ids:
        tx.execute(delete(plugin_access).where(plugin_access.c.id.in_(ids)))
    return len(ids)


def _model(row: AnyRow) -> PluginAccess:
    return PluginAccess(
        id=Id(row.id),
        at=to_time(row.at_ms),
        plugin=row.plugin,
        version=row.version,
        hook=row.hook,
        occasion=Occasion(row.occasion),
        saw=tuple(row.saw.split()),
        account=row.address,
        trace_id=None if row.trace_id is None else Id(row.trace_id),
        message_id=None if row.message_id is None else Id(row.message_id),
    )
