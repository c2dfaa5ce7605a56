"""A page of summaries as JSON values straight from rows: the list that every client asks for all the time.

What it gives is what `wire.encode` makes of `messages.page`; a test compares them on real mail. Making fifty
summaries with their parties and times, only to take them apart again, costs three times the query.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from pydantic_core import from_json
from sqlalchemy import Connection, bindparam

from mairust_core.errors import NotFound
from mairust_core.ids import nearest_ms
from mairust_core.model.principal import Principal
from mairust_core.store import accounts, messages
from mairust_core.store.prepared import Prepared
from mairust_core.store.tables import (
    AnySelect,
    account,
    address,
    content,
    mailbox,
    message,
    placement,
)

Json = dict[str, Any]


def _account(by: Principal) -> AnySelect:
    return (
        accounts.query(by)
        .with_only_columns(account.c.id, account.c.address)
        .where(address.c.folded == bindparam("folded"))
    )


def _page(by: Principal, of_mailbox: bool, continued: bool) -> AnySelect:
    where: Any = bindparam("box")
    position: Any = (bindparam("at_ms"), bindparam("after_id")) if continued else None
    return messages.page_query(
        by, None if of_mailbox else where, where if of_mailbox else None, position, bindparam("many")
    ).with_only_columns(
        message.c.id, account.c.address, mailbox.c.name, placement.c.uid, message.c.size_bytes,
        placement.c.received_ms, content.c.date_ms, content.c.facts, content.c.subject, content.c.message_id,
        message.c.thread_id, placement.c.flags, placement.c.keywords, message.c.tags, content.c.snippet,
        content.c.has_attachments,
    )  # fmt: skip


_ACCOUNT, _PAGE = Prepared(_account), Prepared(_page)


def find_account(tx: Connection, by: Principal, wanted: str) -> tuple[int, str]:
    """The id and address of an account; raises `NotFound`."""
    found = _ACCOUNT.rows(tx, by, (), folded=accounts.fold(wanted))
    if not found:
        raise NotFound("account", address=wanted)
    return found[0][0], found[0][1]


def page(
    tx: Connection, by: Principal, place: tuple[int, int | None], cursor: str, limit: int
) -> tuple[list[Json], str | None]:
    """Summaries of an account or of its mailbox, and the cursor that continues; as `messages.page`."""
    account_id, mailbox_id = place
    values = {"box": account_id if mailbox_id is None else mailbox_id, "many": limit + 1}
    if cursor:
        values["at_ms"], values["after_id"] = messages.parse_cursor(cursor)
    rows = _PAGE.rows(tx, by, (mailbox_id is not None, bool(cursor)), **values)
    last = rows[limit - 1] if len(rows) > limit else None
    return [_summary(row) for row in rows[:limit]], None if last is None else f"{last[5]}-{last[0]}"


def _summary(row: tuple[Any, ...]) -> Json:
    (
        id_, owner, box, uid, size, received_ms, date_ms, facts, subject, message_id, thread_id, flags,
        keywords, tags, snippet, has_attachments,
    ) = row  # fmt: skip
    found = from_json(facts)
    return {
        "id": str(id_),
        "account": owner,
        "mailbox": box,
        "uid": uid,
        "size": size,
        "received_at": _time(received_ms),
        "date": None if date_ms is None else _time(date_ms),
        "from": [{"name": one[0], "address": one[1]} for one in found.get("from_", ())],
        "to": [{"name": one[0], "address": one[1]} for one in found.get("to", ())],
        "cc": [{"name": one[0], "address": one[1]} for one in found.get("cc", ())],
        "subject": subject,
        "message_id": message_id,
        "thread_id": str(thread_id),
        "flags": _flags(flags, keywords),
        "tags": [] if tags == "[]" else json.loads(tags),
        "preview": snippet,
        "has_attachments": bool(has_attachments),
        "deleted_at": None,
    }


@lru_cache(maxsize=256)
def _flags(bits: int, keywords: str) -> tuple[str, ...]:
    return messages.flags(bits, keywords)


def _time(ms: int) -> str:
    """As `wire.encode_time` of that moment."""
    ms = nearest_ms(ms)
    return f"{_second(ms // 1000)}.{ms % 1000:03d}Z"


@lru_cache(maxsize=4096)
def _second(s: int) -> str:
    return datetime.fromtimestamp(s, UTC).strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0")
