"""The audit: who changed what, written in the transaction of the change."""

from __future__ import annotations

from sqlalchemy import Connection, insert

from mairust_core.ids import now_ms
from mairust_core.model.ids import Id
from mairust_core.model.principal import Principal
from mairust_core.store.tables import audit


def record(tx: Connection, entry_id: Id, by: Principal, operation: str, subject: str) -> None:
    """Add one entry; `subject` is a name, address or id, never a secret."""
    tx.execute(
        insert(audit).values(
            id=entry_id,
            tenant_id=by.tenant_id,
            at_ms=now_ms(),
            actor=by.name,
            operation=operation,
            subject=subject,
        )
    )
