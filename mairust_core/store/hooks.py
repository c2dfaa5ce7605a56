"""Queries on hooks: what plugins declare, and over it what was set here (rule J5)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from mairust_core.errors import Conflict, NotFound
from mairust_core.ids import now_ms
from mairust_core.model.hook import Fallback, Filter, Hook, HookType, Mode
from mairust_core.model.hook_forms import NewHook, Origin, ShownHook, default_timeout_ms
from mairust_core.model.plugin import State
from mairust_core.model.principal import Principal
from mairust_core.model.status import HooksStatus
from mairust_core.store import StorageBackend, breakers, forms, plugin_health
from mairust_core.store.constraints import refusing
from mairust_core.store.plugins import Registered, model
from mairust_core.store.tables import AnyRow, AnySelect, hook, plugin, plugin_package

_KINDS: dict[str, Any] = {
    "mode": Mode,
    "priority": int,
    "timeout_ms": int,
    "on_timeout": Fallback,
    "on_error": Fallback,
    "filter": Filter,
}
"""What can be set of a hook, and what it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A hook that is in force, and the plugin that answers."""

    hook: Hook
    plugin: Registered


def settle(base: Hook, changed: dict[str, Any]) -> Hook:
    """A hook as it is in force: what was set over what it has by itself.

    An `on_error` that nobody gave follows `on_timeout`, also when that is set later.
    """
    found = replace(base, **changed)
    if "on_error" not in changed and base.on_error is base.on_timeout:
        found = replace(found, on_error=found.on_timeout)
    return found


def _changed(text: str) -> dict[str, Any]:
    return {name: forms.load(_KINDS[name], value) for name, value in json.loads(text).items()}


def _settled(row: Any) -> Hook:
    type_ = HookType(row.type)
    base = Hook(name=row.name, type=type_, plugin=row.plugin, timeout_ms=default_timeout_ms(type_))
    if row.declared is not None:
        base = forms.load(Hook, json.loads(row.declared))
    return settle(replace(base, enabled=bool(row.enabled)), _changed(row.changed))


def _shown(row: AnyRow) -> ShownHook:
    found = _settled(row)
    values = {one.name: getattr(found, one.name) for one in fields(Hook)}
    return ShownHook(
        **values,
        origin=Origin.ADDED if row.declared is None else Origin.PLUGIN,
        changed=() if row.declared is None else tuple(sorted(json.loads(row.changed))),
        running=found.enabled and State(row.plugin_state) is State.ENABLED,
    )


def _select(by: Principal) -> AnySelect:
    joined = hook.join(plugin, (plugin.c.tenant_id == hook.c.tenant_id) & (plugin.c.id == hook.c.plugin))
    return (
        select(hook, plugin.c.state.label("plugin_state"))
        .select_from(joined)
        .where(hook.c.tenant_id == by.tenant_id, hook.c.removed_ms.is_(None))
    )


def get(tx: Connection, by: Principal, name: str, *, shared: bool = False, locked: bool = False) -> ShownHook:
    """One hook by its name; raises `NotFound`.

    `shared` has it stay as it is until the transaction ends, `locked` is for one that is to change.
    """
    query = _select(by).where(hook.c.name == name)
    if shared or locked:
        query = query.with_for_update(read=not locked, key_share=locked, of=hook)
    row = tx.execute(query).first()
    if row is None:
        raise NotFound("hook", name=name[:200])
    return _shown(row)


def page(tx: Connection, by: Principal, plugin_id: str, after: str, limit: int) -> list[ShownHook]:
    """Hooks by name, those after `after`; of one plugin, if it is given."""
    query = _select(by).where(hook.c.name > after)
    if plugin_id:
        query = query.where(hook.c.plugin == plugin_id)
    return [_shown(row) for row in tx.execute(query.order_by(hook.c.name).limit(limit))]


def running(tx: Connection) -> list[Running]:
    """Every enabled hook of a plugin that is enabled, or blocked; in no order; one statement."""
    columns = [column.label(f"hook_{column.name}") for column in hook.c]
    joined = hook.join(plugin, (plugin.c.tenant_id == hook.c.tenant_id) & (plugin.c.id == hook.c.plugin))
    query = (
        select(plugin, *columns)
        .select_from(joined)
        .where(
            hook.c.enabled.is_(True),
            hook.c.removed_ms.is_(None),
            plugin.c.state.in_([State.ENABLED.value, State.BLOCKED.value]),
        )
    )
    return [Running(hook=_settled(_Named(row)), plugin=model(row)) for row in tx.execute(query)]


class _Named:
    """The columns of a hook in a row that has those of its plugin, too."""

    def __init__(self, row: AnyRow) -> None:
        self._row = row

    def __getattr__(self, name: str) -> Any:
        return getattr(self._row, f"hook_{name}")


def add(tx: Connection, by: Principal, new: NewHook) -> ShownHook:
    """Add a hook; raises `Conflict` when there is one of that name."""
    if _row_of(tx, by, new.name) is not None:
        raise Conflict("hook", name=new.name)
    base = Hook(name=new.name, type=new.type, plugin=new.plugin, enabled=new.enabled)
    _insert(tx, by, base, None, new.given())
    return get(tx, by, new.name)


def _insert(tx: Connection, by: Principal, new: Hook, declared: Hook | None, set_: dict[str, Any]) -> None:
    row = insert(hook).values(
        tenant_id=by.tenant_id, name=new.name, plugin=new.plugin, type=new.type.value,
        declared=None if declared is None else forms.dump(declared), changed=forms.dump(set_),
        enabled=new.enabled, created_ms=now_ms(),
    )  # fmt: skip
    with refusing(Conflict("hook", name=new.name)):
        tx.execute(row)


def declare(tx: Connection, by: Principal, plugin_id: str, declared: Sequence[Hook]) -> None:
    """Make a plugin's own hooks those that it declares now; what was set of them, or removed, stays so.

    The breaker of a hook that is new, of another type, or gone is forgotten. Raises `Conflict` when a hook of
    that name belongs to somebody else.
    """
    others = []
    known = {row.name: row for row in tx.execute(select(hook).where(*_of(by, plugin_id)))}
    for one in declared:
        row = known.pop(one.name, None)
        if row is not None and row.type == one.type.value:
            tx.execute(update(hook).where(*_named(by, one.name)).values(declared=forms.dump(one)))
            continue
        if row is not None and row.declared is not None:  # another type: another hook
            tx.execute(delete(hook).where(*_named(by, one.name)))
        elif row is not None or _row_of(tx, by, one.name) is not None:
            raise Conflict("hook", name=one.name)
        _insert(tx, by, one, one, {})
        others.append(one.name)
    gone = [name for name, row in known.items() if row.declared is not None]
    tx.execute(delete(hook).where(*_of(by, plugin_id), hook.c.name.in_(gone)))
    breakers.reset(tx, [*others, *gone])


def edit(tx: Connection, by: Principal, name: str, values: dict[str, Any]) -> ShownHook:
    """Set some of what can be set of a hook, None taking back what was set; raises `NotFound`."""
    get(tx, by, name)
    row = tx.execute(select(hook).where(*_named(by, name)).with_for_update()).one()
    found = _changed(row.changed) | values
    changed = {key: value for key, value in found.items() if value is not None}
    tx.execute(update(hook).where(*_named(by, name)).values(changed=forms.dump(changed)))
    return get(tx, by, name)


def set_enabled(tx: Connection, by: Principal, name: str, enabled: bool) -> ShownHook:
    """Have a hook asked, or not; raises `NotFound`."""
    get(tx, by, name)
    tx.execute(update(hook).where(*_named(by, name)).values(enabled=enabled))
    return get(tx, by, name)


def remove(tx: Connection, by: Principal, name: str) -> None:
    """Remove a hook; one that its plugin declares stays away when the plugin is upgraded (rule J5).

    Raises `NotFound`.
    """
    if get(tx, by, name).origin is Origin.ADDED:
        tx.execute(delete(hook).where(*_named(by, name)))
    else:
        tx.execute(update(hook).where(*_named(by, name)).values(removed_ms=now_ms()))


def bring_back(tx: Connection, by: Principal, new: NewHook) -> ShownHook | None:
    """Have a declared hook again that was removed, with what is given over what its plugin declares.

    None when it was not removed; raises `Conflict` when it is one of another type or plugin.
    """
    row = _row_of(tx, by, new.name)
    if row is None or row.removed_ms is None:
        return None
    if (row.plugin, row.type) != (new.plugin, new.type.value):
        raise Conflict("hook_removed", name=new.name, type=row.type, plugin=row.plugin)
    values = {"removed_ms": None, "changed": forms.dump(new.given()), "enabled": new.enabled}
    tx.execute(update(hook).where(*_named(by, new.name)).values(values))
    return get(tx, by, new.name)


def _row_of(tx: Connection, by: Principal, name: str) -> AnyRow | None:
    return tx.execute(select(hook).where(*_named(by, name))).first()


def _named(by: Principal, name: str) -> tuple[Any, ...]:
    return hook.c.tenant_id == by.tenant_id, hook.c.name == name


def _of(by: Principal, plugin_id: str) -> tuple[Any, ...]:
    return hook.c.tenant_id == by.tenant_id, hook.c.plugin == plugin_id


def status(storage: StorageBackend, tx: Connection, by: Principal) -> HooksStatus:
    """How plugins and hooks stand; four statements, five with the clock's."""
    states = [
        (State(state), waits)
        for state, waits in tx.execute(
            select(plugin.c.state, plugin.c.pending.is_not(None)).where(plugin.c.tenant_id == by.tenant_id)
        )
    ]
    asked = hook.join(plugin, (plugin.c.tenant_id == hook.c.tenant_id) & (plugin.c.id == hook.c.plugin))
    running_hooks = (
        select(func.count())
        .select_from(asked)
        .where(hook.c.enabled.is_(True), hook.c.removed_ms.is_(None), plugin.c.state == State.ENABLED.value)
    )
    unsigned = (
        select(func.count())
        .select_from(
            plugin.outerjoin(
                plugin_package,
                (plugin_package.c.tenant_id == plugin.c.tenant_id)
                & (plugin_package.c.digest == plugin.c.package),
            )
        )
        .where(
            plugin.c.tenant_id == by.tenant_id,
            plugin.c.state == State.ENABLED.value,
            plugin_package.c.root.is_(None),
        )
    )
    held = {state: sum(1 for one, _ in states if one is state) for state in State}
    return HooksStatus(
        plugins_enabled=held[State.ENABLED],
        plugins_disabled=held[State.DISABLED],
        plugins_blocked=held[State.BLOCKED],
        plugins_waiting=sum(1 for _, waits in states if waits),
        plugins_unsigned=int(tx.execute(unsigned).scalar_one()),
        hooks=int(tx.execute(running_hooks).scalar_one()),
        breakers_open=tuple(breakers.not_closed(storage, tx)),
        plugins_unwell=tuple(plugin_health.unwell(tx)),
    )
