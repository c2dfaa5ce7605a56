"""Queries on what a log-in needs of an account."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import Connection, select, update

from mairust_core.model.ids import Id
from mairust_core.store.tables import account, address


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """An account as somebody who logs in to it meets it; `password_hash` None when nobody can."""

    account_id: Id
    tenant_id: int
    address: str
    enabled: bool
    password_hash: str | None = field(repr=False)


def find(tx: Connection, folded: str) -> Login | None:
    """The account that has this address itself, not by an alias."""
    row = tx.execute(
        select(
            account.c.id, account.c.tenant_id, account.c.address, account.c.enabled, account.c.password_hash
        )
        .join(address, address.c.account_id == account.c.id)
        .where(address.c.folded == folded, account.c.removed_ms.is_(None))
    ).first()
    if row is None:
        return None
    return Login(
        account_id=Id(row[0]), tenant_id=row[1], address=row[2], enabled=row[3], password_hash=row[4]
    )


def renew(tx: Connection, login: Login, password_hash: str) -> None:
    """Replace the hash of a password, unless the password was changed meanwhile."""
    tx.execute(
        update(account)
        .where(account.c.id == login.account_id, account.c.password_hash == login.password_hash)
        .values(password_hash=password_hash)
    )
