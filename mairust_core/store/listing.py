"""Pages of an account's messages: newest first, one statement for a page, in the order of an index.

What no index answers (a flag, a tag within a mailbox) is looked for among the next `SCANNED` rows only, so
that a page costs no more however large the account is; the page then ends early, with a cursor to go on from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Table, exists, select, tuple_

from mairust_core.ids import to_ms
from mairust_core.model.flags import split
from mairust_core.model.forms import Page
from mairust_core.model.message import Summary
from mairust_core.model.message_change import MessageFilter
from mairust_core.model.principal import Principal
from mairust_core.store.facts import to_json
from mairust_core.store.messages import (
    make_cursor,
    parse_cursor,
    select_deleted,
    select_placed,
    summary_of,
)
from mairust_core.store.tables import AnySelect, message_tag, placement, trash

SCANNED = 10_000

Position = tuple[int, int]
"""Time of receipt and message id: the order of every page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which messages of which account; `mailbox_id` None for all mailboxes."""

    account_id: int
    mailbox_id: int | None
    filter: MessageFilter


def page(
    tx: Connection, by: Principal, wanted: Wanted, cursor: str, limit: int, scanned: int = SCANNED
) -> Page[Summary]:
    """Summaries after `cursor`, newest first, at most `limit`.

    It takes one statement, and with a filter that no index answers a second one.
    """
    after = parse_cursor(cursor) if cursor else None
    end = _end_of_scan(tx, wanted, after, scanned) if _scans(wanted) else None
    query = _query(by, wanted)
    at = _position(_ordered_by(wanted))
    if after is not None:
        query = query.where(at < after)
    if end is not None:
        query = query.where(at >= end)
    time, number = _order_columns(_ordered_by(wanted))
    rows = tx.execute(query.order_by(time.desc(), number.desc()).limit(limit + 1)).all()
    items = tuple(summary_of(row) for row in rows[:limit])
    if len(rows) > limit:
        return Page(items=items, next_cursor=make_cursor(items[-1]))
    return Page(items=items, next_cursor=None if end is None else f"{end[0]}-{end[1]}")


def _query(by: Principal, wanted: Wanted) -> AnySelect:
    query = select_deleted(by) if wanted.filter.deleted else select_placed(by)
    if _ordered_by(wanted) is message_tag:
        query = query.join(message_tag, message_tag.c.message_id == placement.c.message_id)
    return query.where(*_bounds(wanted), *_conditions(wanted))


def _ordered_by(wanted: Wanted) -> Table:
    """The table whose index gives the order of the page."""
    if wanted.filter.deleted:
        return trash
    return message_tag if wanted.filter.tag else placement


def _bounds(wanted: Wanted) -> list[ColumnElement[bool]]:
    """What the index answers."""
    asked, table = wanted.filter, _ordered_by(wanted)
    if table is placement and wanted.mailbox_id is not None:
        found = [table.c.mailbox_id == wanted.mailbox_id]
    else:
        found = [table.c.account_id == wanted.account_id]
    if table is message_tag:
        found.append(table.c.tag == asked.tag)
    if asked.since is not None:
        found.append(table.c.received_ms >= to_ms(asked.since))
    if asked.before is not None:
        found.append(table.c.received_ms < to_ms(asked.before))
    return found


def _conditions(wanted: Wanted) -> list[ColumnElement[bool]]:
    """What has to be looked at row by row."""
    asked = wanted.filter
    source = trash if asked.deleted else placement
    found: list[ColumnElement[bool]] = []
    if wanted.mailbox_id is not None and _ordered_by(wanted) is not placement:
        found.append(source.c.mailbox_id == wanted.mailbox_id)
    if asked.tag and asked.deleted:
        tagged = exists().where(
            message_tag.c.message_id == trash.c.message_id, message_tag.c.tag == asked.tag
        )
        found.append(tagged)
    if asked.flag:
        found.append(_has(source, asked.flag))
    if asked.unflag:
        found.append(~_has(source, asked.unflag))
    return found


def _has(source: Table, flag: str) -> ColumnElement[bool]:
    bits, keywords = split([flag])
    if bits:
        return source.c.flags.op("&")(bits) != 0
    return source.c.keywords.icontains(to_json(keywords[0]), autoescape=True)


def _scans(wanted: Wanted) -> bool:
    return _ordered_by(wanted) is message_tag or bool(_conditions(wanted))


def _end_of_scan(tx: Connection, wanted: Wanted, after: Position | None, scanned: int) -> Position | None:
    """The last position that is looked at; None when everything is."""
    table = _ordered_by(wanted)
    time, number = _order_columns(table)
    query = select(time, number).where(*_bounds(wanted))
    if after is not None:
        query = query.where(_position(table) < after)
    row = tx.execute(query.order_by(time.desc(), number.desc()).offset(scanned - 1).limit(1)).first()
    return None if row is None else (row[0], row[1])


def _order_columns(table: Table) -> tuple[Column[Any], Column[Any]]:
    return table.c.received_ms, table.c.message_id


def _position(table: Table) -> Any:
    return tuple_(*_order_columns(table))
