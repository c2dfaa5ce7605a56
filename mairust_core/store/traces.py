"""Queries on traces: rows as they lie, found by their id, a message's, a Message-ID, or the time.

What a caller may see of them is decided in `stories`; a row alone belongs to the whole site.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, literal_column, select, update

from mairust_core.ids import PROCESSES, SEQUENCES, first_id, now_ms
from mairust_core.model.principal import Principal
from mairust_core.store.facts import to_json
from mairust_core.store.tables import AnyRow, message, trace

MAX_MAILS = 20
"""Mails with one Message-ID that are told of."""
MAX_LOOKED_AT = 500
MAX_EVENTS = 2000
"""Events of one mail that are kept: the first ones."""
MAX_BYTES = 256 << 10
"""Of what is noted later: each time the whole row is written again."""
CUT = "cut"
"""The kind of the last event of a story that is not told on."""
NEAR_MS = 10_000
"""How long after its trace's id a message's id is made, at the most (both come from one process)."""
_IDS_OF_MS = PROCESSES * SEQUENCES


@dataclass(frozen=True, slots=True, kw_only=True)
class Sought:
    """Which mails a list of traces shows: every word given must fit. `since_ms` bounds what is read."""

    since_ms: int
    recipient: str = ""
    sender: str = ""
    refused: bool = False


def by_id(tx: Connection, by: Principal, trace_id: int) -> AnyRow | None:
    """The trace of that id."""
    return tx.execute(select(trace).where(trace.c.id == trace_id, _mine(by))).first()


def by_message_id(tx: Connection, by: Principal, header: str) -> list[AnyRow]:
    """Traces of accepted mails with that Message-ID, with or without its brackets, newest first.

    `MAX_LOOKED_AT` at the most, in which somebody with a narrow reach still finds their own.
    """
    given = trace.c.message_id != literal_column("''")  # as the index says it
    query = (
        select(trace)
        .where(trace.c.message_id.in_((header, f"<{header}>")), given, _mine(by))
        .order_by(trace.c.id.desc())
        .limit(MAX_LOOKED_AT)
    )
    return list(tx.execute(query))


def of_message(tx: Connection, by: Principal, message_id: int) -> AnyRow | None:
    """The trace that stored a message, also when the message is gone."""
    known = select(message.c.trace_id).where(message.c.id == message_id)
    if (trace_id := tx.execute(known).scalar_one_or_none()) is not None:
        return by_id(tx, by, trace_id)
    near = trace.c.id.between(message_id - NEAR_MS * _IDS_OF_MS, message_id)
    told = trace.c.events.like(f"%[{message_id},%")
    return tx.execute(select(trace).where(near, told, _mine(by)).order_by(trace.c.id.desc()).limit(1)).first()


def page(tx: Connection, by: Principal, sought: Sought, before: int, limit: int) -> list[AnyRow]:
    """Traces newest first, those before `before` (0: from the newest on)."""
    # a trace gets its id after its mail has come, so that this bounds what is read
    recent = trace.c.id >= first_id(sought.since_ms), trace.c.at_ms >= sought.since_ms
    query = select(trace).where(*recent, _mine(by))
    if before:
        query = query.where(trace.c.id < before)
    if sought.refused:
        query = query.where(~trace.c.accepted)
    if sought.sender:
        query = query.where(func.lower(trace.c.mail_from) == sought.sender.lower())
    if sought.recipient:
        named = func.lower(trace.c.rcpt_to).contains(f'["{sought.recipient.lower()}"', autoescape=True)
        query = query.where(named)
    return list(tx.execute(query.order_by(trace.c.id.desc()).limit(limit)))


def count(tx: Connection, by: Principal, since_ms: int) -> tuple[int, int]:
    """How many mails were accepted and refused since then, as far as refusals were noted; off the index."""
    query = (
        select(trace.c.accepted, func.count())
        .where(trace.c.at_ms >= since_ms, _mine(by))
        .group_by(trace.c.accepted)
    )
    found = {bool(row[0]): int(row[1]) for row in tx.execute(query)}
    return found.get(True, 0), found.get(False, 0)


def note(tx: Connection, trace_id: int, events: Sequence[Mapping[str, Any]]) -> bool:
    """Add to the story of a mail what happened later; False when it has no trace, not yet or not any more."""
    query = select(trace.c.events).where(trace.c.id == trace_id).with_for_update()
    noted = tx.execute(query).scalar_one_or_none()
    if noted is None:
        return False
    known = json.loads(noted)
    if known and known[-1]["kind"] == CUT:
        return True
    # the first ones are from the transaction that stored it, and stay
    written = to_json([*known, *events])
    if len(known) + len(events) > MAX_EVENTS or len(written) > MAX_BYTES:
        written = to_json([*known, {"at": now_ms(), "kind": CUT}])
    tx.execute(update(trace).where(trace.c.id == trace_id).values(events=written))
    return True


def _mine(by: Principal) -> ColumnElement[bool]:
    return trace.c.tenant_id == by.tenant_id
