"""The log of hooks, from what the chain notes of each call."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mairust_core.hooks.log import Line
from mairust_core.ids import IdSource, to_time
from mairust_core.model.hook_forms import HookCall, Outcome
from mairust_core.model.ids import Id
from mairust_core.store import StorageBackend, hook_calls


class CallLog:
    """Writes lines into the table of calls. Thread-safe."""

    def __init__(self, storage: StorageBackend, ids: Callable[[], IdSource]) -> None:
        self._storage = storage
        self._ids = ids

    def record(self, lines: Sequence[Line]) -> None:
        """Write them down in one transaction; raises the errors of the store."""
        ids = self._ids()  # before the transaction: the first use leases a process number
        calls = [_call(ids.next(), line) for line in lines]
        with self._storage.write() as tx:
            hook_calls.record(self._storage, tx, calls)


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
