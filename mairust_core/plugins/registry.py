"""What is registered, and with which rights: linked, approved, enabled, disabled, removed.

Every change is one transaction of the caller's: killed at any instant it happened, or it did not.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mairust_core.errors import Conflict, Forbidden, NotFound
from mairust_core.ids import now_ms, to_time
from mairust_core.model.hook import Filter
from mairust_core.model.isolation import Isolation
from mairust_core.model.plugin import Entry, Manifest, Protocol, State
from mairust_core.model.plugin_forms import (
    NOTHING,
    Approved,
    Held,
    Installed,
    Plugin,
    PluginEntry,
    PluginState,
    Source,
)
from mairust_core.model.principal import Principal
from mairust_core.plugins.rights import asks_for_more, fingerprint, review
from mairust_core.store import (
    breakers,
    hooks,
    plugin_health,
    plugin_logs,
    plugin_tokens,
    plugin_usage,
    plugins,
)
from mairust_core.store.plugins import Registered

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from mairust_core.config.settings import Plugins as Settings
    from mairust_core.vault import Vault

SECRET_PREFIX = "mps_"  # noqa: S105 - how secrets of plugins begin, so that one is known for what it is
WITH_SECRET = (Protocol.HTTP, Protocol.UNIX)
"""Local processes never receive one (rule G2)."""

CheckFilter = Callable[[Filter], None]
"""Raises `Invalid` for an expression that cannot be matched in linear time."""


def secret_name(id_: str) -> str:
    """Under which name the secret of a plugin is stored."""
    return f"plugin/{id_}"


def previous_name(id_: str) -> str:
    """Under which name the secret before is, while its grace period lasts (rule G2)."""
    return f"plugin/{id_}/previous"


class Registry:
    """The plugins of a site. Thread-safe: it holds nothing."""

    def __init__(
        self,
        settings: Settings,
        vault: Vault,
        check_filter: CheckFilter,
        isolation: Callable[[], Isolation],
    ) -> None:
        """`isolation` tells how well local processes are held here; it may look at the machine first."""
        self._settings = settings
        self._isolation = isolation
        self._vault = vault
        self._check_filter = check_filter

    def link(self, tx: Connection, by: Principal, wanted: Manifest, directory: Path) -> Installed:
        """Register an unpacked directory in place, or what its plugin.toml says now (contract §5).

        What asks for no more than was approved runs at once; what asks for more waits. Raises `Forbidden`
        where unsigned plugins are not allowed or would run without being held (rule H1), `Conflict` for one
        that is blocked, `Invalid` for a filter.
        """
        self._require_unsigned(wanted.id)
        for hook in wanted.hooks:
            self._check_filter(hook.filter)
        found = plugins.find(tx, by, wanted.id, locked=True)
        place = str(directory)
        if found is None:
            new = Registered(
                id=wanted.id, state=State.PENDING, source=Source.LINK, directory=place, pending=wanted,
                pending_directory=place,
            )  # fmt: skip
            plugins.add(tx, by, new)
            return _installed(new, wanted)
        _require_not_blocked(found)
        if found.manifest is None or asks_for_more(wanted, found.manifest):
            changed = replace(found, pending=wanted, pending_directory=place)
            plugins.replace(tx, by, changed)
            return _installed(changed, wanted)
        if found.state is State.ENABLED:
            self._require_held(wanted)
        changed = replace(
            found, source=Source.LINK, directory=place, manifest=wanted, pending=None, pending_directory=None
        )
        plugins.replace(tx, by, changed)
        hooks.declare(tx, by, wanted.id, wanted.hooks)
        return _installed(changed, wanted)

    def look(self, tx: Connection, by: Principal, id_: str) -> None:
        """Look at the machine if a plugin runs on it: before a transaction that writes, not within (D2)."""
        found = plugins.find(tx, by, id_)
        if found is not None:
            self.look_for(*filter(None, (found.manifest, found.pending)))

    def look_for(self, *wanted: Manifest) -> None:
        """Likewise, for what is about to be registered."""
        if any(one.entry.protocol is Protocol.STDIN for one in wanted):
            self._isolation()

    def approve(self, tx: Connection, by: Principal, id_: str, review_id: str = "") -> Approved:
        """Give a plugin what it waits for, register its hooks, and issue its secret if it needs one.

        With `review_id` only exactly that; `NOTHING` is the review of a plugin that waits for nothing. Such
        a one stays as it is, but for a secret that is missing. Raises `NotFound`, `Conflict` when something
        else waits than was reviewed or it is blocked, `Forbidden` where unsigned plugins are not allowed.
        """
        found = plugins.get(tx, by, id_, locked=True)
        _require_not_blocked(found)
        self._require_unsigned(id_)
        self._require_held(found.pending or found.shown)
        if review_id and review_id not in _reviews(found):
            raise Conflict("plugin_reviewed", id=id_)
        if found.pending is not None:
            found = replace(
                found,
                state=State.ENABLED if found.state is State.PENDING else found.state,
                directory=found.pending_directory or found.directory,
                manifest=found.pending,
                pending=None,
                pending_directory=None,
                approved_by=by.name,
                approved_ms=now_ms(),
            )
            plugins.replace(tx, by, found)
            hooks.declare(tx, by, id_, found.shown.hooks)
        return Approved(
            id=id_,
            version=found.shown.version,
            state=PluginState(found.state),
            hooks=tuple(plugins.hooks_of(tx, by, [id_])[id_]),
            secret=self._issue(tx, by, found.shown),
        )

    def _issue(self, tx: Connection, by: Principal, manifest: Manifest) -> str | None:
        """A new secret for a plugin that needs one and has none."""
        if manifest.entry.protocol not in WITH_SECRET:
            return None
        name = secret_name(manifest.id)
        try:
            self._vault.get(tx, name, tenant_id=by.tenant_id)
        except NotFound:
            secret = SECRET_PREFIX + secrets.token_urlsafe(32)
            self._vault.put(tx, name, secret.encode(), tenant_id=by.tenant_id)
            return secret
        return None

    def enable(self, tx: Connection, by: Principal, id_: str) -> None:
        """Have the hooks of a plugin asked; raises `NotFound`, `Conflict` before its approval."""
        found = plugins.get(tx, by, id_, locked=True)
        _require_not_blocked(found)
        if found.manifest is None:
            raise Conflict("plugin_pending", id=id_)
        if found.state is not State.ENABLED:
            self._require_unsigned(id_)
            self._require_held(found.manifest)
            plugins.replace(tx, by, replace(found, state=State.ENABLED))

    def disable(self, tx: Connection, by: Principal, id_: str) -> None:
        """Have none of its hooks asked; raises `NotFound`, `Conflict` before its approval."""
        found = plugins.get(tx, by, id_, locked=True)
        _require_not_blocked(found)
        if found.manifest is None:
            raise Conflict("plugin_pending", id=id_)
        if found.state is not State.DISABLED:
            plugins.replace(tx, by, replace(found, state=State.DISABLED))

    def remove(self, tx: Connection, by: Principal, id_: str) -> None:
        """Forget a plugin with its hooks and secrets; linked files stay where they are. Raises `NotFound`."""
        plugins.get(tx, by, id_, locked=True)
        for name in (secret_name(id_), previous_name(id_)):
            self._vault.delete(tx, name, tenant_id=by.tenant_id)
        breakers.reset(tx, plugins.hooks_of(tx, by, [id_])[id_])
        for rows in (plugin_health, plugin_logs, plugin_tokens, plugin_usage):
            rows.remove(tx, by, id_)
        plugins.remove(tx, by, id_)

    def shown(self, tx: Connection, by: Principal, found: Sequence[Registered]) -> list[Plugin]:
        """Plugins as people see them; five statements, however many."""
        ids, at_ms = [one.id for one in found], now_ms()
        names, metrics = plugins.hooks_of(tx, by, ids), plugins.metrics_of(tx, by, ids)
        usage, health = plugin_usage.of(tx, by, ids, at_ms), plugin_health.of(tx, by, ids)
        workers = plugin_health.workers_of(tx, by, ids, at_ms)
        local = {one.id for one in found if one.shown.entry.protocol is Protocol.STDIN}
        held = _held(self._isolation()) if local else None
        return [
            replace(
                _shown(one, tuple(names[one.id]), metrics[one.id], held if one.id in local else None),
                usage=usage[one.id].total,
                usage_today=usage[one.id].today,
                health=health.get(one.id),
                workers=workers.get(one.id),
            )
            for one in found
        ]

    def _require_unsigned(self, id_: str) -> None:
        if not self._settings.allow_unsigned:
            raise Forbidden("plugin_unsigned", id=id_)

    def _require_held(self, wanted: Manifest) -> None:
        """Where files and network stay open to local processes none is enabled, unless wished (rule H1)."""
        if wanted.entry.protocol is not Protocol.STDIN or self._settings.sandbox == "off":
            return
        found = self._isolation()
        if not found.is_enough:
            missing = "; ".join(f"{one.layer}: {one.why}" for one in found.missing)
            raise Forbidden("plugin_not_held", id=wanted.id, missing=missing)


def _reviews(found: Registered) -> tuple[str, ...]:
    """The ids of reviews on which an approval can decide now; what was approved may be approved again."""
    return (NOTHING, fingerprint(found.shown)) if found.pending is None else (fingerprint(found.pending),)


def _require_not_blocked(found: Registered) -> None:
    if found.state is State.BLOCKED:
        raise Conflict("plugin_blocked", id=found.id)


def _installed(found: Registered, wanted: Manifest) -> Installed:
    waits = found.pending is not None
    return Installed(
        id=wanted.id,
        version=wanted.version,
        state=PluginState.PENDING if waits else PluginState(found.state),
        permissions=wanted.permissions,
        signatures=(),
        review=review(wanted, found.manifest) if waits else None,
    )


def _held(isolation: Isolation) -> Held:
    return Held(enough=isolation.is_enough, layers=isolation.present, missing=isolation.missing)


def _shown(
    found: Registered, names: tuple[str, ...], metrics: dict[str, float], sandbox: Held | None
) -> Plugin:
    manifest = found.shown
    return Plugin(
        id=found.id,
        name=manifest.name,
        version=manifest.version,
        state=PluginState(found.state),
        source=found.source,
        directory=found.directory,
        author=manifest.author,
        description=manifest.description,
        license=manifest.license,
        homepage=manifest.homepage,
        entry=PluginEntry(**{one.name: getattr(manifest.entry, one.name) for one in fields(Entry)}),
        permissions=manifest.permissions,
        limits=manifest.limits,
        hooks=names,
        signatures=(),
        pending=None if found.pending is None else review(found.pending, found.manifest),
        approved_by=found.approved_by,
        approved_at=None if found.approved_ms is None else to_time(found.approved_ms),
        created_at=to_time(found.created_ms),
        generation=found.generation,
        metrics=metrics,
        sandbox=sandbox,
    )
