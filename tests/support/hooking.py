"""Hooks for tests: written down in memory, answered by functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from mairust_core.hooks import Asked
from mairust_core.hooks.book import Registered
from mairust_core.hooks.log import Noted
from mairust_core.hooks.memory import MemoryTransport, Plugin
from mairust_core.hooks.payload import Callback
from mairust_core.ids import to_ms
from mairust_core.mime import describe
from mairust_core.model.blob import Bytes
from mairust_core.model.content import WholeDescription
from mairust_core.model.envelope import Connection, Envelope, Recipient, Road
from mairust_core.model.hook import Fallback, Filter, Hook, HookType, Mode
from mairust_core.model.hook_forms import HookCall
from mairust_core.model.ids import Id
from mairust_core.model.plugin import Attachments, Body, Entry, Limits, Permissions, Protocol, Runnable
from mairust_core.model.principal import DEFAULT_TENANT
from mairust_core.store.tables import hook_log

EVERYTHING = Permissions(
    read_headers=True,
    read_body=Body.PREVIEW,
    read_attachments=Attachments.METADATA,
    write_tags=True,
    write_flags=True,
    move_message=True,
    write_metadata=True,
)
CLIENT = Connection(road=Road.SMTP, ip="192.0.2.7", helo="mx.elsewhere.example", session_id="s1")


def runnable(
    plugin: str = "com.example.test",
    permissions: Permissions = EVERYTHING,
    *,
    generation: int = 0,
    wall_time_ms: int | None = None,
    protocol: Protocol = Protocol.INPROCESS,
    endpoint: str = "",
) -> Runnable:
    """A plugin."""
    return Runnable(
        id=plugin,
        version="1.0.0",
        entry=Entry(protocol=protocol, endpoint=endpoint),
        permissions=permissions,
        limits=Limits(wall_time_ms=wall_time_ms),
        generation=generation,
    )


def registered(
    name: str = "com.example.test:pre_receive",
    type_: HookType = HookType.PRE_RECEIVE,
    *,
    plugin: Runnable | None = None,
    wanted: Filter | None = None,
    mode: Mode = Mode.ENFORCE,
    priority: int = 100,
    timeout_ms: int = 2000,
    on_timeout: Fallback = Fallback.TEMPFAIL,
    on_error: Fallback = Fallback.TEMPFAIL,
    blocked: bool = False,
) -> Registered:
    """A hook of a plugin."""
    plugin = plugin or runnable()
    hook = Hook(
        name=name, type=type_, plugin=plugin.id, mode=mode, priority=priority, timeout_ms=timeout_ms,
        on_timeout=on_timeout, on_error=on_error, filter=wanted or Filter(),
    )  # fmt: skip
    return Registered(hook=hook, plugin=plugin, blocked=blocked)


def asked(
    data: bytes,
    reached: dict[int, Sequence[str]] | None = None,
    *,
    sender: str = "eve@elsewhere.example",
    delivery: str = "1",
    described: bool = True,
) -> Asked:
    """A mail before the hooks."""
    reached = reached or {1: ["ann@example.org"]}
    recipients = [
        Recipient(address=address, accounts=(account,))
        for account, all_ in reached.items()
        for address in all_
    ]
    return Asked(
        delivery=delivery,
        envelope=Envelope(
            mail_from=sender,
            recipients=tuple(recipients),
            connection=CLIENT,
            received_at=datetime.now(UTC),
        ),
        content=Bytes.of(data),
        description=WholeDescription(describe(data) if described else None),
        reached=reached,
    )


class Plugins:
    """The transports of plugins that are functions, by the id of the plugin; kept to be looked at."""

    def __init__(self, **functions: Plugin) -> None:
        self._functions = {name.replace("_", "."): one for name, one in functions.items()}
        self.opened: dict[str, MemoryTransport] = {}

    def add(self, plugin: str, function: Plugin) -> None:
        """One more."""
        self._functions[plugin] = function

    def open(self, plugin: Runnable) -> MemoryTransport:
        """The transport of a plugin; the same one as long as this object lives."""
        if plugin.id not in self.opened:
            self.opened[plugin.id] = MemoryTransport(self._functions[plugin.id])
        return self.opened[plugin.id]

    def requests(self, plugin: str) -> list[dict[str, Any]]:
        """What a plugin was told so far."""
        return self.opened[plugin].requests if plugin in self.opened else []


class NoLog:
    """Nothing is written down."""

    def record(self, noted: Noted) -> None:
        """Forget it."""


class NoCredentials:
    """Nothing is signed and nobody is called back."""

    def secrets(self, plugin: Runnable) -> Sequence[str]:
        """None."""
        return ()

    def call_token(self, plugin: Runnable, delivery_id: str) -> str:
        """None."""
        return ""

    def callback(
        self, registered: Registered, delivery_id: str, message_id: Id, place: tuple[int, int]
    ) -> Callback | None:
        """None."""
        return None


def logged(call: HookCall) -> tuple[Any, ...]:
    """The row of the log that tells of a call."""
    values = {
        **asdict(call),
        "tenant_id": DEFAULT_TENANT,
        "at_ms": to_ms(call.at),
        "took_us": round(call.ms * 1000),
        "mode": call.mode.value,
        "outcome": call.outcome.value,
    }
    return tuple(values[one.name] for one in hook_log.columns)
