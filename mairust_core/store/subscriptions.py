"""Queries on subscriptions: which mailboxes mail programs shall show."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, insert, select

from mairust_core.store.tables import subscription


def of(tx: Connection, account_id: int) -> tuple[str, ...]:
    """The names an account is subscribed to, in order."""
    query = select(subscription.c.mailbox).where(subscription.c.account_id == account_id)
    return tuple(sorted(tx.execute(query).scalars()))


def add(tx: Connection, tenant_id: int, account_id: int, names: Sequence[str]) -> None:
    """Subscribe an account to these names, whether or not they are mailboxes."""
    there = set(of(tx, account_id))
    rows = [
        {"account_id": account_id, "mailbox": name, "tenant_id": tenant_id}
        for name in dict.fromkeys(names)
        if name not in there
    ]
    if rows:
        tx.execute(insert(subscription), rows)
