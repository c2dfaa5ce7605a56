"""Queries of a search: segments and their postings, what is not indexed, and the rows of what was found.

Every function is one statement, whatever the number of hits. A key is (received_ms, message id).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select, tuple_

from mairust_core.model.blob import Locator
from mairust_core.store import StorageBackend
from mairust_core.store.indexing import BUCKETS
from mairust_core.store.tables import (
    blob,
    content,
    index_document,
    mailbox,
    message,
    placement,
)

Key = tuple[int, int]
LATEST: Key = ((1 << 63) - 1, 0)
"""A key after every message's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Narrow:
    """What rows alone can rule out: conditions that every hit fulfils."""

    mailbox: str | None = None
    flags_set: int = 0
    flags_clear: int = 0
    has_attachments: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A segment as a search sees it; `partial` are positions whose text is not whole."""

    id: int
    documents: int
    newest: Key
    bucket_bits: int
    partial: bytes


# By the driver alone: SQLAlchemy's statement and its rows cost more than reading them.
_PARTS = """
SELECT id, documents, newest_ms, newest_id, bucket_bits, partial FROM index_segment
WHERE account_id = ? AND newest_ms >= ? AND oldest_ms <= ? AND documents > 0
ORDER BY newest_ms DESC, newest_id DESC"""
_LACKING = """
SELECT (SELECT COALESCE(SUM(messages), 0) FROM mailbox WHERE account_id = ?)
 + (SELECT COUNT(*) FROM trash WHERE account_id = ?)
 - (SELECT COALESCE(SUM(documents), 0) FROM index_segment WHERE account_id = ?)"""
_QUEUED = "SELECT COUNT(*) FROM (SELECT 1 FROM index_queue WHERE account_id = ? LIMIT ?) AS waiting"
_TAIL = """
SELECT received_ms, message_id FROM index_queue
WHERE account_id = ? AND received_ms >= ? AND received_ms <= ? AND (received_ms, message_id) < (?, ?)
ORDER BY received_ms DESC, message_id DESC LIMIT ?"""


def is_short(storage: StorageBackend, tx: Connection, account_id: int) -> bool:
    """Whether more of an account lies in mailboxes and the trash than its segments and its queue hold.

    What is purged counts as held, so that False is no promise. The queue is counted as far as it matters.
    """
    lacking = int(storage.fetch_all(tx, _LACKING, (account_id,) * 3)[0][0])
    if lacking <= 0:
        return False
    return int(storage.fetch_all(tx, _QUEUED, (account_id, lacking))[0][0]) < lacking


def parts(storage: StorageBackend, tx: Connection, account_id: int, since_ms: int, before: Key) -> list[Part]:
    """The segments of an account that hold something from `since_ms` on and before a key, newest first."""
    return [
        Part(id=id_, documents=documents, newest=(at_ms, at_id), bucket_bits=bits, partial=partial)
        for id_, documents, at_ms, at_id, bits, partial in storage.fetch_all(
            tx, _PARTS, (account_id, since_ms, before[0])
        )
    ]


def buckets(
    storage: StorageBackend, tx: Connection, wanted: Iterable[tuple[int, int]]
) -> dict[tuple[int, int], bytes]:
    """The buckets at pairs of segment and number."""
    ids = sorted({int(segment_id) << BUCKETS | int(bucket) for segment_id, bucket in wanted})
    if not ids:
        return {}
    # written out: half the cost of a statement for each, or of one with so many values
    some = f"SELECT id, data FROM index_posting WHERE id IN ({', '.join(map(str, ids))})"  # noqa: S608 - integers
    mask = (1 << BUCKETS) - 1
    return {(row[0] >> BUCKETS, row[0] & mask): row[1] for row in storage.fetch_all(tx, some, ())}


def keys_at(
    storage: StorageBackend, tx: Connection, places: Sequence[tuple[int, int]]
) -> dict[tuple[int, int], Key]:
    """The keys of the documents at pairs of segment and position."""
    columns = "segment_id, position, received_ms, message_id"
    rows = storage.fetch_by_ints(tx, "index_document", columns, places)
    return {(row[0], row[1]): (row[2], row[3]) for row in rows}


def counts_before(tx: Connection, segment_ids: Sequence[int], before: Key) -> dict[int, int]:
    """How many documents of each segment come before a key; they have the lowest positions."""
    each = index_document.c
    query = (
        select(each.segment_id, func.max(each.position) + 1)
        .where(each.segment_id.in_(segment_ids), _before(each.received_ms, each.message_id, before))
        .group_by(each.segment_id)
    )
    return {row[0]: row[1] for row in tx.execute(query)}


def tail(
    storage: StorageBackend, tx: Connection, account_id: int, since_ms: int, before: Key, limit: int
) -> list[Key]:
    """The newest messages before a key that are not indexed yet, newest first."""
    asked = (account_id, since_ms, before[0], *before, limit)
    return [(at_ms, id_) for at_ms, id_ in storage.fetch_all(tx, _TAIL, asked)]


def walk(
    tx: Connection, account_id: int, narrow: Narrow, since_ms: int, before: Key, limit: int
) -> list[Key]:
    """The newest messages of an account before a key, indexed or not, newest first."""
    each = placement.c
    query = select(each.received_ms, each.message_id).where(
        each.account_id == account_id,
        each.received_ms >= since_ms,
        _before(each.received_ms, each.message_id, before),
        *conditions(narrow),
    )
    if narrow.mailbox is not None:
        query = query.join(mailbox, mailbox.c.id == each.mailbox_id)
    if narrow.has_attachments is not None:
        query = query.join(message, message.c.id == each.message_id).join(
            content, (content.c.sha256 == message.c.sha256) & (content.c.tenant_id == message.c.tenant_id)
        )
    rows = tx.execute(query.order_by(each.received_ms.desc(), each.message_id.desc()).limit(limit))
    return [(row[0], row[1]) for row in rows]


def conditions(narrow: Narrow) -> list[ColumnElement[bool]]:
    """The same as conditions on placement, mailbox and content."""
    flags = placement.c.flags
    found: list[ColumnElement[bool]] = []
    if narrow.mailbox is not None:
        found.append(mailbox.c.name == narrow.mailbox)
    if narrow.flags_set:
        found.append(flags.bitwise_and(narrow.flags_set) == narrow.flags_set)
    if narrow.flags_clear:
        found.append(flags.bitwise_and(narrow.flags_clear) == 0)
    if narrow.has_attachments is not None:
        found.append(content.c.has_attachments.is_(narrow.has_attachments))
    return found


def _before(at: Any, id_: Any, key: Key) -> Any:
    # The plain bound lets an index on `at` be used whatever the database makes of the pair.
    return (at <= key[0]) & (tuple_(at, id_) < tuple_(*key))


@dataclass(frozen=True, slots=True, kw_only=True)
class Original:
    """What the text of a message is made from: its heading, and where its bytes are."""

    locator: Locator
    sha256: bytes
    tenant_id: int
    subject: str
    facts: str


def originals(tx: Connection, message_ids: Sequence[int]) -> dict[int, Original]:
    """The originals of messages, by message id."""
    query = (
        select(
            message.c.id,
            blob.c.location,
            content.c.sha256,
            content.c.tenant_id,
            content.c.subject,
            content.c.facts,
        )
        .join_from(
            message,
            content,
            (content.c.sha256 == message.c.sha256) & (content.c.tenant_id == message.c.tenant_id),
        )
        .join(blob, (blob.c.sha256 == message.c.sha256) & (blob.c.tenant_id == message.c.tenant_id))
        .where(message.c.id.in_(message_ids))
    )
    return {
        row.id: Original(
            locator=Locator(row.location), sha256=row.sha256, tenant_id=row.tenant_id, subject=row.subject,
            facts=row.facts,
        )
        for row in tx.execute(query)
    }  # fmt: skip
