"""Queries on mailboxes."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select, update

from mairust_core.errors import Conflict, NotFound
from mairust_core.ids import now_ms
from mairust_core.model.ids import Id
from mairust_core.model.mailbox import INBOX, SEPARATOR, Mailbox, mailbox_name
from mairust_core.store.constraints import refusing
from mairust_core.store.tables import AnyRow, account, mailbox


def all_of(tx: Connection, account_id: int, *, after: str = "") -> list[Mailbox]:
    """Every mailbox of an account by name, INBOX first; only what follows a name, if one is given."""
    query = select(mailbox).where(mailbox.c.account_id == account_id)
    rows = sorted(tx.execute(query), key=lambda row: _place(row.name))
    return [_model(row) for row in rows if not after or _place(row.name) > _place(after)]


def _place(name: str) -> tuple[bool, str]:
    return name != INBOX, name


def _model(row: AnyRow) -> Mailbox:
    return Mailbox(
        name=row.name,
        messages=row.messages,
        unseen=row.unseen,
        uidvalidity=row.uidvalidity,
        uidnext=row.uidnext,
    )


def get(tx: Connection, account_id: int, address: str, name: str) -> Mailbox:
    """One mailbox by name; raises `NotFound`."""
    query = select(mailbox).where(mailbox.c.account_id == account_id, mailbox.c.name == name)
    row = tx.execute(query).first()
    if row is None:
        raise NotFound("mailbox", name=name, address=address)
    return _model(row)


def find(tx: Connection, account_id: int, name: str) -> int | None:
    """The id of a mailbox by name, or None."""
    query = select(mailbox.c.id).where(mailbox.c.account_id == account_id, mailbox.c.name == name)
    return tx.execute(query).scalar_one_or_none()


def ensure(tx: Connection, tenant_id: int, account_id: int, mailbox_id: Id, name: str) -> bool:
    """Create a mailbox unless it is there, under a UIDVALIDITY its account never gave before (rule A2).

    False when it was there.

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
        return False
    uidvalidity = max(given + 1, now // 1000)
    tx.execute(update(account).where(account.c.id == account_id).values(uidvalidity=uidvalidity))
    tx.execute(
        insert(mailbox).values(
            id=mailbox_id, tenant_id=tenant_id, account_id=account_id, name=name, uidvalidity=uidvalidity,
            uidnext=1, messages=0, unseen=0, created_ms=now,
        )
    )  # fmt: skip
    return True


def rename(tx: Connection, account_id: int, address: str, name: str, to: str) -> Mailbox:
    """Give a mailbox another name, and what lies below it one below that; UIDs and UIDVALIDITY stay.

    Raises `NotFound`, and `Conflict` when one of the new names is taken.
    """
    get(tx, account_id, address, name)
    query = select(mailbox.c.id, mailbox.c.name).where(mailbox.c.account_id == account_id)
    names = {row.name: row.id for row in tx.execute(query)}
    below = name + SEPARATOR
    new = {old: to + old[len(name) :] for old in sorted(names) if old == name or old.startswith(below)}
    for old, wanted in new.items():
        mailbox_name("to", wanted)
        if wanted in names and wanted not in new:
            raise Conflict("mailbox", name=wanted, address=address)
        with refusing(Conflict("mailbox", name=wanted, address=address)):
            tx.execute(update(mailbox).where(mailbox.c.id == names[old]).values(name=wanted))
    return get(tx, account_id, address, to)


def remove(tx: Connection, account_id: int, mailbox_id: int) -> bool:
    """Delete a mailbox without messages; False when some came meanwhile, or it is gone."""
    query = delete(mailbox).where(
        mailbox.c.id == mailbox_id, mailbox.c.account_id == account_id, mailbox.c.messages == 0
    )
    return tx.execute(query).rowcount > 0
