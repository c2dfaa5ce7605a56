"""What requests under an `Idempotency-Key` answered, each row written in the transaction of its effect."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, select, update

from mairust_core.ids import now_ms
from mairust_core.model.receipt import KEPT_MS, Kept, Receipt
from mairust_core.store import StorageBackend
from mairust_core.store.tables import idempotency

_CLAIM = (
    "INSERT INTO idempotency (tenant_id, principal, key_hash, fingerprint, at_ms, subject, answer, sealed)"
    " VALUES (?, ?, ?, ?, ?, ?, NULL, FALSE) ON CONFLICT (tenant_id, principal, key_hash) DO UPDATE SET"
    " fingerprint = excluded.fingerprint, at_ms = excluded.at_ms, subject = excluded.subject,"
    " answer = NULL, sealed = FALSE WHERE idempotency.at_ms < ? RETURNING at_ms"
)


def _one(receipt: Receipt) -> ColumnElement[bool]:
    return (
        (idempotency.c.tenant_id == receipt.tenant_id)
        & (idempotency.c.principal == receipt.principal)
        & (idempotency.c.key_hash == receipt.key_hash)
    )


def find(tx: Connection, receipt: Receipt) -> Kept | None:
    """What is known of a request with this key of this principal within the last day."""
    row = tx.execute(
        select(
            idempotency.c.fingerprint, idempotency.c.subject, idempotency.c.answer, idempotency.c.sealed
        ).where(_one(receipt), idempotency.c.at_ms >= now_ms() - KEPT_MS)
    ).first()
    return None if row is None else Kept(fingerprint=row[0], subject=row[1], answer=row[2], sealed=row[3])


def claim(
    storage: StorageBackend, tx: Connection, claims: Sequence[tuple[Receipt, str | None]]
) -> list[bool]:
    """Take keys for requests and what they make; False for a key that another request has.

    Waits for a transaction under way that has the key.
    """
    now = now_ms()
    rows = [
        (one.tenant_id, one.principal, one.key_hash, one.fingerprint, now, subject, now - KEPT_MS)
        for one, subject in claims
    ]
    return [found is not None for found in storage.fetch_each(tx, _CLAIM, rows)]


def finish(tx: Connection, receipt: Receipt, answer: bytes | None) -> None:
    """Keep the answer of a request; None says that it is stored as a secret."""
    tx.execute(update(idempotency).where(_one(receipt)).values(answer=answer, sealed=answer is None))
