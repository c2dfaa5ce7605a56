"""Tombstones: what left a mailbox and when, for clients that were away (rule A2, RFC 7162 §3.2.10)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select, tuple_, update

from mairust_core.store.tables import mailbox, tombstone


@dataclass(frozen=True, slots=True, kw_only=True)
class Vanished:
    """A UID that is no longer in a mailbox, and the MODSEQ of its leaving."""

    tenant_id: int
    account_id: int
    mailbox_id: int
    uid: int
    modseq: int


def bury(tx: Connection, gone: Sequence[Vanished], at_ms: int) -> None:
    """Note what left its mailbox in this transaction."""
    tx.execute(
        insert(tombstone),
        [
            {
                "mailbox_id": one.mailbox_id,
                "modseq": one.modseq,
                "tenant_id": one.tenant_id,
                "account_id": one.account_id,
                "uid": one.uid,
                "at_ms": at_ms,
            }
            for one in gone
        ],
    )


def expire(tx: Connection, before_ms: int, limit: int) -> int:
    """Delete the oldest tombstones from before a moment and raise the floor of their mailboxes; how many.

    Who was away since before a mailbox's floor has to be told all its UIDs anew.
    """
    query = (
        select(tombstone.c.mailbox_id, tombstone.c.modseq)
        .where(tombstone.c.at_ms < before_ms)
        .order_by(tombstone.c.at_ms)
        .limit(limit)
    )
    keys = [(row[0], row[1]) for row in tx.execute(query)]
    if not keys:
        return 0
    floors: dict[int, int] = {}
    for mailbox_id, modseq in keys:
        floors[mailbox_id] = max(modseq, floors.get(mailbox_id, 0))
    known = select(mailbox.c.id).where(mailbox.c.id.in_(floors))
    in_order = known.order_by(mailbox.c.account_id, mailbox.c.name)  # as ingest locks them
    for mailbox_id in tx.execute(in_order).scalars().all():
        floor = floors[mailbox_id]
        tx.execute(
            update(mailbox).where(mailbox.c.id == mailbox_id, mailbox.c.floor < floor).values(floor=floor)
        )
    tx.execute(delete(tombstone).where(tuple_(tombstone.c.mailbox_id, tombstone.c.modseq).in_(keys)))
    return len(keys)
