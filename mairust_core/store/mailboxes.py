"""Queries on mailboxes."""

from __future__ import annotations

from sqlalchemy import Connection, insert, select, update

from mairust_core.errors import NotFound
from mairust_core.ids import now_ms
from mairust_core.model.ids import Id
from mairust_core.model.mailbox import INBOX, Mailbox
from mairust_core.store.tables import account, mailbox


def all_of(tx: Connection, account_id: int) -> list[Mailbox]:
    """Every mailbox of an account by name, INBOX first."""
    query = select(mailbox).where(mailbox.c.account_id == account_id)
    rows = sorted(tx.execute(query), key=lambda row: (row.name != INBOX, row.name))
    return [
        Mailbox(
            name=row.name,
            messages=row.messages,
            unseen=row.unseen,
            uidvalidity=row.uidvalidity,
            uidnext=row.uidnext,
        )
        for row in rows
    ]


def find(tx: Connection, account_id: int, name: str) -> int | None:
    """The id of a mailbox by name, or None."""
    query = select(mailbox.c.id).where(mailbox.c.account_id == account_id, mailbox.c.name == name)
    return tx.execute(query).scalar_one_or_none()


def ensure(tx: Connection, tenant_id: int, account_id: int, mailbox_id: Id, name: str) -> None:
    """Create a mailbox unless it is there, under a UIDVALIDITY its account never gave before (rule A2).

    Locks the account, so that of two processes one creates and the other finds. Raises `NotFound` for an
    account that is gone.
    """
    now = now_ms()
    given = tx.execute(
        select(account.c.uidvalidity)
        .where(account.c.id == account_id, account.c.removed_ms.is_(None))
        .with_for_update(key_share=True)
    ).scalar_one_or_none()
    if given is None:
        raise NotFound("account_gone", account_id=account_id)
    if find(tx, account_id, name) is not None:
        return
    uidvalidity = max(given + 1, now // 1000)
    tx.execute(update(account).where(account.c.id == account_id).values(uidvalidity=uidvalidity))
    tx.execute(
        insert(mailbox).values(
            id=mailbox_id, tenant_id=tenant_id, account_id=account_id, name=name, uidvalidity=uidvalidity,
            uidnext=1, messages=0, unseen=0, created_ms=now,
        )
    )  # fmt: skip
