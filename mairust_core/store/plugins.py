"""Queries on plugins: what is registered, what was approved of it, what it told of itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, insert, select, text, update

from mairust_core.errors import Conflict, NotFound
from mairust_core.ids import now_ms
from mairust_core.model.plugin import Manifest, State
from mairust_core.model.plugin_forms import Source
from mairust_core.model.principal import Principal
from mairust_core.store import forms
from mairust_core.store.constraints import refusing
from mairust_core.store.tables import AnyRow, hook, plugin, plugin_metric

_TELL = (
    "INSERT INTO plugin_metric (tenant_id, plugin, name, value, at_ms)"
    " VALUES (:tenant_id, :plugin, :name, :value, :at_ms)"
    " ON CONFLICT (tenant_id, plugin, name) DO UPDATE SET value = excluded.value, at_ms = excluded.at_ms"
)
_CALL_BACK = (
    "INSERT INTO plugin_callback (tenant_id, delivery_id, plugin, at_ms)"
    " VALUES (:tenant_id, :delivery_id, :plugin, :at_ms) ON CONFLICT DO NOTHING"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """A plugin as it is stored.

    `manifest` is the approved one, with `directory` that of its files when it is linked, `package` the digest
    when it came in one; `pending` and its directory or package wait for approval. One of the two is always
    there. `previous_package` is what ran before.
    """

    id: str
    state: State
    source: Source
    directory: str | None = None
    package: str | None = None
    pending_package: str | None = None
    previous_package: str | None = None
    manifest: Manifest | None = None
    pending: Manifest | None = None
    pending_directory: str | None = None
    approved_by: str | None = None
    approved_ms: int | None = None
    generation: int = 1
    created_ms: int = 0

    @property
    def shown(self) -> Manifest:
        """What was approved, or while nothing was, what waits for it."""
        found = self.manifest or self.pending
        assert found is not None
        return found


def model(row: AnyRow) -> Registered:
    return Registered(
        id=row.id,
        state=State(row.state),
        source=Source(row.source),
        directory=row.directory or None,
        package=row.package,
        pending_package=row.pending_package,
        previous_package=row.previous_package,
        manifest=_manifest(row.manifest),
        pending=_manifest(row.pending),
        pending_directory=row.pending_directory,
        approved_by=row.approved_by,
        approved_ms=row.approved_ms,
        generation=row.generation,
        created_ms=row.created_ms,
    )


def _manifest(text_: str | None) -> Manifest | None:
    if text_ is None:
        return None
    found: Manifest = forms.load(Manifest, json.loads(text_))
    return found


def _row(found: Registered) -> dict[str, Any]:
    return {
        "state": found.state.value,
        "source": found.source.value,
        "directory": found.directory or "",
        "package": found.package,
        "pending_package": found.pending_package,
        "previous_package": found.previous_package,
        "manifest": None if found.manifest is None else forms.dump(found.manifest),
        "pending": None if found.pending is None else forms.dump(found.pending),
        "pending_directory": found.pending_directory,
        "approved_by": found.approved_by,
        "approved_ms": found.approved_ms,
    }


def find(tx: Connection, by: Principal, id_: str, *, locked: bool = False) -> Registered | None:
    """One plugin by its id, held until the transaction ends if it is to be changed; None without it."""
    query = select(plugin).where(plugin.c.tenant_id == by.tenant_id, plugin.c.id == id_)
    row = tx.execute(query.with_for_update() if locked else query).first()
    return None if row is None else model(row)


def get(tx: Connection, by: Principal, id_: str, *, locked: bool = False) -> Registered:
    """One plugin by its id; raises `NotFound`."""
    found = find(tx, by, id_, locked=locked)
    if found is None:
        raise NotFound("plugin", id=id_[:200])
    return found


def page(tx: Connection, by: Principal, after: str, limit: int) -> list[Registered]:
    """Plugins by id, those after `after`."""
    query = select(plugin).where(plugin.c.tenant_id == by.tenant_id, plugin.c.id > after)
    return [model(row) for row in tx.execute(query.order_by(plugin.c.id).limit(limit))]


def enabled(tx: Connection) -> list[Registered]:
    """Every plugin whose hooks are asked, by id."""
    query = select(plugin).where(plugin.c.state == State.ENABLED.value)
    return [model(row) for row in tx.execute(query.order_by(plugin.c.id))]


def add(tx: Connection, by: Principal, new: Registered) -> None:
    """Register a plugin that is not there yet.

    Its generation is beyond that of one of this id which was removed: processes of that one must not stay.
    Raises `Conflict` when somebody else registers it at the same moment.
    """
    at_ms = now_ms()
    row = insert(plugin).values(
        **_row(new), tenant_id=by.tenant_id, id=new.id, generation=at_ms, created_ms=at_ms
    )
    with refusing(Conflict("plugin", id=new.id)):
        tx.execute(row)


def replace(tx: Connection, by: Principal, changed: Registered) -> None:
    """Write all that can change of a plugin; its generation rises."""
    mine = (plugin.c.tenant_id == by.tenant_id) & (plugin.c.id == changed.id)
    tx.execute(update(plugin).where(mine).values(**_row(changed), generation=plugin.c.generation + 1))


def remove(tx: Connection, by: Principal, id_: str) -> None:
    """Forget a plugin, its hooks with their settings, and what it told."""
    for table in (hook, plugin_metric):
        tx.execute(delete(table).where(table.c.tenant_id == by.tenant_id, table.c.plugin == id_))
    tx.execute(delete(plugin).where(plugin.c.tenant_id == by.tenant_id, plugin.c.id == id_))


def hooks_of(tx: Connection, by: Principal, ids: list[str]) -> dict[str, list[str]]:
    """The names of the hooks of some plugins; one statement."""
    query = select(hook.c.plugin, hook.c.name).where(
        hook.c.tenant_id == by.tenant_id, hook.c.plugin.in_(ids), hook.c.removed_ms.is_(None)
    )
    found: dict[str, list[str]] = {id_: [] for id_ in ids}
    for row in tx.execute(query.order_by(hook.c.name)):
        found[row[0]].append(row[1])
    return found


def metrics_of(tx: Connection, by: Principal, ids: list[str]) -> dict[str, dict[str, float]]:
    """The numbers that some plugins told; one statement."""
    columns = plugin_metric.c
    query = select(columns.plugin, columns.name, columns.value).where(
        columns.tenant_id == by.tenant_id, columns.plugin.in_(ids)
    )
    found: dict[str, dict[str, float]] = {id_: {} for id_ in ids}
    for row in tx.execute(query.order_by(columns.name)):
        found[row[0]][row[1]] = row[2]
    return found


def tell(tx: Connection, tenant_id: int, id_: str, metrics: Mapping[str, float]) -> int:
    """Keep numbers of a plugin in place of earlier ones of the same names; how many it has now."""
    at_ms = now_ms()
    rows = [
        {"tenant_id": tenant_id, "plugin": id_, "name": name, "value": value, "at_ms": at_ms}
        for name, value in metrics.items()
    ]
    if rows:
        tx.execute(text(_TELL), rows)
    mine = (plugin_metric.c.tenant_id == tenant_id) & (plugin_metric.c.plugin == id_)
    return len(tx.execute(select(plugin_metric.c.name).where(mine)).all())


def use_callback(tx: Connection, tenant_id: int, id_: str, delivery_id: str) -> bool:
    """Take the one callback of a delivery; False when it was made already."""
    values = {"tenant_id": tenant_id, "delivery_id": delivery_id, "plugin": id_, "at_ms": now_ms()}
    return tx.execute(text(_CALL_BACK), values).rowcount == 1
