"""Tokens that were issued to plugins, and those of deliveries that were revoked (rule G3)."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select, text, update

from mairust_core.errors import NotFound
from mairust_core.ids import now_ms, to_ms, to_time
from mairust_core.model.plugin_life import PluginToken, TokenScope
from mairust_core.model.principal import DEFAULT_TENANT, Principal
from mairust_core.store.tables import AnyRow, plugin_token

_REVOKE_DELIVERY = (
    "INSERT INTO plugin_token (tenant_id, id, plugin, scopes, delivery_id, created_by, created_ms,"
    " expires_ms, revoked_ms, uses, refused)"
    " VALUES (:tenant_id, :id, :plugin, 'callback metrics', :id, 'delivery', :at_ms,"
    " :until_ms, :at_ms, 0, 0)"
    " ON CONFLICT (tenant_id, id) DO UPDATE"
    " SET revoked_ms = excluded.revoked_ms, expires_ms = excluded.expires_ms"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What is known of a token that comes back: whether it is revoked, and how often it came already."""

    revoked: bool
    uses: int
    refused: int


def add(tx: Connection, by: Principal, new: PluginToken, expires_ms: int) -> None:
    """Write down a token that is being issued."""
    tx.execute(
        insert(plugin_token).values(
            tenant_id=by.tenant_id, id=new.id, plugin=new.plugin, scopes=" ".join(new.scopes),
            delivery_id=new.delivery, created_by=new.created_by, created_ms=to_ms(new.created_at),
            expires_ms=expires_ms, uses=0, refused=0,
        )
    )  # fmt: skip


def get(tx: Connection, by: Principal, plugin: str, id_: str) -> PluginToken:
    """One issued token; raises `NotFound`."""
    row = tx.execute(select(plugin_token).where(*_named(by.tenant_id, id_), _of(plugin))).first()
    if row is None:
        raise NotFound("plugin_token", id=id_[:200], plugin=plugin[:200])
    return _model(row)


def page(tx: Connection, by: Principal, plugin: str, after: str, limit: int) -> list[PluginToken]:
    """The tokens of a plugin by id, those after `after`."""
    query = select(plugin_token).where(
        plugin_token.c.tenant_id == by.tenant_id, _of(plugin), plugin_token.c.id > after
    )
    return [_model(row) for row in tx.execute(query.order_by(plugin_token.c.id).limit(limit))]


def revoke(tx: Connection, by: Principal, plugin: str, id_: str) -> PluginToken:
    """Refuse an issued token from now on; raises `NotFound`."""
    once = func.coalesce(plugin_token.c.revoked_ms, now_ms())
    tx.execute(update(plugin_token).where(*_named(by.tenant_id, id_), _of(plugin)).values(revoked_ms=once))
    return get(tx, by, plugin, id_)


def revoke_delivery(
    tx: Connection, by: Principal, plugin: str, delivery_id: str, until_ms: int
) -> PluginToken:
    """Refuse the token that goes with a delivery, which may be out or not, until it would be over anyway."""
    values = {
        "tenant_id": by.tenant_id, "id": delivery_id, "plugin": plugin, "at_ms": now_ms(),
        "until_ms": until_ms,
    }  # fmt: skip
    tx.execute(text(_REVOKE_DELIVERY), values)
    return get(tx, by, plugin, delivery_id)


def seen(tx: Connection, plugin: str, id_: str, tenant_id: int = DEFAULT_TENANT) -> Seen | None:
    """What is known of a token; None for one of a delivery that nobody revoked."""
    columns = plugin_token.c
    query = select(columns.revoked_ms, columns.uses, columns.refused)
    row = tx.execute(query.where(*_named(tenant_id, id_), _of(plugin))).first()
    return None if row is None else Seen(revoked=row[0] is not None, uses=row[1], refused=row[2])


def count(
    tx: Connection, id_: str, *, refused: bool, times: int = 1, tenant_id: int = DEFAULT_TENANT
) -> None:
    """Note that a token was taken, or refused."""
    values = {"refused": plugin_token.c.refused + times} if refused else {"uses": plugin_token.c.uses + times}
    tx.execute(update(plugin_token).where(*_named(tenant_id, id_)).values(**values, used_ms=now_ms()))


def remove(tx: Connection, by: Principal, plugin: str) -> None:
    """Forget the tokens of a plugin: they are refused because it is gone."""
    tx.execute(delete(plugin_token).where(plugin_token.c.tenant_id == by.tenant_id, _of(plugin)))


def expire(tx: Connection, before_ms: int, limit: int) -> int:
    """Delete some tokens that were over before a moment; how many."""
    columns = plugin_token.c
    some = select(columns.tenant_id, columns.id).where(columns.expires_ms < before_ms).limit(limit)
    found = [tuple(row) for row in tx.execute(some)]
    for tenant_id, id_ in found:
        tx.execute(delete(plugin_token).where(*_named(tenant_id, id_)))
    return len(found)


def _named(tenant_id: int, id_: str) -> tuple[ColumnElement[bool], ...]:
    return plugin_token.c.tenant_id == tenant_id, plugin_token.c.id == id_


def _of(plugin: str) -> ColumnElement[bool]:
    return plugin_token.c.plugin == plugin


def _model(row: AnyRow) -> PluginToken:
    return PluginToken(
        id=row.id,
        plugin=row.plugin,
        scopes=tuple(TokenScope(one) for one in row.scopes.split()),
        delivery=row.delivery_id,
        created_by=row.created_by,
        created_at=to_time(row.created_ms),
        expires_at=to_time(row.expires_ms),
        revoked=row.revoked_ms is not None,
        uses=row.uses,
        refused=row.refused,
        used_at=None if row.used_ms is None else to_time(row.used_ms),
    )
