"""The trash: deleted messages, until they are undeleted or their time is over (B-9).

A deleted message keeps its id and everything it is; only its place goes, and what it took of the quota.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, delete, insert, select, update

from mairust_core.errors import Locked
from mairust_core.ids import now_ms
from mairust_core.model.flags import SEEN
from mairust_core.model.ids import Id
from mairust_core.store import mailboxes, tombstones
from mairust_core.store.facts import to_json
from mairust_core.store.placements import Held, Place, count, take_modseqs, take_uids, vanished
from mairust_core.store.tables import account, mailbox, message, placement, trash


def put(tx: Connection, held: Sequence[Held]) -> None:
    """Move placed messages of one account into its trash, each under a MODSEQ of its own."""
    if not held:
        return
    at_ms = now_ms()
    for mailbox_id, places in sorted(_by_mailbox(held).items(), key=lambda item: item[1][0].mailbox):
        count(tx, mailbox_id, messages=-len(places), unseen=-sum(place.unseen for place in places))
    used_bytes = sum(one.size_bytes for one in held)
    first = take_modseqs(tx, held[0], len(held), messages=-len(held), used_bytes=-used_bytes)
    tx.execute(delete(placement).where(placement.c.message_id.in_([one.id for one in held])))
    tx.execute(insert(trash), [_row(one, first + at, at_ms) for at, one in enumerate(held)])
    tombstones.bury(tx, [vanished(one, first + at) for at, one in enumerate(held)], at_ms)


def _by_mailbox(held: Sequence[Held]) -> dict[int, list[Place]]:
    found: dict[int, list[Place]] = {}
    for one in held:
        found.setdefault(one.placed.mailbox_id, []).append(one.placed)
    return found


def _row(one: Held, modseq: int, at_ms: int) -> dict[str, object]:
    place = one.placed
    return {
        "message_id": one.id,
        "tenant_id": one.tenant_id,
        "account_id": one.account_id,
        "mailbox_id": place.mailbox_id,
        "mailbox": place.mailbox,
        "modseq": modseq,
        "flags": place.flags,
        "keywords": to_json(place.keywords),
        "received_ms": one.received_ms,
        "deleted_ms": at_ms,
    }


def mailbox_of(tx: Connection, message_id: Id) -> tuple[int | None, str] | None:
    """The mailbox a deleted message was in, else one of that name: id and name; None if it is not deleted.

    The id is None when there is neither.
    """
    row = tx.execute(
        select(trash.c.account_id, trash.c.mailbox, mailbox.c.id, mailbox.c.name)
        .outerjoin(mailbox, mailbox.c.id == trash.c.mailbox_id)
        .where(trash.c.message_id == message_id)
    ).first()
    if row is None:
        return None
    if row.id is not None:
        return row.id, row.name
    return mailboxes.find(tx, row.account_id, row.mailbox), row.mailbox


def take_back(tx: Connection, one: Held) -> None:
    """Put a deleted message back where it was, under a new UID; one that is not deleted stays.

    Raises `QuotaExceeded` when there is no room for it, `Locked` when its mailbox was deleted just now.
    """
    if one.place is not None:
        return
    found = tx.execute(select(trash).where(trash.c.message_id == one.id)).one()
    home = mailbox_of(tx, one.id)
    if home is None or home[0] is None:
        raise Locked("mailbox", name=found.mailbox)
    mailbox_id, name = home[0], home[1]
    uid = take_uids(tx, one, mailbox_id, name, [0 if found.flags & SEEN else 1])
    modseq = take_modseqs(tx, one, 1, messages=1, used_bytes=one.size_bytes)
    tx.execute(delete(trash).where(trash.c.message_id == one.id))
    tx.execute(
        insert(placement).values(
            mailbox_id=mailbox_id, uid=uid, tenant_id=one.tenant_id, account_id=one.account_id,
            message_id=one.id, modseq=modseq, flags=found.flags, keywords=found.keywords,
            received_ms=one.received_ms,
        )
    )  # fmt: skip


def deleted_at(tx: Connection, message_id: Id) -> int | None:
    """When a message was deleted, in milliseconds since 1970; None when it is not."""
    query = select(trash.c.deleted_ms).where(trash.c.message_id == message_id)
    return tx.execute(query).scalar_one_or_none()


def purge(tx: Connection, ids: Sequence[int], *, counted: bool = False) -> None:
    """Delete messages for good that are in the trash and whose rows the transaction holds.

    It takes a MODSEQ of their accounts, though no place has it, unless one was taken already (`counted`): a
    backup sees by it what changed.
    """
    owned = select(trash.c.account_id).where(trash.c.message_id.in_(ids))
    owners = sorted(set(tx.execute(owned).scalars()))
    tx.execute(delete(trash).where(trash.c.message_id.in_(ids)))
    tx.execute(delete(message).where(message.c.id.in_(ids)))  # its tags go with it
    if counted:
        return
    their = account.c.id.in_(owners)
    tx.execute(select(account.c.id).where(their).order_by(account.c.id).with_for_update())
    tx.execute(update(account).where(their).values(modseq=account.c.modseq + 1))


def purge_expired(tx: Connection, before_ms: int, limit: int) -> int:
    """Delete messages for good that were deleted before a moment, the longest deleted first; how many."""
    oldest = select(trash.c.message_id).where(trash.c.deleted_ms < before_ms)
    ids = list(tx.execute(oldest.order_by(trash.c.deleted_ms).limit(limit)).scalars())
    if not ids:
        return 0
    tx.execute(select(message.c.id).where(message.c.id.in_(ids)).order_by(message.c.id).with_for_update())
    still = oldest.where(trash.c.message_id.in_(ids))  # not undeleted meanwhile
    gone = list(tx.execute(still).scalars())
    purge(tx, gone)
    return len(ids)
