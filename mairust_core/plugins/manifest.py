"""A `plugin.toml`, read and checked: what a plugin says of itself (contract §5)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path

from mairust_core import __version__
from mairust_core.errors import Invalid
from mairust_core.model.hook import PRIORITY, Fallback, Filter, Hook, HookType
from mairust_core.model.hook_forms import PRIORITIES, SIZES, default_timeout_ms, timeouts_ms
from mairust_core.model.plugin import (
    Attachments,
    Body,
    Entry,
    Limits,
    Manifest,
    Network,
    Permissions,
    ProcessMode,
    Protocol,
)
from mairust_core.networks import Network as IpNetwork
from mairust_core.plugins import endpoints, identity
from mairust_core.plugins.source import MAX_BYTES, NAME, Source, Table

CPU_MS = (1, 600_000)
MEMORY_MB = (8, 65_536)
WALL_MS = (1, 600_000)
CALLS = (1, 1_000_000)
USUAL_CALLS = 1_000
FROM_OUTSIDE = (Protocol.HTTP, Protocol.UNIX, Protocol.STDIN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What a manifest is judged against: this program, and this site's configuration."""

    socket_dir: Path
    """The directory that alone may hold UNIX sockets of plugins (rule H2)."""
    private_networks: Sequence[IpNetwork] = ()
    """Networks that are not public and that plugins may reach nevertheless."""
    program: str = __version__
    """Its version; empty for any."""
    builtin: bool = False
    """Whether it is a plugin of ours: these alone have ids of ours."""
    inside: bool = False
    """Whether it may run inside the server, as those of extensions do, and as ours may."""
    speaks: Callable[[str], bool] = lambda _: False
    """Whether an extension has a transport of that name."""


def on_paper() -> Ground:
    """Ground of no site: what some site, with some version of this program, could take."""
    everywhere = (ip_network("0.0.0.0/0"), ip_network("::/0"))
    return Ground(socket_dir=Path("/"), private_networks=everywhere, program="")


def read_directory(directory: Path, ground: Ground) -> Manifest:
    """The manifest of an unpacked plugin; raises `Invalid` naming file, line and key."""
    path = directory / NAME
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise Invalid(NAME, "toml_unreadable", where=str(path), why=error.strerror) from None
    return read_manifest(data, ground, str(path))


def read_manifest(data: bytes, ground: Ground, where: str = NAME) -> Manifest:
    """The manifest that the bytes of a `plugin.toml` say.

    `where` is what its faults call it. Raises `Invalid` naming it, the line and the key.
    """
    source = Source(data, where)
    top = source.top
    if top.has("depends"):
        top.fault("depends", "plugin_depends")
    id_, version = _identity(top, ground)
    _check_compat(top.table("compat"), ground)
    limits = _limits(top.table("limits"), ground)
    manifest = Manifest(
        id=id_,
        version=version,
        name=top.text("name", 100) or id_,
        author=top.text("author", 200),
        description=top.text("description", 1000),
        license=top.text("license", 100),
        homepage=top.text("homepage", 500),
        mairust_min=top.table("compat").text("mairust_min"),
        mairust_max=top.table("compat").text("mairust_max"),
        entry=_entry(top.table("entry", needed=True), limits, ground),
        hooks=_hooks(top, id_),
        permissions=_permissions(top.table("permissions")),
        limits=limits,
    )
    top.close()
    return manifest


def _identity(top: Table, ground: Ground) -> tuple[str, str]:
    id_ = top.text("id", needed=True)
    if not identity.is_id(id_):
        top.fault("id", "plugin_id", value=repr(id_[:80]), limit=identity.MAX_ID_LENGTH)
    if identity.is_reserved(id_) and not ground.builtin:
        top.fault("id", "plugin_id_reserved", value=id_)
    version = top.text("version", 100, needed=True)
    if identity.version(version) is None:
        top.fault("version", "plugin_version", value=repr(version[:80]))
    return id_, version


def _check_compat(table: Table, ground: Ground) -> None:
    bounds = {}
    for key in ("mairust_min", "mairust_max"):
        text = bounds[key] = table.text(key, 100)
        if text and identity.version(text) is None:
            table.fault(key, "plugin_version", value=repr(text[:80]))
    table.close()
    low, high = bounds["mairust_min"], bounds["mairust_max"]
    if ground.program and not identity.fits(ground.program, low, high):
        key = "mairust_min" if not identity.fits(ground.program, low, "") else "mairust_max"
        table.fault(key, "plugin_compat", wanted=bounds[key], have=ground.program)


def _limits(table: Table, ground: Ground) -> Limits:
    usual = Limits()
    cpu_ms = table.number("cpu_ms", usual.cpu_ms, CPU_MS)
    memory_mb = table.number("memory_mb", usual.memory_mb, MEMORY_MB)
    assert cpu_ms is not None
    assert memory_mb is not None
    found = Limits(
        cpu_ms=cpu_ms,
        memory_mb=memory_mb,
        wall_time_ms=table.number("wall_time_ms", None, WALL_MS),
        network=table.choice("network", Network, usual.network),
        network_allow=_places(table.texts("network_allow")),
    )
    fault = endpoints.judge_network(found.network, found.network_allow, ground.private_networks)
    if fault is not None:
        key = "network_allow" if found.network_allow else "network"
        table.fault(key, fault.detail, **fault.values)
    table.close()
    return found


def _places(texts: tuple[str, ...]) -> tuple[str, ...]:
    """The places in their one spelling; what is none stays, for the judgement to name."""
    return tuple(dict.fromkeys(str(endpoints.target(text) or text) for text in texts))


def _entry(table: Table, limits: Limits, ground: Ground) -> Entry:
    protocol, transport = _protocol(table, ground)
    calls = table.number("max_calls", USUAL_CALLS, CALLS)
    assert calls is not None
    found = Entry(
        protocol=protocol,
        endpoint=_endpoint(table, "endpoint", protocol),
        health_endpoint=_endpoint(table, "health_endpoint", protocol),
        command=table.texts("command"),
        mode=table.choice("mode", ProcessMode, ProcessMode.ONESHOT),
        max_calls=calls,
        transport=transport,
    )
    _check_own_keys(table, protocol)
    _check_endpoints(table, found, limits, ground)
    if protocol is Protocol.STDIN and not found.command:
        table.fault("command", "plugin_no_command")
    table.close()
    return found


def _endpoint(table: Table, key: str, protocol: Protocol) -> str:
    """Where it is; that of a socket in its one spelling, so that no other one asks for a new approval."""
    needed = key == "endpoint" and protocol in (Protocol.HTTP, Protocol.UNIX)
    given = table.text(key, 500, needed=needed)
    is_bare = protocol is Protocol.UNIX and given.startswith("/")
    return endpoints.UNIX + given if is_bare else given


def _protocol(table: Table, ground: Ground) -> tuple[Protocol, str]:
    """The protocol, and what an extension calls its transport."""
    named = table.text("protocol", 100) if table.is_text("protocol") else ""
    if named and named not in tuple(Protocol) and ground.speaks(named):
        return Protocol.EXTENSION, named
    inside = (Protocol.INPROCESS,) if ground.builtin or ground.inside else ()
    return table.choice("protocol", Protocol, None, (*FROM_OUTSIDE, *inside)), ""


_OF_PROCESSES = ("command", "mode", "max_calls")
_OF_ENDPOINTS = ("endpoint", "health_endpoint")


def _check_own_keys(table: Table, protocol: Protocol) -> None:
    """Nothing is said that this protocol has no use for: who says it expects something of it."""
    idle = {
        Protocol.HTTP: _OF_PROCESSES,
        Protocol.UNIX: _OF_PROCESSES,
        Protocol.STDIN: _OF_ENDPOINTS,
        Protocol.INPROCESS: (*_OF_PROCESSES, "health_endpoint"),
        Protocol.EXTENSION: _OF_PROCESSES,
    }
    for key in idle[protocol]:
        if table.has(key):
            table.fault(key, "plugin_idle_key", protocol=protocol.value)


def _check_endpoints(table: Table, entry: Entry, limits: Limits, ground: Ground) -> None:
    for key, value in (("endpoint", entry.endpoint), ("health_endpoint", entry.health_endpoint)):
        fault = None
        if value and entry.protocol is Protocol.HTTP:
            fault = endpoints.judge_http(value, limits.network, limits.network_allow)
        elif value and entry.protocol is Protocol.UNIX:
            fault = endpoints.judge_unix(value, ground.socket_dir)
        if fault is not None:
            table.fault(key, fault.detail, **fault.values)


def _permissions(table: Table) -> Permissions:
    found = Permissions(
        read_headers=bool(table.flag("read_headers")),
        read_body=table.choice("read_body", Body, Body.NONE),
        read_attachments=table.choice("read_attachments", Attachments, Attachments.NONE),
        write_tags=bool(table.flag("write_tags")),
        write_flags=bool(table.flag("write_flags")),
        move_message=bool(table.flag("move_message")),
        write_metadata=bool(table.flag("write_metadata")),
    )
    table.close()
    return found


def _hooks(top: Table, id_: str) -> tuple[Hook, ...]:
    tables = top.tables("hooks")
    types = [table.choice("type", HookType, None) for table in tables]
    own = [table.text("name", identity.MAX_NAME_LENGTH) for table in tables]
    for table, name in zip(tables, own, strict=True):
        if name and not identity.is_hook_name(name, id_):
            table.fault("name", "plugin_hook_name", value=repr(name[:80]), plugin=id_)
    names = identity.hook_names(id_, zip(own, types, strict=True))
    for number, (table, name) in enumerate(zip(tables, names, strict=True)):
        if name in names[:number]:
            table.fault("name", "plugin_hook_twice", value=name)
    return tuple(
        _hook(table, name, type_, id_) for table, name, type_ in zip(tables, names, types, strict=True)
    )


def _hook(table: Table, name: str, type_: HookType, id_: str) -> Hook:
    priority = table.number("priority", PRIORITY, PRIORITIES)
    timeout_ms = table.number("timeout_ms", default_timeout_ms(type_), timeouts_ms(type_))
    assert priority is not None
    assert timeout_ms is not None
    on_timeout = table.choice("on_timeout", Fallback, Fallback.TEMPFAIL)
    found = Hook(
        name=name,
        type=type_,
        plugin=id_,
        priority=priority,
        timeout_ms=timeout_ms,
        on_timeout=on_timeout,
        on_error=table.choice("on_error", Fallback, on_timeout),
        filter=_filter(table.table("filter")),
    )
    table.close()
    return found


def _filter(table: Table) -> Filter:
    found = Filter(
        recipient_matches=table.text("recipient_matches") or None,
        recipient_not_matches=table.text("recipient_not_matches") or None,
        sender_matches=table.text("sender_matches") or None,
        sender_not_matches=table.text("sender_not_matches") or None,
        subject_matches=table.text("subject_matches") or None,
        has_attachments=table.flag("has_attachments", None),
        size_gt=table.number("size_gt", None, SIZES),
        size_lt=table.number("size_lt", None, SIZES),
    )
    table.close()
    return found
