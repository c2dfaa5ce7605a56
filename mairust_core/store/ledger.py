"""The ledger of imports: how many copies of some bytes were brought into a mailbox (rule I1).

It says what was imported, not what is there: what the user moved or deleted stays counted, and does not
return when the same source is imported again.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from mairust_core.model.delivery import Delivery
from mairust_core.store import StorageBackend

ASKED_AT_ONCE = 500

# No row comes back where enough copies are counted. The row is locked either way, so that of two runs over
# the same source one waits and finds what the other brought.
_COUNT = (
    "INSERT INTO import_ledger (account_id, mailbox, sha256, tenant_id, copies) VALUES (?, ?, ?, ?, 1)"
    " ON CONFLICT (account_id, mailbox, sha256) DO UPDATE SET copies ="
    " CASE WHEN import_ledger.copies < ? THEN import_ledger.copies + 1 ELSE import_ledger.copies END"
    " WHERE import_ledger.copies < ? OR ? RETURNING copies"
)

_KNOWN = "SELECT sha256, copies FROM import_ledger WHERE account_id = ? AND mailbox = ? AND sha256 IN "


def count(storage: StorageBackend, tx: Connection, batch: Sequence[Delivery]) -> set[int]:
    """Count what comes from imports; the message ids of those copies that were brought before.

    Rows are taken in the order of their key, the same in every process.
    """
    rows = []
    for one in batch:
        if one.counted is not None:
            copy, nth = one.copies[0], one.counted.copy
            key = (copy.account_id, copy.mailbox, one.content.sha256)
            rows.append(((*key, one.tenant_id, nth, nth, one.counted.again), int(copy.id)))
    rows.sort(key=lambda row: (row[0][:3], row[0][4]))
    found = storage.fetch_each(tx, _COUNT, [row for row, _ in rows])
    return {id_ for (_, id_), counted in zip(rows, found, strict=True) if counted is None}


def known(
    storage: StorageBackend, tx: Connection, account_id: int, mailbox: str, hashes: Sequence[bytes]
) -> dict[bytes, int]:
    """How many copies of each of these contents are counted; those without any are left out."""
    found: dict[bytes, int] = {}
    for start in range(0, len(hashes), ASKED_AT_ONCE):
        asked = hashes[start : start + ASKED_AT_ONCE]
        rows = storage.fetch_all(
            tx, _KNOWN + f"({', '.join('?' * len(asked))})", (account_id, mailbox, *asked)
        )
        found |= {bytes(sha256): copies for sha256, copies in rows}
    return found
