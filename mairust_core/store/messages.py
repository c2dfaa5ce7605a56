"""Queries on messages, placed or deleted, always with their owner in the query (trap A2)."""

from __future__ import annotations

import json
import re
from collections import namedtuple
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

import orjson
from sqlalchemy import (
    ColumnElement,
    Connection,
    Dialect,
    Table,
    bindparam,
    func,
    literal,
    literal_column,
    null,
    select,
)

from mairust_core.errors import Invalid, NotFound
from mairust_core.ids import to_time
from mairust_core.model.blob import Locator
from mairust_core.model.content import Eol
from mairust_core.model.delivery import Hidden
from mairust_core.model.flags import joined
from mairust_core.model.ids import Id
from mairust_core.model.message import Attachment, Summary
from mairust_core.model.principal import Principal
from mairust_core.store import StorageBackend, accounts, facts
from mairust_core.store.tables import (
    AnyRow,
    AnySelect,
    account,
    blob,
    content,
    content_text,
    mailbox,
    message,
    placement,
    trash,
)

_CURSOR = re.compile(r"([0-9]{1,18})-([0-9]{1,19})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where the bytes of a message are and what its rendering adds and hides (rule B2)."""

    locator: Locator
    sha256: bytes
    tenant_id: int
    size_bytes: int
    trace_headers: bytes
    hidden: Hidden
    eol: Eol
    modseq: int
    attachments: tuple[Attachment, ...]
    metadata: dict[str, Any]


def select_placed(by: Principal) -> AnySelect:
    """Messages in mailboxes, with what a summary needs; the caller says which."""
    return _placed().where(accounts.within(by))


def select_deleted(by: Principal) -> AnySelect:
    """Messages in the trash, likewise; a mailbox that was renamed since has its new name."""
    name = func.coalesce(mailbox.c.name, trash.c.mailbox).label("mailbox")
    place = (literal(0).label("uid"), trash.c.deleted_ms, name)
    query = _select(trash, place).outerjoin(mailbox, mailbox.c.id == trash.c.mailbox_id)
    return query.where(accounts.within(by))


def _placed() -> AnySelect:
    place = (placement.c.uid, null().label("deleted_ms"), mailbox.c.name.label("mailbox"))
    return _select(placement, place).join(mailbox, mailbox.c.id == placement.c.mailbox_id)


def _select(source: Table, place: tuple[ColumnElement[Any], ...]) -> AnySelect:
    return (
        select(
            *place, source.c.modseq, source.c.flags, source.c.keywords, source.c.received_ms,
            message.c.id, message.c.thread_id, message.c.size_bytes.label("size"), message.c.tags,
            message.c.trace_headers, message.c.hidden, account.c.address,
            content.c.sha256, content.c.tenant_id, content.c.size_bytes, content.c.eol,
            content.c.date_ms, content.c.subject, content.c.message_id, content.c.snippet,
            content.c.has_attachments, content.c.facts,
        )
        .join_from(source, message, message.c.id == source.c.message_id)
        .join(content, (content.c.sha256 == message.c.sha256) & (content.c.tenant_id == message.c.tenant_id))
        .join(account, account.c.id == source.c.account_id)
    )  # fmt: skip


def page_query(
    by: Principal, account_id: Any, mailbox_id: Any, position: tuple[Any, Any] | None, limit: Any
) -> AnySelect:
    """The statement of a page; every value may also be a `bindparam`."""
    query = (
        select_placed(by).order_by(placement.c.received_ms.desc(), placement.c.message_id.desc()).limit(limit)
    )
    if mailbox_id is None:
        query = query.where(placement.c.account_id == account_id)
    else:
        query = query.where(placement.c.mailbox_id == mailbox_id)
    if position is not None:
        at_ms, after_id = position
        query = query.where(
            (placement.c.received_ms < at_ms)
            | ((placement.c.received_ms == at_ms) & (placement.c.message_id < after_id))
        ).where(placement.c.received_ms <= at_ms)
    return query


def parse_cursor(cursor: str) -> tuple[int, int]:
    """The position that `make_cursor` wrote; raises `Invalid`."""
    found = _CURSOR.fullmatch(cursor)
    if found is None:
        raise Invalid("cursor", "not_cursor", value=repr(cursor[:40]))
    return int(found[1]), min(int(found[2]), (1 << 63) - 1)


def make_cursor(last: Summary) -> str:
    """The position after a summary."""
    return cursor_at(round(last.received_at.timestamp() * 1000), last.id)


def cursor_at(received_ms: int, message_id: int) -> str:
    """The position after a message."""
    return f"{received_ms}-{int(message_id)}"


def get(tx: Connection, by: Principal, message_id: Id) -> tuple[Summary, Source]:
    """One message, deleted or not, and where its bytes are; raises `NotFound`."""
    for query in (select_placed(by), select_deleted(by)):
        one = (
            query.add_columns(blob.c.location, message.c.metadata)
            .join(blob, (blob.c.sha256 == message.c.sha256) & (blob.c.tenant_id == message.c.tenant_id))
            .where(message.c.id == message_id)
        )
        if (row := tx.execute(one).first()) is not None:
            return summary_of(row), _source(row)
    raise NotFound("message", id=message_id)


def _texts(is_asked: ColumnElement[bool], account_id: ColumnElement[Any]) -> AnySelect:
    return (
        _placed()
        .add_columns(content_text.c.extent, content_text.c.text)
        .join(
            content_text,
            (content_text.c.sha256 == message.c.sha256) & (content_text.c.tenant_id == message.c.tenant_id),
            isouter=True,
        )
        # an expression, lest SQLite reads the whole account by its index rather than these few by their ids
        .where(is_asked, message.c.account_id + 0 == account_id)
    )


_ACCOUNT, _IDS = "account_id_here", "message_ids_here"
"""Stand in a statement for integers that are written out."""
_BOUND = _texts(message.c.id.in_(bindparam("ids", expanding=True)), bindparam("account_id"))
_WRITTEN = _texts(message.c.id.op("IN")(literal_column(f"({_IDS})")), literal_column(_ACCOUNT))
_TextRow = namedtuple("_TextRow", [one.key for one in _WRITTEN.selected_columns])  # type: ignore[misc]


def with_texts(
    storage: StorageBackend,
    tx: Connection,
    account_id: int,
    message_ids: Sequence[int],
    conditions: Sequence[ColumnElement[bool]],
) -> list[AnyRow]:
    """Those messages of an account that fulfil the conditions, with their texts; one statement."""
    if conditions:
        values = {"account_id": account_id, "ids": message_ids}
        return list(tx.execute(_BOUND.where(*conditions), values))
    # by the driver alone: SQLAlchemy's statement and its rows cost as much as reading them
    ids = ", ".join(map(str, map(int, message_ids)))
    sql = _written(tx.dialect).replace(_IDS, ids).replace(_ACCOUNT, str(int(account_id)))
    return [cast(AnyRow, _TextRow(*row)) for row in storage.fetch_all(tx, sql, ())]


@lru_cache(maxsize=4)
def _written(dialect: Dialect) -> str:
    return str(_WRITTEN.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))


def flags_of(row: AnyRow) -> tuple[str, ...]:
    """The flags and keywords in such a row."""
    return flags(row.flags, row.keywords)


def summary_of(row: AnyRow) -> Summary:
    """The summary in a row of `select_placed`, `select_deleted` or `with_texts`."""
    found = orjson.loads(row.facts)
    return Summary(
        id=Id(row.id),
        account=row.address,
        mailbox=row.mailbox,
        uid=row.uid,
        size=row.size,
        received_at=to_time(row.received_ms),
        date=None if row.date_ms is None else to_time(row.date_ms),
        from_=facts.parties(found, "from_"),
        to=facts.parties(found, "to"),
        cc=facts.parties(found, "cc"),
        subject=row.subject,
        message_id=row.message_id,
        thread_id=Id(row.thread_id),
        flags=flags_of(row),
        tags=tags_of(row),
        preview=row.snippet,
        has_attachments=bool(row.has_attachments),
        deleted_at=None if row.deleted_ms is None else to_time(row.deleted_ms),
    )


def flags(bits: int, keywords: str) -> tuple[str, ...]:
    """System flags and keywords of a placement."""
    return joined(bits, () if keywords == "[]" else json.loads(keywords))


def tags_of(row: AnyRow) -> tuple[str, ...]:
    """The tags in such a row."""
    return () if row.tags == "[]" else tuple(json.loads(row.tags))


def _source(row: AnyRow) -> Source:
    return Source(
        locator=Locator(row.location),
        sha256=row.sha256,
        tenant_id=row.tenant_id,
        size_bytes=row.size_bytes,
        trace_headers=row.trace_headers,
        hidden=tuple((start, end) for start, end in json.loads(row.hidden)),
        eol=row.eol,
        modseq=row.modseq,
        attachments=facts.attachments(json.loads(row.facts)),
        metadata=json.loads(row.metadata),
    )
