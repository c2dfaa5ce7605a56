"""What is kept of calls of plugins, as rows: of a mail that is stored with it, of all else a little later.

The log of hooks, and the record of who saw which mail; later also sums, and the plugins' own logs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from mairust_core.hooks.accesses import Access, accesses_of
from mairust_core.hooks.log import Line, Noted, line
from mairust_core.hooks.sayings import Saying
from mairust_core.hooks.steps import Step
from mairust_core.ids import IdSource, now_ms
from mairust_core.model.delivery import NO_CALLS, CallRows
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
from mairust_core.store.facts import cleaned

if TYPE_CHECKING:
    from sqlalchemy import Connection

MAX_DETAIL = 1000
MAX_ROWS_WITH_MAIL = 200
"""Of what was asked about one mail; with more its transaction would be long (rule D2)."""


def calls_of(steps: Sequence[Step], trace_id: Id, ids: IdSource) -> CallRows:
    """What is to be written together with the mail that was asked about; nothing where it is much."""
    if sum(1 + len(one.accounts) for one in steps) > MAX_ROWS_WITH_MAIL:
        return NO_CALLS
    return CallRows(
        log=[_call(ids.next(), line(one, trace_id, None)) for one in steps],
        accesses=[_access(ids.next(), seen) for one in steps for seen in accesses_of(one, trace_id, {})],
    )


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
        int(id_), DEFAULT_TENANT, one.at_ms, plugin.id, plugin.version, hook.name, one.why.value,
        " ".join(one.saw), one.account_id, _plain(one.trace_id), _plain(one.message_id),
    )  # fmt: skip


def _saying(id_: Id, one: Saying) -> tuple[Any, ...]:
    """In the order of the table's columns."""
    return id_, DEFAULT_TENANT, one.at_ms, one.plugin, one.hook, one.origin.value, one.text


def _call(id_: Id, one: Line) -> tuple[Any, ...]:
    """In the order of the table's columns."""
    return (
        int(id_), DEFAULT_TENANT, one.at_ms, one.hook, one.plugin, one.delivery_id, one.mode.value,
        one.came.value, one.action, round(one.ms * 1000), cleaned(one.detail[:MAX_DETAIL]),
        _plain(one.trace_id), _plain(one.message_id), cleaned(one.recipient) or None,
    )  # fmt: skip


def _plain(id_: int | None) -> int | None:
    """An id as any serialisation takes it."""
    return None if id_ is None else int(id_)
