"""What the index is made of, written: queue, texts, segments, state (rule J1).

Every message is in the queue or in a segment, from the transaction that stores it on, unless the index was
dropped: a message moves from the one to the other in one transaction. A rebuild looks whether it is so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import (
    Connection,
    Table,
    and_,
    bindparam,
    delete,
    except_,
    exists,
    func,
    insert,
    select,
    update,
)

from mairust_core.model.search import IndexMode
from mairust_core.store import StorageBackend
from mairust_core.store.tables import (
    content,
    content_text,
    index_document,
    index_posting,
    index_queue,
    index_segment,
    index_state,
    mailbox,
    message,
    trash,
)

BUCKETS = 16
"""Bits of a posting's id that name the bucket; those above name the segment."""
LOCK = "index_state"
"""What changes the index and what changes its mode wait for each other by it; not the lock of `alone`."""
MANY = 1000
"""Ids of one statement."""
HIDDEN = 0
"""Documents of a segment that is being written or taken away: nobody sees it."""
_IS_SEEN = index_segment.c.documents > HIDDEN


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """The state of a site's index; `epoch` differs after every change.

    `filled_to`: while filling, queued up to this message; while on, `look_asked_ms`.
    """

    mode: IndexMode
    epoch: int
    filled_to: int
    texts_ms: int
    """Texts made before then are made again."""

    @property
    def look_asked_ms(self) -> int:
        """When a look for what is missing was asked for; 0 when none was, and while the index is not on."""
        return self.filled_to if self.mode is IndexMode.ON else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A message to be indexed. `text_bytes` is that of its text, or of its content while there is none.

    `sha256` None: the message is gone.
    """

    received_ms: int
    message_id: int
    tenant_id: int
    sha256: bytes | None
    text_bytes: int
    made_ms: int | None
    """When its text was made; None when there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A segment as it is written. `documents` are received_ms and message id, ascending."""

    tenant_id: int
    account_id: int
    documents: Sequence[tuple[int, int]]
    bucket_bits: int
    buckets: Sequence[bytes]
    text_bytes: int
    partial: bytes


_STATE = select(index_state).where(index_state.c.tenant_id == bindparam("tenant_id"))


def state(tx: Connection, tenant_id: int) -> State:
    """The state of the index."""
    row = tx.execute(_STATE, {"tenant_id": tenant_id}).first()
    if row is None:
        return State(mode=IndexMode.ON, epoch=0, filled_to=0, texts_ms=0)
    return State(mode=IndexMode(row.mode), epoch=row.epoch, filled_to=row.filled_to, texts_ms=row.texts_ms)


def set_mode(tx: Connection, tenant_id: int, mode: IndexMode, texts_ms: int = 0) -> None:
    """Change what the index holds; the caller has serialised on LOCK, and so has every indexer."""
    found = state(tx, tenant_id)
    texts_ms = max(texts_ms, found.texts_ms)
    _write_state(tx, tenant_id, State(mode=mode, epoch=found.epoch + 1, filled_to=0, texts_ms=texts_ms))


def begin_look(tx: Connection, tenant_id: int, at_ms: int) -> None:
    """Have the next round queue what is missing, of an index that is on; serialised as `set_mode`."""
    _write_state(tx, tenant_id, replace(state(tx, tenant_id), filled_to=at_ms))


def end_look(tx: Connection, tenant_id: int, at_ms: int) -> None:
    """The look that was asked for then is done; one that was asked for since is not."""
    found = state(tx, tenant_id)
    if found.look_asked_ms == at_ms:
        _write_state(tx, tenant_id, replace(found, filled_to=0))


def _write_state(tx: Connection, tenant_id: int, new: State) -> None:
    tx.execute(delete(index_state).where(index_state.c.tenant_id == tenant_id))
    values = {"mode": new.mode, "epoch": new.epoch, "filled_to": new.filled_to, "texts_ms": new.texts_ms}
    tx.execute(insert(index_state).values(tenant_id=tenant_id, **values))


def fill(tx: Connection, tenant_id: int, limit: int) -> int:
    """Queue the next `limit` messages while filling; how many. With none left the index is on.

    What a drop that was stopped has left behind goes first, so that nothing is indexed and queued.
    """
    if left := some_segments(tx, tenant_id, 0, 1):
        return delete_segments(tx, [left[0][0]])
    after = state(tx, tenant_id).filled_to
    each = message.c
    some = select(each.id).where(each.id > after, each.tenant_id == tenant_id)
    ids = list(tx.execute(some.order_by(each.id).limit(limit)).scalars())
    if not ids:
        set_mode(tx, tenant_id, IndexMode.ON)
        return 0
    queue(tx, ids)
    tx.execute(update(index_state).where(index_state.c.tenant_id == tenant_id).values(filled_to=ids[-1]))
    return len(ids)


def queue(tx: Connection, message_ids: Sequence[int]) -> None:
    """Queue those of at most MANY messages that are there and not queued yet."""
    each = message.c
    rows = select(each.account_id, each.received_ms, each.id, each.tenant_id)
    queued_already = exists().where(
        index_queue.c.account_id == each.account_id,
        index_queue.c.received_ms == each.received_ms,
        index_queue.c.message_id == each.id,
    )
    names = ["account_id", "received_ms", "message_id", "tenant_id"]
    some = rows.where(each.id.in_(message_ids), ~queued_already)
    tx.execute(insert(index_queue).from_select(names, some))


def missing(tx: Connection, account_id: int) -> list[int]:
    """The messages of an account that are neither in a segment that is seen nor in the queue."""
    indexed = (
        select(index_document.c.message_id)
        .join(index_segment, index_segment.c.id == index_document.c.segment_id)
        .where(index_segment.c.account_id == account_id, _IS_SEEN)
    )
    waiting = select(index_queue.c.message_id).where(index_queue.c.account_id == account_id)
    all_ = select(message.c.id).where(message.c.account_id == account_id)
    return list(tx.execute(except_(all_, indexed, waiting)).scalars())


def lacking(tx: Connection, tenant_id: int) -> Counter[int]:
    """How many messages the index lacks at least, by account; by counts, and what is purged conceals some."""

    def of(table: Table, count: Any) -> Counter[int]:
        query = select(table.c.account_id, count).where(table.c.tenant_id == tenant_id)
        return Counter({id_: int(some) for id_, some in tx.execute(query.group_by(table.c.account_id))})

    there = of(mailbox, func.sum(mailbox.c.messages)) + of(trash, func.count())
    return there - of(index_segment, func.sum(index_segment.c.documents)) - of(index_queue, func.count())


def account_with_mail(tx: Connection, after: int) -> int | None:
    """The next account, by id, that has messages."""
    query = select(func.min(message.c.account_id)).where(message.c.account_id > after)
    return tx.execute(query).scalar_one_or_none()


def next_account(tx: Connection, after: int) -> int | None:
    """The next account, by id, of which something is queued."""
    query = select(func.min(index_queue.c.account_id)).where(index_queue.c.account_id > after)
    return tx.execute(query).scalar_one_or_none()


def count_queued(tx: Connection, limit: int) -> int:
    """How many messages are queued in the whole site, as far as `limit`."""
    some = select(index_queue.c.message_id).limit(limit).subquery()
    return tx.execute(select(func.count()).select_from(some)).scalar_one()


_WAITING = (
    message.c.sha256,
    func.coalesce(content_text.c.size_bytes, content.c.size_bytes, 0).label("text_bytes"),
    content_text.c.made_ms,
)


def queued(tx: Connection, account_id: int, limit: int) -> list[Waiting]:
    """The oldest messages that are queued of an account."""
    asked = select(index_queue).where(index_queue.c.account_id == account_id)
    some = asked.order_by(index_queue.c.received_ms, index_queue.c.message_id).limit(limit).subquery()
    return _waiting(tx, some)


def members(tx: Connection, segment_ids: Sequence[int]) -> list[Waiting]:
    """The messages of some segments, oldest first."""
    return _waiting(tx, select(index_document).where(index_document.c.segment_id.in_(segment_ids)).subquery())


def _waiting(tx: Connection, some: Any) -> list[Waiting]:
    query = (
        select(some.c.received_ms, some.c.message_id, some.c.tenant_id, *_WAITING)
        .join_from(some, message, message.c.id == some.c.message_id, isouter=True)
        .join(content, _same(content, message), isouter=True)
        .join(content_text, _same(content_text, message), isouter=True)
        .order_by(some.c.received_ms, some.c.message_id)
    )
    return [Waiting(**row._mapping) for row in tx.execute(query)]


def _same(one: Any, other: Any) -> Any:
    return and_(one.c.sha256 == other.c.sha256, one.c.tenant_id == other.c.tenant_id)


def texts(tx: Connection, tenant_id: int, hashes: Iterable[bytes]) -> dict[bytes, tuple[str, bytes]]:
    """Extent and packed text of the contents that have one, by hash."""
    query = select(content_text.c.sha256, content_text.c.extent, content_text.c.text).where(
        content_text.c.tenant_id == tenant_id, content_text.c.sha256.in_(list(hashes))
    )
    return {row.sha256: (row.extent, row.text) for row in tx.execute(query)}


def keep_texts(storage: StorageBackend, tx: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    """Write rows of `content_text`, in place of those that are there."""
    names = [column.name for column in content_text.columns]
    changes = ", ".join(f"{name} = excluded.{name}" for name in names[2:])
    storage.execute_many(
        tx,
        f"INSERT INTO content_text ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"  # noqa: S608 - names are ours
        f" ON CONFLICT (sha256, tenant_id) DO UPDATE SET {changes}",
        sorted(rows),
    )


def unqueue(tx: Connection, account_id: int, message_ids: Sequence[int]) -> int:
    """Take messages out of the queue; how many were in it."""
    mine, found = delete(index_queue).where(index_queue.c.account_id == account_id), 0
    for start in range(0, len(message_ids), MANY):
        some = index_queue.c.message_id.in_(message_ids[start : start + MANY])
        found += tx.execute(mine.where(some)).rowcount
    return found


def begin_segment(tx: Connection, made: Segment) -> int:
    """Begin one that nobody sees yet; its id. The caller is the only one that writes any."""
    segment_id = (tx.execute(select(func.max(index_segment.c.id))).scalar_one() or 0) + 1
    delete_segments(tx, [segment_id])  # rows without a segment, where its own was lost
    documents = made.documents
    tx.execute(
        insert(index_segment).values(
            id=segment_id, tenant_id=made.tenant_id, account_id=made.account_id, documents=HIDDEN,
            newest_ms=documents[-1][0], newest_id=documents[-1][1], oldest_ms=documents[0][0],
            bucket_bits=made.bucket_bits, text_bytes=made.text_bytes,
            index_bytes=sum(map(len, made.buckets)), partial=made.partial,
        )
    )  # fmt: skip
    return segment_id


def write_rows(
    storage: StorageBackend, tx: Connection, segment_id: int, made: Segment, start: int, count: int
) -> None:
    """Write so many documents and as many buckets of a segment."""
    tenant_id = made.tenant_id
    documents = enumerate(made.documents[start : start + count], start)
    rows = [(segment_id, at, tenant_id, id_, at_ms) for at, (at_ms, id_) in documents]
    storage.insert_rows(tx, index_document, rows)
    postings = enumerate(made.buckets[start : start + count], segment_id << BUCKETS | start)
    storage.insert_rows(tx, index_posting, [(id_, tenant_id, data) for id_, data in postings])


def show_segment(tx: Connection, segment_id: int, made: Segment) -> None:
    """Have a segment seen, once all its rows are there."""
    shown = update(index_segment).where(index_segment.c.id == segment_id)
    tx.execute(shown.values(documents=len(made.documents)))


def hide_segments(tx: Connection, segment_ids: Sequence[int]) -> int:
    """Have segments seen no more; how many were. Their rows are still there."""
    seen = update(index_segment).where(index_segment.c.id.in_(segment_ids), _IS_SEEN)
    return tx.execute(seen.values(documents=HIDDEN)).rowcount


def hidden_segments(tx: Connection, tenant_id: int) -> list[int]:
    """The segments that nobody sees: what is left of them may go."""
    query = select(index_segment.c.id).where(index_segment.c.tenant_id == tenant_id, ~_IS_SEEN)
    return list(tx.execute(query).scalars())


def delete_segments(tx: Connection, segment_ids: Sequence[int]) -> int:
    """Delete segments with all that is theirs; how many there were."""
    for one in segment_ids:
        first = one << BUCKETS
        tx.execute(delete(index_posting).where(index_posting.c.id.between(first, first | (1 << BUCKETS) - 1)))
    tx.execute(delete(index_document).where(index_document.c.segment_id.in_(segment_ids)))
    return tx.execute(delete(index_segment).where(index_segment.c.id.in_(segment_ids))).rowcount


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much a segment holds; `stale_ms` as in its row."""

    id: int
    documents: int
    text_bytes: int
    stale_ms: int | None


def sizes(tx: Connection, account_id: int) -> list[Size]:
    """The sizes of an account's segments, oldest first."""
    each = index_segment.c
    query = select(each.id, each.documents, each.text_bytes, each.stale_ms)
    rows = tx.execute(query.where(each.account_id == account_id, _IS_SEEN).order_by(each.newest_ms))
    return [Size(**row._mapping) for row in rows]


def mark_stale(
    tx: Connection,
    tenant_id: int,
    stale_ms: int,
    *,
    account_id: int | None = None,
    segment_id: int | None = None,
) -> None:
    """Have segments made anew: all of a site, those of an account, or one."""
    change = update(index_segment).where(index_segment.c.tenant_id == tenant_id).values(stale_ms=stale_ms)
    if account_id is not None:
        change = change.where(index_segment.c.account_id == account_id)
    if segment_id is not None:
        change = change.where(index_segment.c.id == segment_id)
    tx.execute(change)


def latest_stale_ms(tx: Connection, segment_ids: Sequence[int]) -> int:
    """From when on the texts of segments have to be made, to satisfy every mark on them; 0 without one."""
    query = select(func.max(index_segment.c.stale_ms)).where(index_segment.c.id.in_(segment_ids))
    return tx.execute(query).scalar_one() or 0


def stale_account(tx: Connection, after: int) -> int | None:
    """The next account, by id, that has a segment to be made anew."""
    query = select(func.min(index_segment.c.account_id)).where(
        index_segment.c.account_id > after, index_segment.c.stale_ms.is_not(None), _IS_SEEN
    )
    return tx.execute(query).scalar_one_or_none()


def some_segments(tx: Connection, tenant_id: int, after: int, limit: int) -> list[tuple[int, int]]:
    """Id and documents of the next segments by id, of hidden ones too."""
    query = select(index_segment.c.id, index_segment.c.documents).where(
        index_segment.c.tenant_id == tenant_id, index_segment.c.id > after
    )
    return [(row[0], row[1]) for row in tx.execute(query.order_by(index_segment.c.id).limit(limit))]


def gone_from(tx: Connection, segment_id: int) -> int:
    """How many documents of a segment are of messages that are purged."""
    kept = exists().where(message.c.id == index_document.c.message_id)
    query = select(func.count()).select_from(index_document)
    return int(tx.execute(query.where(index_document.c.segment_id == segment_id, ~kept)).scalar_one())


def drop_some(tx: Connection, tenant_id: int, limit: int) -> int:
    """Delete one segment, or else some of the queue; 0 when nothing is left."""
    found = some_segments(tx, tenant_id, 0, 1)
    if found:
        return delete_segments(tx, [found[0][0]])
    some = select(index_queue.c.message_id).where(index_queue.c.tenant_id == tenant_id).limit(limit)
    ids = list(tx.execute(some).scalars())
    if ids:
        tx.execute(delete(index_queue).where(index_queue.c.message_id.in_(ids)))
    return len(ids)


def gone_texts(tx: Connection, tenant_id: int, after: bytes, limit: int) -> tuple[list[bytes], bytes | None]:
    """Texts whose content is gone among the next `limit`, and where to go on; None at the end."""
    each = content_text.c
    query = select(each.sha256, exists().where(_same(content, content_text)))
    some = query.where(each.tenant_id == tenant_id, each.sha256 > after).order_by(each.sha256).limit(limit)
    rows = tx.execute(some).all()
    return [row[0] for row in rows if not row[1]], rows[-1][0] if len(rows) == limit else None


def forget_texts(tx: Connection, tenant_id: int, hashes: Sequence[bytes]) -> None:
    """Delete those of these texts whose content is still gone."""
    gone = ~exists().where(_same(content, content_text))
    some = (content_text.c.tenant_id == tenant_id) & content_text.c.sha256.in_(hashes)
    tx.execute(delete(content_text).where(some, gone))


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Sums over a site's index."""

    documents: int
    segments: int
    partial: int
    text_bytes: int
    index_bytes: int
    stale: int
    queued: int


def totals(tx: Connection, tenant_id: int) -> Totals:
    """Counts and bytes of the whole index."""
    each = index_segment.c
    query = select(
        func.coalesce(func.sum(each.documents), 0),
        func.count(),
        func.coalesce(func.sum(func.length(each.partial)), 0),
        func.coalesce(func.sum(each.text_bytes), 0),
        func.coalesce(func.sum(each.index_bytes), 0),
        func.count(each.stale_ms),
    ).where(each.tenant_id == tenant_id, _IS_SEEN)
    row = tx.execute(query).one()
    waiting = select(func.count()).select_from(index_queue).where(index_queue.c.tenant_id == tenant_id)
    return Totals(
        documents=int(row[0]), segments=row[1], partial=int(row[2]) // 2, text_bytes=int(row[3]),
        index_bytes=int(row[4]), stale=row[5], queued=tx.execute(waiting).scalar_one(),
    )  # fmt: skip
