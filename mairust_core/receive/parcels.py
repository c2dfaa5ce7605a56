"""Deliveries and outcomes as plain values, for the pipes between the loop's process and the committing one.

What every mail brings travels as tuples for `marshal`, which costs a third of what `pickle` does with the
same dataclasses. What few mails bring does not travel: it is committed where it is.
"""

from __future__ import annotations

import marshal
from collections.abc import Iterable, Sequence
from dataclasses import fields
from operator import attrgetter
from typing import Any

from mairust_core.errors import MaiRustError
from mairust_core.ids import to_ms, to_time
from mairust_core.model.blob import MEMORY_LIMIT_BYTES, Bytes
from mairust_core.model.content import AttachmentFact, Correspondent, Facts, TextAt, Unread
from mairust_core.model.delivery import CallRows, Copy, Delivery, Later, Stored, Trace
from mairust_core.model.ids import Id
from mairust_core.model.job import NewJob, Priority

LONGEST_BYTES = 1 << 20
"""Of a parcel without its content; a delivery to thousands of accounts is longer."""
_VERSION = 2  # later ones look every value up, in case it comes twice


def _names(of: type, *without: str) -> tuple[str, ...]:
    return tuple(one.name for one in fields(of) if one.name not in without)


_PARTIES = ("from_", "sender", "reply_to", "to", "cc", "bcc")
_FACTS = _names(Facts, *_PARTIES, "attachments", "date")
_ATTACHMENT, _COPY, _TRACE = _names(AttachmentFact), _names(Copy, "id", "account_id"), _names(Trace, "id")
_JOB = _names(NewJob, "payload", "priority")
_of_facts, _parties, _party = attrgetter(*_FACTS), attrgetter(*_PARTIES), attrgetter("name", "address")
_of_attachment, _of_copy, _of_trace = attrgetter(*_ATTACHMENT), attrgetter(*_COPY), attrgetter(*_TRACE)
_of_job = attrgetter(*_JOB)


def pack(delivery: Delivery) -> bytes | None:
    """A delivery without the bytes of its content; None when it does not travel.

    That is what lies in a file or goes to thousands, what imports and repeatable requests bring, and values
    that are not plain.
    """
    if delivery.content.size_bytes > MEMORY_LIMIT_BYTES or delivery.counted or delivery.receipt:
        return None
    try:
        packed = marshal.dumps(_told(delivery), _VERSION)
    except ValueError:
        return None
    return packed if len(packed) <= LONGEST_BYTES else None


def _told(one: Delivery) -> tuple[Any, ...]:
    return (
        one.tenant_id,
        one.content.sha256,
        one.received_ms,
        one.once,
        one.facts_left,
        one.snippet,
        None if one.facts is None else _facts_told(one.facts),
        [(int(copy.id), int(copy.account_id), *_of_copy(copy)) for copy in one.copies],
        None if one.trace is None else (int(one.trace.id), *_of_trace(one.trace)),
        [_later_told(later) for later in one.later],
        tuple(one.calls),
        None if one.unread is None else [*(at and tuple(at) for at in one.unread[:2]), one.unread.cut],
    )


def unpack(packed: bytes | memoryview, data: bytes) -> Delivery:
    """The delivery again, with its content in memory."""
    told = marshal.loads(packed)  # noqa: S302 - of our parent's
    tenant_id, sha256, received_ms, once, facts_left, snippet, *more = told
    facts, copies, trace, later, calls, unread = more
    return Delivery(
        tenant_id=tenant_id,
        content=Bytes(data=data, sha256=sha256, size_bytes=len(data)),
        facts=None if facts is None else _facts(*facts),
        copies=tuple([_copy(*copy) for copy in copies]),
        received_ms=received_ms,
        trace=None if trace is None else Trace(id=Id(trace[0]), **dict(zip(_TRACE, trace[1:], strict=True))),
        once=once,
        facts_left=facts_left,
        snippet=snippet,
        later=tuple([_later(*one) for one in later]),
        calls=CallRows(*calls),
        unread=None if unread is None else _unread(*unread),
    )


def _unread(plain: Sequence[Any] | None, html: Sequence[Any] | None, cut: bool) -> Unread:
    return Unread(TextAt(*plain) if plain else None, TextAt(*html) if html else None, cut)


def _copy(id_: int, account_id: int, *rest: Any) -> Copy:
    return Copy(id=Id(id_), account_id=account_id, **dict(zip(_COPY, rest, strict=True)))


def _facts_told(facts: Facts) -> tuple[Any, ...]:
    return (
        _of_facts(facts),
        [[_party(one) for one in some] if some else () for some in _parties(facts)],
        [_of_attachment(one) for one in facts.attachments],
        None if facts.date is None else to_ms(facts.date),
    )


def _facts(
    plain: Sequence[Any],
    parties: Iterable[Iterable[tuple[str, str]]],
    attachments: Iterable[Sequence[Any]],
    date_ms: int | None,
) -> Facts:
    named: dict[str, Any] = dict(zip(_PARTIES, map(_correspondents, parties), strict=True))
    return Facts(
        **dict(zip(_FACTS, plain, strict=True)),
        **named,
        attachments=tuple([AttachmentFact(**dict(zip(_ATTACHMENT, a, strict=True))) for a in attachments]),
        date=None if date_ms is None else to_time(date_ms),
    )


def _correspondents(parties: Iterable[tuple[str, str]]) -> tuple[Correspondent, ...]:
    return tuple([Correspondent(name=name, address=address) for name, address in parties])


def _later_told(later: Later) -> tuple[Any, ...]:
    job = later.job
    told = (_of_job(job), dict(job.payload), int(job.priority))
    return int(later.id), int(later.copy), told, later.delay_ms


def _later(id_: int, copy: int, job: tuple[Any, ...], delay_ms: int) -> Later:
    plain, payload, priority = job
    named = dict(zip(_JOB, plain, strict=True))
    new = NewJob(**named, payload=payload, priority=Priority(priority))
    return Later(id=Id(id_), copy=Id(copy), job=new, delay_ms=delay_ms)


def pack_outcomes(outcomes: Iterable[Stored | MaiRustError]) -> bytes:
    """What became of a batch."""
    return marshal.dumps([_outcome_told(one) for one in outcomes], _VERSION)


def _outcome_told(outcome: Stored | MaiRustError) -> tuple[Any, ...]:
    if isinstance(outcome, Stored):
        ids = tuple([int(one) for one in outcome.ids])
        return (None, *ids) if outcome.without_calls else ids
    return outcome.code, outcome.detail, {name: _plain(value) for name, value in outcome.values.items()}


def unpack_outcomes(packed: bytes) -> list[Stored | MaiRustError]:
    """The outcomes again; an error's values are numbers, texts or nothing."""
    return [_outcome(told) for told in marshal.loads(packed)]  # noqa: S302 - of our child's


def _outcome(told: tuple[Any, ...]) -> Stored | MaiRustError:
    if told and isinstance(told[0], str):
        return MaiRustError.again(*told)
    if told and told[0] is None:
        return Stored(ids=tuple([Id(one) for one in told[1:]]), without_calls=True)
    return Stored(ids=tuple([Id(one) for one in told]))


def _plain(value: object) -> object:
    if value is None or type(value) in {bool, int, float, str}:
        return value
    return int(value) if isinstance(value, int) else str(value)
