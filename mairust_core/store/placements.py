"""Changing messages where they are: flags, tags, metadata, and moving (rule A2).

The order of the locks is that of ingest: message rows by id, mailboxes by account and name, the account's
row last, with MODSEQ and quota in one UPDATE. So changes wait for mail and for each other, never in a circle.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from mairust_core.errors import Conflict, NotFound, QuotaExceeded
from mairust_core.ids import now_ms
from mairust_core.model.flags import (
    FLAGS,
    MAX_KEYWORDS,
    MESSAGE_TAGS,
    SEEN,
    changed,
    joined,
    limited,
    require_removable,
    split,
)
from mairust_core.model.forms import UNSET
from mairust_core.model.ids import Id
from mairust_core.model.message_change import MessageChange, merged
from mairust_core.model.principal import Principal
from mairust_core.store import accounts, mailboxes, tombstones
from mairust_core.store.facts import to_json
from mairust_core.store.tables import account, mailbox, message, message_tag, placement
from mairust_core.store.tombstones import Vanished

DELETED = 1 << FLAGS.index("\\Deleted")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a message is: mailbox and UID, with the flags it has there."""

    mailbox_id: int
    mailbox: str
    uid: int
    flags: int
    keywords: tuple[str, ...]

    @property
    def unseen(self) -> int:
        """What it adds to the mailbox's number of unseen messages."""
        return 0 if self.flags & SEEN else 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A message whose row the transaction holds; `place` is None once it is deleted."""

    id: Id
    tenant_id: int
    account_id: int
    address: str
    received_ms: int
    size_bytes: int
    tags: tuple[str, ...]
    metadata: dict[str, Any]
    place: Place | None

    @property
    def placed(self) -> Place:
        """Its place; raises `Conflict` when it is deleted."""
        if self.place is None:
            raise Conflict("deleted", id=self.id)
        return self.place


def hold(tx: Connection, by: Principal, message_id: Id) -> Held:
    """Lock one message and say what it is now; raises `NotFound` (trap A2)."""
    return _one(tx, by, message_id, _rows([message_id]))


def look(tx: Connection, by: Principal, message_id: Id) -> Held:
    """What one message is now, for whoever does not change it; raises `NotFound` (trap A2)."""
    return _one(tx, by, message_id, _unlocked([message_id]))


def _one(tx: Connection, by: Principal, message_id: Id, rows: Any) -> Held:
    row = tx.execute(rows.where(accounts.within(by))).first()
    if row is None:
        raise NotFound("message", id=message_id)
    return _held(row, _places(tx, [message_id]).get(message_id))


def hold_some(tx: Connection, mailbox_id: int, limit: int) -> list[Held]:
    """Lock some messages of a mailbox, those with the lowest UIDs."""
    lowest = select(placement.c.message_id).where(placement.c.mailbox_id == mailbox_id)
    ids = list(tx.execute(lowest.order_by(placement.c.uid).limit(limit)).scalars())
    rows = tx.execute(_rows(ids)).all()
    places = _places(tx, ids)  # read again under the locks: some may have moved meanwhile
    held = [_held(row, places.get(row.id)) for row in rows]
    return [one for one in held if one.place is not None and one.place.mailbox_id == mailbox_id]


def _rows(ids: Sequence[int]) -> Any:
    return _unlocked(ids).order_by(message.c.id).with_for_update(of=message, key_share=True)


def _unlocked(ids: Sequence[int]) -> Any:
    return (
        select(message, account.c.address)
        .join(account, account.c.id == message.c.account_id)
        .where(message.c.id.in_(ids))
    )


def _places(tx: Connection, ids: Sequence[int]) -> dict[int, Place]:
    query = (
        select(placement, mailbox.c.name)
        .join(mailbox, mailbox.c.id == placement.c.mailbox_id)
        .where(placement.c.message_id.in_(ids))
    )
    return {
        row.message_id: Place(
            mailbox_id=row.mailbox_id,
            mailbox=row.name,
            uid=row.uid,
            flags=row.flags,
            keywords=tuple(json.loads(row.keywords)),
        )
        for row in tx.execute(query)
    }


def _held(row: Any, place: Place | None) -> Held:
    return Held(
        id=Id(row.id),
        tenant_id=row.tenant_id,
        account_id=row.account_id,
        address=row.address,
        received_ms=row.received_ms,
        size_bytes=row.size_bytes,
        tags=tuple(json.loads(row.tags)),
        metadata=json.loads(row.metadata),
        place=place,
    )


def change(tx: Connection, one: Held, wanted: MessageChange) -> None:
    """Change a message; one that is so already keeps its MODSEQ.

    Raises `Conflict` when it is deleted, `NotFound` for a mailbox that is not there, `Invalid` when it would
    have too many flags, tags or names of metadata.
    """
    place = one.placed
    flags, keywords = _flags(place, wanted)
    tags = limited(changed_tags(one.tags, wanted), MESSAGE_TAGS)
    metadata = one.metadata if wanted.metadata is UNSET else merged(one.metadata, wanted.metadata)
    goes_to = place.mailbox if wanted.mailbox is UNSET else wanted.mailbox
    new = (flags, keywords, tags, to_json(metadata), goes_to)
    if new == (place.flags, place.keywords, one.tags, to_json(one.metadata), place.mailbox):
        return
    unseen = 0 if flags & SEEN else 1
    mailbox_id, uid = _recount(tx, one, goes_to, unseen)
    modseq = take_modseqs(tx, one, 1)
    if goes_to != place.mailbox:
        tombstones.bury(tx, [vanished(one, modseq)], now_ms())
    tx.execute(
        update(placement)
        .where(placement.c.message_id == one.id)
        .values(mailbox_id=mailbox_id, uid=uid, flags=flags, keywords=to_json(keywords), modseq=modseq)
    )
    _write_message(tx, one, tags, metadata)


def _flags(place: Place, wanted: MessageChange) -> tuple[int, tuple[str, ...]]:
    old = joined(place.flags, place.keywords)
    if wanted.flags is UNSET:
        require_removable(old, wanted.remove_flags)
        # older imports brought more than there may be: those can be taken away one by one
        most = max(MAX_KEYWORDS, len(place.keywords))
        return split(changed(old, wanted.add_flags, wanted.remove_flags), most)
    bits, keywords = split(wanted.flags)
    return bits | place.flags & DELETED, keywords  # what only IMAP sets, only IMAP takes away


def changed_tags(old: tuple[str, ...], wanted: MessageChange) -> tuple[str, ...]:
    """The tags a message has after a change."""
    if wanted.tags is not UNSET:
        return wanted.tags
    kept = [tag for tag in old if tag not in wanted.remove_tags]
    return tuple(dict.fromkeys((*kept, *wanted.add_tags)))


def _recount(tx: Connection, one: Held, goes_to: str, unseen: int) -> tuple[int, int]:
    """Count a message out of its mailbox and into another, or anew where it is; its mailbox and UID then."""
    place = one.placed
    if goes_to == place.mailbox:
        if unseen != place.unseen:
            count(tx, place.mailbox_id, messages=0, unseen=unseen - place.unseen)
        return place.mailbox_id, place.uid
    target = mailboxes.find(tx, one.account_id, goes_to)
    if target is None:
        raise NotFound("mailbox", name=goes_to, address=one.address)
    if goes_to < place.mailbox:
        uid = take_uids(tx, one, target, goes_to, [unseen])
        count(tx, place.mailbox_id, messages=-1, unseen=-place.unseen)
    else:
        count(tx, place.mailbox_id, messages=-1, unseen=-place.unseen)
        uid = take_uids(tx, one, target, goes_to, [unseen])
    return target, uid


def count(tx: Connection, mailbox_id: int, *, messages: int, unseen: int) -> None:
    """Add to the counters of a mailbox whose messages the transaction holds."""
    tx.execute(
        update(mailbox)
        .where(mailbox.c.id == mailbox_id)
        .values(messages=mailbox.c.messages + messages, unseen=mailbox.c.unseen + unseen)
    )


def take_uids(tx: Connection, one: Held, mailbox_id: int, name: str, unseen: Sequence[int]) -> int:
    """Count messages into a mailbox under new UIDs, the first of which is returned (trap D3).

    `unseen` has an item for each message. Raises `NotFound` when the mailbox was deleted meanwhile.
    """
    uidnext = tx.execute(
        update(mailbox)
        .where(mailbox.c.id == mailbox_id)
        .values(
            uidnext=mailbox.c.uidnext + len(unseen),
            messages=mailbox.c.messages + len(unseen),
            unseen=mailbox.c.unseen + sum(unseen),
        )
        .returning(mailbox.c.uidnext)
    ).scalar_one_or_none()
    if uidnext is None:
        raise NotFound("mailbox", name=name, address=one.address)
    return int(uidnext) - len(unseen)


def take_modseqs(tx: Connection, one: Held, changes: int, *, messages: int = 0, used_bytes: int = 0) -> int:
    """Take so many MODSEQs of the message's account, in the same UPDATE as its use; the first of them.

    Raises `QuotaExceeded` when what is added does not fit, `NotFound` when the account was removed.
    """
    query = update(account).where(account.c.id == one.account_id, account.c.removed_ms.is_(None))
    if used_bytes > 0:
        query = query.where(
            account.c.quota_bytes.is_(None) | (account.c.used_bytes + used_bytes <= account.c.quota_bytes)
        )
    last = tx.execute(
        query.values(
            modseq=account.c.modseq + changes,
            messages=account.c.messages + messages,
            used_bytes=account.c.used_bytes + used_bytes,
        ).returning(account.c.modseq)
    ).scalar_one_or_none()
    if last is not None:
        return int(last) - changes + 1
    if used_bytes > 0 and accounts.is_there(tx, one.account_id):
        raise QuotaExceeded("account", address=one.address)
    raise NotFound("account_gone", account_id=one.account_id)


def vanished(one: Held, modseq: int) -> Vanished:
    """The tombstone of a message that leaves its place."""
    place = one.placed
    return Vanished(
        tenant_id=one.tenant_id,
        account_id=one.account_id,
        mailbox_id=place.mailbox_id,
        uid=place.uid,
        modseq=modseq,
    )


def _write_message(tx: Connection, one: Held, tags: tuple[str, ...], metadata: dict[str, Any]) -> None:
    new: dict[str, str] = {}
    if tags != one.tags:
        new["tags"] = to_json(tags)
        _write_tags(tx, one, tags)
    if to_json(metadata) != to_json(one.metadata):  # for Python true is 1, and 1 is 1.0
        new["metadata"] = to_json(metadata)
    if new:
        tx.execute(update(message).where(message.c.id == one.id).values(new))


def _write_tags(tx: Connection, one: Held, tags: Iterable[str]) -> None:
    tx.execute(delete(message_tag).where(message_tag.c.message_id == one.id))
    rows = [
        {
            "account_id": one.account_id,
            "tag": tag,
            "received_ms": one.received_ms,
            "message_id": one.id,
            "tenant_id": one.tenant_id,
        }
        for tag in tags
    ]
    if rows:
        tx.execute(insert(message_tag), rows)
