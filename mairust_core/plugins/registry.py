"""What is registered, and with which rights: linked, installed, approved, enabled, disabled, removed.

Every change is one transaction of the caller's: killed at any instant it happened, or it did not.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mairust_core.errors import Conflict, Forbidden, NotFound
from mairust_core.ids import now_ms
from mairust_core.model.hook import Filter
from mairust_core.model.isolation import Isolation
from mairust_core.model.plugin import Manifest, Protocol, State
from mairust_core.model.plugin_forms import (
    NOTHING,
    Approved,
    Installed,
    PluginState,
    Source,
)
from mairust_core.model.principal import Principal
from mairust_core.observe.faults import crash_point
from mairust_core.plugins.rights import Standing, asks_for_more, fingerprint
from mairust_core.plugins.showing import installed
from mairust_core.plugins.standing import Standings, named_in, require_trusted
from mairust_core.plugins.times import require_in_time, times
from mairust_core.store import (
    breakers,
    hooks,
    plugin_health,
    plugin_logs,
    plugin_tokens,
    plugin_usage,
    plugins,
    trust,
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
        self.require_unsigned(wanted.id)
        self.check_filters(wanted)
        found = plugins.find(tx, by, wanted.id, locked=True)
        place = str(directory)
        if found is None:
            new = Registered(
                id=wanted.id, state=State.PENDING, source=Source.LINK, directory=place, pending=wanted,
                pending_directory=place,
            )  # fmt: skip
            plugins.add(tx, by, new)
            return installed(tx, by, new, wanted)
        _require_not_blocked(found)
        if found.source is Source.EXTENSION:
            raise Conflict("plugin_of_extension", id=wanted.id)
        standing = Standings(tx, by, [found]).of(found, None)
        waiting = replace(found, pending=wanted, pending_directory=place, pending_package=None)
        if found.manifest is None or asks_for_more(wanted, found.manifest, standing):
            plugins.replace(tx, by, waiting)
            return installed(tx, by, waiting, wanted)
        if found.state is State.ENABLED:
            self.require_held(wanted)
        return installed(tx, by, self.run_waiting(tx, by, waiting), wanted)

    def run_waiting(self, tx: Connection, by: Principal, found: Registered) -> Registered:
        """Have what waits run in place of what was approved, and the plugin's hooks be those it declares.

        A package that ran before is kept for a rollback.
        """
        assert found.pending is not None
        left = found.package if found.package != found.pending_package else None
        changed = replace(
            found,
            state=found.state if found.state is State.DISABLED else State.ENABLED,
            source=Source.LINK if found.pending_package is None else Source.PACKAGE,
            directory=found.pending_directory,
            package=found.pending_package,
            previous_package=left or found.previous_package,
            manifest=found.pending,
            pending=None,
            pending_directory=None,
            pending_package=None,
        )
        plugins.replace(tx, by, changed)
        hooks.declare(tx, by, changed.id, changed.shown.hooks)
        return changed

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
        else waits than was reviewed or it is blocked, `Forbidden` where unsigned plugins are not allowed, or
        when the time of what never ran is over.
        """
        found = plugins.get(tx, by, id_, locked=True)
        if found.pending is None:
            _require_not_blocked(found)
        standing = Standings(tx, by, [found]).waiting(found)
        self._require_consent(tx, by, found, standing)
        self.require_held(found.pending or found.shown)
        if review_id and review_id not in _reviews(found, standing):
            raise Conflict("plugin_reviewed", id=id_)
        if found.pending_package not in (None, found.package, found.previous_package):
            require_in_time(id_, standing.signers, times(tx, by, now_ms()))
        if found.pending is not None:
            found = self.run_waiting(tx, by, replace(found, approved_by=by.name, approved_ms=now_ms()))
        crash_point("plugin.approved")
        return Approved(
            id=id_,
            version=found.shown.version,
            state=PluginState(found.state),
            hooks=tuple(plugins.hooks_of(tx, by, [id_])[id_]),
            secret=self.issue(tx, by, found.shown),
        )

    def issue(self, tx: Connection, by: Principal, manifest: Manifest) -> str | None:
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
            self._require_consent(tx, by, found, Standings(tx, by, [found]).of(found, found.package))
            self.require_held(found.manifest)
            plugins.replace(tx, by, replace(found, state=State.ENABLED))

    def disable(self, tx: Connection, by: Principal, id_: str) -> None:
        """Have none of its hooks asked, blocked or not; raises `NotFound`, `Conflict` before its approval."""
        found = plugins.get(tx, by, id_, locked=True)
        if found.manifest is None:
            _require_not_blocked(found)
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

    def check_filters(self, wanted: Manifest) -> None:
        """Raise `Invalid` for a hook whose filter cannot be matched in linear time (trap H5)."""
        for hook in wanted.hooks:
            self._check_filter(hook.filter)

    def require_standing(self, tx: Connection, by: Principal, id_: str, standing: Standing) -> None:
        """Raise `Forbidden` for what was revoked, whose root is trusted no longer, or that nobody signed."""
        about = named_in([(standing.package, standing.signers)])
        require_trusted(id_, standing.package, standing.signers, trust.trusted(tx, by, about))
        if not standing.signers.is_signed:
            self.require_unsigned(id_)

    def _require_consent(self, tx: Connection, by: Principal, found: Registered, standing: Standing) -> None:
        """As `require_standing`; installing the distribution of an extension was the consent (rule G6)."""
        if found.source is not Source.EXTENSION:
            self.require_standing(tx, by, found.id, standing)

    def require_unsigned(self, id_: str) -> None:
        """Raise `Forbidden` where every plugin has to be signed."""
        if not self._settings.allow_unsigned:
            raise Forbidden("plugin_unsigned", id=id_)

    def require_held(self, wanted: Manifest) -> None:
        """Where files and network stay open to local processes none is enabled, unless wished (rule H1)."""
        if wanted.entry.protocol is not Protocol.STDIN or self._settings.sandbox == "off":
            return
        found = self._isolation()
        if not found.is_enough:
            missing = "; ".join(f"{one.layer}: {one.why}" for one in found.missing)
            raise Forbidden("plugin_not_held", id=wanted.id, missing=missing)


def _reviews(found: Registered, standing: Standing) -> tuple[str, ...]:
    """The ids of reviews on which an approval can decide now; what was approved may be approved again."""
    if found.pending is not None:
        return (fingerprint(found.pending, standing),)
    return (NOTHING, fingerprint(found.shown, standing))


def _require_not_blocked(found: Registered) -> None:
    if found.state is State.BLOCKED:
        raise Conflict("plugin_blocked", id=found.id)
