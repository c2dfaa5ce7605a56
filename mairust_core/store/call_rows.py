"""What hooks were asked about a mail, in the transaction that stores it: who saw it is never lost (B-5)."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from mairust_core.model.delivery import Delivery
from mairust_core.store import StorageBackend
from mairust_core.store.tables import hook_log, plugin_access


def write(storage: StorageBackend, tx: Connection, batch: Sequence[Delivery]) -> None:
    """Write those of a batch, accesses with the message that each account got, if it got one.

    Row by row: `hook_calls.record` puts many into a statement, which takes longer for the few of a batch.
    """
    asked = [one for one in batch if one.calls.log]
    storage.insert_rows(tx, hook_log, [row for one in asked for row in one.calls.log])
    accesses = []
    for one in asked:
        messages = {copy.account_id: int(copy.id) for copy in one.copies}
        for *head, account_id, trace_id, _ in one.calls.accesses:
            accesses.append((*head, account_id, trace_id, messages.get(account_id)))
    storage.insert_rows(tx, plugin_access, accesses)
