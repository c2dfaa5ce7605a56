"""Plugins as they are shown, reviewed and approved."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from mairust_core.model.isolation import Layer, MissingLayer
from mairust_core.model.plugin import Entry, Limits, Permissions
from mairust_core.model.plugin_life import PluginHealth, PluginUsage, Workers
from mairust_core.model.trust import Licence, Signature


class Source(StrEnum):
    """Where the files of a plugin are."""

    LINK = "link"
    """In a directory that somebody linked; nobody signed them."""
    PACKAGE = "package"
    """In a package that the site keeps."""
    EXTENSION = "extension"
    """In an installed distribution, whose installing was the consent (rule G6)."""


class PluginState(StrEnum):
    """Where a plugin stands; an enabled or disabled one may have a newer version that is pending."""

    PENDING = "pending"
    ENABLED = "enabled"
    DISABLED = "disabled"
    BLOCKED = "blocked"


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginEntry(Entry):
    """How a plugin is called: an endpoint, or a command."""


class RightKind(StrEnum):
    """What a right is about, in the order of a review."""

    READ = "read"
    WRITE = "write"
    DECIDE = "decide"
    REACH = "reach"
    USE = "use"
    TRUST = "trust"
    """Who stands for it: whose root signed it, and which developer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Right:
    """One thing a plugin may do.

    `name` is the key of its `plugin.toml`, or that of a hook, `value` what it asks for, empty for a limit
    that it leaves to its hooks; `was` what was approved before, None when nothing was; `more` says that it
    asks for more than that.
    """

    kind: RightKind
    name: str
    value: str
    was: str | None = None
    more: bool = False


NOTHING = "none"
"""Stands for the review of a plugin that waits for nothing: its approval issues a missing secret only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """What a version asks for, for somebody to decide.

    `id` stands for exactly this: who approves it approves nothing that came later.
    """

    id: str
    version: str
    rights: tuple[Right, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """How a local process is held on the machine that answers; `enough`: it need not be trusted (rule H1)."""

    enough: bool
    layers: tuple[Layer, ...]
    missing: tuple[MissingLayer, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin:
    """A plugin as it is registered.

    `permissions` and `limits` are those approved, or while nothing is, those asked for; likewise `package`,
    the SHA-256 of its manifest.json, with its `signatures` and `licence`. `directory` is where the files of a
    linked one are. `pending` is what waits for approval; until then what was approved before runs, and
    `previous_version` is what a rollback leads to. `metrics` are numbers the plugin told of itself. `sandbox`
    is what holds a local process; None for one that is reached over http. `usage` is what its calls came to
    and took since it was registered, `usage_today` since midnight in UTC. `health` is null unless it names a
    `health_endpoint`, `workers` while no process of it runs. `revoked` says that who
    signed `package` took it back: such a plugin is blocked, or stays disabled.
    """

    id: str
    name: str
    version: str
    state: PluginState
    source: Source
    directory: str | None
    package: str | None
    author: str
    description: str
    license: str
    homepage: str
    entry: PluginEntry
    permissions: Permissions
    limits: Limits
    hooks: tuple[str, ...]
    signatures: tuple[Signature, ...]
    licence: Licence | None
    pending: Review | None
    previous_version: str | None
    approved_by: str | None
    approved_at: datetime | None
    created_at: datetime
    generation: int
    metrics: dict[str, float] = field(default_factory=dict)
    sandbox: Held | None = None
    usage: PluginUsage = field(default_factory=PluginUsage)
    usage_today: PluginUsage = field(default_factory=PluginUsage)
    health: PluginHealth | None = None
    workers: Workers | None = None
    revoked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What somebody who installs a package wants besides."""

    upgrade_only: bool = False
    """The plugin must be there already."""
    allow_downgrade: bool = False
    """An older version, or another build of the same one, is wanted as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """A version that was installed or linked; in state pending it waits for approval of what `review` says.

    A newer version may wait while an older one runs. `renewed` says that this very package was there, and
    that its licence or signature is now the one that came in. `secret` is the one that an http or unix plugin
    shares with this site, shown this once when nobody had to approve it.
    """

    id: str
    version: str
    state: PluginState
    permissions: Permissions
    signatures: tuple[Signature, ...]
    review: Review | None
    secret: str | None = field(default=None, repr=False)
    renewed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Approved:
    """A plugin after its approval.

    `secret` is the one it shares with this site, shown this once; None for local processes, and when it has
    one already.
    """

    id: str
    version: str
    state: PluginState
    hooks: tuple[str, ...]
    secret: str | None = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CalledBack:
    """What became of a callback: where the message was moved, and what was left out and why."""

    delivery_id: str
    moved_to: str | None
    left_out: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """How many numbers of a plugin were kept."""

    metrics: int
