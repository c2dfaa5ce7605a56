"""Plugins as people see them: listed, exported, and just installed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING

from mairust_core.ids import now_ms, to_time
from mairust_core.model.isolation import Isolation
from mairust_core.model.plugin import Entry, Manifest, Protocol
from mairust_core.model.plugin_forms import Held, Installed, Plugin, PluginEntry, PluginState, Review
from mairust_core.model.principal import Principal
from mairust_core.model.settings import ExportedPlugin
from mairust_core.plugins.rights import review
from mairust_core.plugins.standing import Standings
from mairust_core.plugins.toml_text import toml_text
from mairust_core.store import packages, plugin_health, plugin_usage, plugins
from mairust_core.store.plugins import Registered

if TYPE_CHECKING:
    from sqlalchemy import Connection


def shown(
    tx: Connection, by: Principal, found: Sequence[Registered], isolation: Callable[[], Isolation]
) -> list[Plugin]:
    """Plugins as people see them; nine statements, however many.

    `isolation` is asked where one of them is a local process.
    """
    ids, at_ms = [one.id for one in found], now_ms()
    names, metrics = plugins.hooks_of(tx, by, ids), plugins.metrics_of(tx, by, ids)
    usage, health = plugin_usage.of(tx, by, ids, at_ms), plugin_health.of(tx, by, ids)
    workers = plugin_health.workers_of(tx, by, ids, at_ms)
    standings = Standings(tx, by, found)
    revoked = standings.revoked(tx, by, found)
    local = {one.id for one in found if one.shown.entry.protocol is Protocol.STDIN}
    held = _held(isolation()) if local else None
    told = (
        _shown(one, tuple(names[one.id]), metrics[one.id], held if one.id in local else None, standings)
        for one in found
    )
    return [
        replace(
            one,
            usage=usage[one.id].total,
            usage_today=usage[one.id].today,
            health=health.get(one.id),
            workers=workers.get(one.id),
            revoked=one.id in revoked,
        )
        for one in told
    ]


def exported(tx: Connection, by: Principal, limit: int) -> list[ExportedPlugin]:
    """The plugins that were approved, each with its plugin.toml; two statements."""
    found = [one for one in plugins.page(tx, by, "", limit) if one.manifest is not None]
    texts = packages.texts(tx, by, (one.package for one in found))
    return [
        ExportedPlugin(
            id=one.id,
            state=PluginState(one.state),
            source=one.source,
            directory=one.directory,
            package=one.package,
            toml=texts.get(one.package or "") or toml_text(one.shown),
        )
        for one in found
    ]


def installed(
    tx: Connection, by: Principal, found: Registered, wanted: Manifest, secret: str | None = None
) -> Installed:
    """What became of a version that came in."""
    waits = found.pending is not None
    standings = Standings(tx, by, [found])
    standing = standings.waiting(found)
    return Installed(
        id=wanted.id,
        version=wanted.version,
        state=PluginState.PENDING if waits else PluginState(found.state),
        permissions=wanted.permissions,
        signatures=standing.signers.signatures(standing.names),
        review=review(wanted, found.manifest, standing) if waits else None,
        secret=secret,
    )


def _held(isolation: Isolation) -> Held:
    return Held(enough=isolation.is_enough, layers=isolation.present, missing=isolation.missing)


def _entry(entry: Entry) -> PluginEntry:
    return PluginEntry(**{one.name: getattr(entry, one.name) for one in fields(Entry)})


def _waiting(found: Registered, standings: Standings) -> Review | None:
    """What waits for approval."""
    if found.pending is None:
        return None
    return review(found.pending, found.manifest, standings.waiting(found))


def _shown(
    found: Registered,
    names: tuple[str, ...],
    metrics: dict[str, float],
    sandbox: Held | None,
    standings: Standings,
) -> Plugin:
    manifest, signers = found.shown, standings.shown(found)
    return Plugin(
        id=found.id,
        name=manifest.name,
        version=manifest.version,
        state=PluginState(found.state),
        source=found.source,
        directory=found.directory,
        package=found.package if found.manifest is not None else found.pending_package,
        author=manifest.author,
        description=manifest.description,
        license=manifest.license,
        homepage=manifest.homepage,
        entry=_entry(manifest.entry),
        permissions=manifest.permissions,
        limits=manifest.limits,
        hooks=names,
        signatures=signers.signatures(standings.names),
        licence=signers.licence,
        pending=_waiting(found, standings),
        previous_version=standings.previous_version(found),
        approved_by=found.approved_by,
        approved_at=None if found.approved_ms is None else to_time(found.approved_ms),
        created_at=to_time(found.created_ms),
        generation=found.generation,
        metrics=metrics,
        sandbox=sandbox,
    )
