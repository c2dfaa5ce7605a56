"""What is kept of calls of plugins, from what the chain notes of each.

The log of hooks, the record of who saw which mail, sums, the plugins' own logs: one transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from mairust_core.hooks.accesses import Access
from mairust_core.hooks.log import Line, Noted
from mairust_core.hooks.sayings import Saying
from mairust_core.ids import IdSource, now_ms, to_time
from mairust_core.model.hook_forms import HookCall, Outcome
from mairust_core.model.ids import Id
from mairust_core.model.principal import DEFAULT_TENANT
from mairust_core.store import (
    StorageBackend,
    hook_calls,
    plugin_accesses,
    plugin_health,
    plugin_logs,
    plugin_usage,
)

if TYPE_CHECKING:
    from sqlalchemy import Connection


class CallLog:
    """Writes what was noted into the tables. Thread-safe."""

    def __init__(self, storage: StorageBackend, ids: Callable[[], IdSource]) -> None:
        self._storage = storage
        self._ids = ids

    def record(self, noted: Noted) -> None:
        """Write it down in one transaction; raises the errors of the store."""
        ids = self._ids()  # before the transaction: the first use leases a process number
        calls = [_call(ids.next(), line) for line in noted.lines]
        accesses = [_access(ids.next(), one) for one in noted.accesses]
        sayings = [_saying(ids.next(), one) for one in noted.sayings]
        with self._storage.write() as tx:
            hook_calls.record(self._storage, tx, calls)
            plugin_accesses.record(self._storage, tx, accesses)
            self._keep(tx, noted, sayings)
            if noted.alive is not None:
                found = {one: (alive.workers, alive.busy) for one, alive in noted.alive.items()}
                plugin_health.tell_alive(tx, ids.process, found, now_ms())

    def _keep(self, tx: Connection, noted: Noted, sayings: Sequence[tuple[Any, ...]]) -> None:
        if sayings:
            plugins = {one.plugin for one in noted.sayings}
            plugin_logs.record(self._storage, tx, sayings, plugins)
        plugin_usage.add(tx, {plugin: asdict(one) for plugin, one in noted.figures.items()}, now_ms())


def _access(id_: Id, one: Access) -> tuple[Any, ...]:
    """In the order of the table's columns."""
    plugin, hook = one.registered.plugin, one.registered.hook
    return (
        id_, DEFAULT_TENANT, one.at_ms, plugin.id, plugin.version, hook.name, one.why.value,
        " ".join(one.saw), one.account_id, one.trace_id, one.message_id,
    )  # fmt: skip


def _saying(id_: Id, one: Saying) -> tuple[Any, ...]:
    """In the order of the table's columns."""
    return id_, DEFAULT_TENANT, one.at_ms, one.plugin, one.hook, one.origin.value, one.text


def _call(id_: Id, line: Line) -> HookCall:
    return HookCall(
        id=id_,
        at=to_time(line.at_ms),
        hook=line.hook,
        plugin=line.plugin,
        delivery_id=line.delivery_id,
        mode=line.mode,
        outcome=Outcome(line.came.value),
        action=line.action,
        ms=line.ms,
        detail=line.detail,
        trace_id=None if line.trace_id is None else Id(line.trace_id),
        message_id=None if line.message_id is None else Id(line.message_id),
        recipient=line.recipient or None,
    )
