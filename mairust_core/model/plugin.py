"""Plugins: untrusted code, what it says of itself, and what somebody approved (contract §5)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from pathlib import Path

from mairust_core.model.hook import Hook


class State(StrEnum):
    """Where a plugin stands."""

    PENDING = "pending"
    ENABLED = "enabled"
    DISABLED = "disabled"
    BLOCKED = "blocked"


class Protocol(StrEnum):
    """How a plugin is spoken to."""

    HTTP = "http"
    UNIX = "unix"
    STDIN = "stdin"
    INPROCESS = "inprocess"
    """Python in this process, ours or an extension's, under the same permissions; no package says it."""
    EXTENSION = "extension"
    """By a transport of an installed extension."""


class ProcessMode(StrEnum):
    """How long a process of protocol stdin lives."""

    ONESHOT = "oneshot"
    WORKER = "worker"


class Network(StrEnum):
    """What a plugin may reach (rule H2)."""

    NONE = "none"
    LOCAL_ONLY = "local-only"
    OUTBOUND_LIMITED = "outbound-limited"
    UNLIMITED = "unlimited"


class Body(StrEnum):
    """How much of a body a plugin reads."""

    NONE = "none"
    PREVIEW = "preview"
    FULL = "full"


class Attachments(StrEnum):
    """How much of attachments a plugin reads."""

    NONE = "none"
    METADATA = "metadata"
    FULL = "full"


@dataclass(frozen=True, slots=True, kw_only=True)
class Permissions:
    """What a plugin reads and may change; all else is neither sent nor applied (rule F1, R-PERM-2)."""

    read_headers: bool = False
    read_body: Body = Body.NONE
    read_attachments: Attachments = Attachments.NONE
    write_tags: bool = False
    write_flags: bool = False
    move_message: bool = False
    write_metadata: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one call of a plugin may take (R-BOX-4); None for `wall_time_ms` is the hook's own time-out."""

    cpu_ms: int = 500
    memory_mb: int = 256
    wall_time_ms: int | None = None
    network: Network = Network.NONE
    network_allow: tuple[str, ...] = ()
    """`host:port` pairs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """How a plugin is called: an endpoint, or a command."""

    protocol: Protocol
    endpoint: str = ""
    health_endpoint: str = ""
    command: tuple[str, ...] = ()
    mode: ProcessMode = ProcessMode.ONESHOT
    max_calls: int = 1_000
    """After so many a worker is replaced (rule H3)."""
    transport: str = ""
    """What an extension calls its transport, which plugin.toml names as the protocol."""

    @property
    def way(self) -> str:
        """The protocol as plugin.toml names it."""
        return self.transport or self.protocol.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A `plugin.toml`, read and checked."""

    id: str
    name: str
    version: str
    author: str = ""
    description: str = ""
    license: str = ""
    homepage: str = ""
    mairust_min: str = ""
    mairust_max: str = ""
    entry: Entry
    hooks: tuple[Hook, ...] = ()
    permissions: Permissions = field(default_factory=Permissions)
    limits: Limits = field(default_factory=Limits)


class Layers(IntEnum):
    """How well local processes are shut in on this machine (rule H1)."""

    NONE = 0
    LIMITS = 1
    """Limits and a wall clock only: neither files nor network."""
    LANDLOCK = 2
    NAMESPACES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Runnable:
    """A registered plugin as chain and transports need it: with the approved rights, not those declared."""

    id: str
    version: str
    entry: Entry
    permissions: Permissions
    limits: Limits
    directory: Path | None = None
    """Where its files lie, for a local process; it is the working directory, read-only."""
    package: str | None = None
    """The digest of the package they come from, which may have to be unpacked first; None when linked."""
    generation: int = 0
    """Rises with every change of the plugin: workers of an older one are replaced."""

    @property
    def is_local(self) -> bool:
        """Whether it is a process of this machine, which needs its files."""
        return self.entry.protocol is Protocol.STDIN
