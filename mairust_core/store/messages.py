"""Queries on messages: pages and single ones, always with their owner in the query (trap A2)."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, bindparam, select

from mairust_core.errors import Invalid, NotFound
from mairust_core.ids import to_time
from mairust_core.model.blob import Locator
from mairust_core.model.delivery import Hidden
from mairust_core.model.ids import Id
from mairust_core.model.message import Attachment, Summary
from mairust_core.model.principal import Principal
from mairust_core.store import accounts, facts
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
)

FLAGS = ("\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft")
"""System flags by bit (RFC 9051 §2.3.2)."""
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
    eol: str
    modseq: int
    attachments: tuple[Attachment, ...]


def _columns() -> AnySelect:
    return (
        select(
            placement.c.uid, placement.c.modseq, placement.c.flags, placement.c.keywords,
            placement.c.received_ms, message.c.id, message.c.thread_id, message.c.size_bytes.label("size"),
            message.c.tags, message.c.trace_headers, message.c.hidden, mailbox.c.name.label("mailbox"),
            account.c.address, content.c.sha256, content.c.tenant_id, content.c.size_bytes, content.c.eol,
            content.c.date_ms, content.c.subject, content.c.message_id, content.c.snippet,
            content.c.has_attachments, content.c.facts,
        )
        .join_from(placement, message, message.c.id == placement.c.message_id)
        .join(content, (content.c.sha256 == message.c.sha256) & (content.c.tenant_id == message.c.tenant_id))
        .join(mailbox, mailbox.c.id == placement.c.mailbox_id)
        .join(account, account.c.id == placement.c.account_id)
    )  # fmt: skip


def _select(by: Principal) -> AnySelect:
    return _columns().where(accounts.within(by))


def page(
    tx: Connection, by: Principal, account_id: int, mailbox_id: int | None, cursor: str, limit: int
) -> list[Summary]:
    """Summaries of an account or of one of its mailboxes, newest first, after `cursor`; one statement."""
    query = _select(by).order_by(placement.c.received_ms.desc(), placement.c.message_id.desc()).limit(limit)
    if mailbox_id is None:
        query = query.where(placement.c.account_id == account_id)
    else:
        query = query.where(placement.c.mailbox_id == mailbox_id)
    if cursor:
        at_ms, after_id = parse_cursor(cursor)
        query = query.where(
            (placement.c.received_ms < at_ms)
            | ((placement.c.received_ms == at_ms) & (placement.c.message_id < after_id))
        ).where(placement.c.received_ms <= at_ms)
    return [_summary(row) for row in tx.execute(query)]


def parse_cursor(cursor: str) -> tuple[int, int]:
    """The position that `make_cursor` wrote; raises `Invalid`."""
    found = _CURSOR.fullmatch(cursor)
    if found is None:
        raise Invalid(
            "cursor", f"{cursor[:40]!r} is not one", "pass next_cursor of the page before, unchanged"
        )
    return int(found[1]), min(int(found[2]), (1 << 63) - 1)


def make_cursor(last: Summary) -> str:
    """The position after a summary."""
    return cursor_at(round(last.received_at.timestamp() * 1000), last.id)


def cursor_at(received_ms: int, message_id: int) -> str:
    """The position after a message."""
    return f"{received_ms}-{int(message_id)}"


def get(tx: Connection, by: Principal, message_id: Id) -> tuple[Summary, Source]:
    """One message and where its bytes are; raises `NotFound`."""
    query = (
        _select(by)
        .add_columns(blob.c.location)
        .join(blob, (blob.c.sha256 == message.c.sha256) & (blob.c.tenant_id == message.c.tenant_id))
        .where(message.c.id == message_id)
    )
    row = tx.execute(query).first()
    if row is None:
        raise NotFound("message", id=message_id)
    return _summary(row), _source(row)


_WITH_TEXTS = (
    _columns()
    .add_columns(content_text.c.extent, content_text.c.text)
    .join(
        content_text,
        (content_text.c.sha256 == message.c.sha256) & (content_text.c.tenant_id == message.c.tenant_id),
        isouter=True,
    )
    .where(
        message.c.id.in_(bindparam("ids", expanding=True)),
        # an expression, lest SQLite reads the whole account by its index rather than these few by their ids
        message.c.account_id + 0 == bindparam("account_id"),
    )
)


def with_texts(
    tx: Connection, account_id: int, message_ids: Sequence[int], conditions: Sequence[ColumnElement[bool]]
) -> list[AnyRow]:
    """Those messages of an account that fulfil the conditions, with their texts; one statement."""
    values = {"account_id": account_id, "ids": message_ids}
    return list(tx.execute(_WITH_TEXTS.where(*conditions) if conditions else _WITH_TEXTS, values))


def summary_of(row: AnyRow) -> Summary:
    """The summary in such a row."""
    return _summary(row)


def flags_of(row: AnyRow) -> tuple[str, ...]:
    """The flags and keywords in such a row."""
    return _flags(row.flags, row.keywords)


def _summary(row: AnyRow) -> Summary:
    found = json.loads(row.facts)
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
        flags=_flags(row.flags, row.keywords),
        tags=tags_of(row),
        preview=row.snippet,
        has_attachments=row.has_attachments,
    )


def tags_of(row: AnyRow) -> tuple[str, ...]:
    """The tags in such a row."""
    return () if row.tags == "[]" else tuple(json.loads(row.tags))


def _flags(bits: int, keywords: str) -> tuple[str, ...]:
    system = tuple(name for bit, name in enumerate(FLAGS) if bits >> bit & 1)
    return system if keywords == "[]" else (*system, *json.loads(keywords))


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
    )
