"""Deliveries and outcomes as plain values, for the pipes between the loop's process and the committing one.

What every mail brings travels as tuples for `marshal`, which costs a third of what `pickle` does with the
dataclasses. What few mails bring does not travel: it is committed where it is.
"""

from __future__ import annotations

import marshal
from collections.abc import Iterable, Sequence
from dataclasses import fields
from operator import attrgetter
from typing import Any

from mairust_core.errors import MaiRustError
from mairust_core.model.blob import MEMORY_LIMIT_BYTES, Bytes
from mairust_core.model.content import KeptFacts, TextAt, Unread
from mairust_core.model.delivery import CallRows, Copy, Delivery, Later, Stored, Trace
from mairust_core.model.ids import Id
from mairust_core.model.job import NewJob, Priority

LONGEST_BYTES = 1 << 20
"""Of a parcel without its content; a delivery to thousands of accounts is longer."""
_VERSION = 2  # later ones look every value up, in case it comes twice


_JOB = tuple(one.name for one in fields(NewJob) if one.name not in ("payload", "priority"))
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
        None if one.kept is None else tuple(one.kept),
        [(int(copy.id), int(copy.account_id), *copy[2:]) for copy in one.copies],
        None if one.trace is None else (int(one.trace.id), *one.trace[1:]),
        [_later_told(later) for later in one.later],
        tuple(one.calls),
        None if one.unread is None else [*(at and tuple(at) for at in one.unread[:2]), one.unread.cut],
    )


def unpack(packed: bytes | memoryview, data: bytes) -> Delivery:
    """The delivery again, with its content in memory."""
    told = marshal.loads(packed)  # noqa: S302 - of our parent's
    tenant_id, sha256, received_ms, once, facts_left, snippet, *more = told
    kept, copies, trace, later, calls, unread = more
    return Delivery(
        tenant_id=tenant_id,
        content=Bytes(data=data, sha256=sha256, size_bytes=len(data)),
        kept=None if kept is None else KeptFacts._make(kept),
        copies=tuple([Copy(Id(copy[0]), *copy[1:]) for copy in copies]),
        received_ms=received_ms,
        trace=None if trace is None else Trace(Id(trace[0]), *trace[1:]),
        once=once,
        facts_left=facts_left,
        snippet=snippet,
        later=tuple([_later(*one) for one in later]),
        calls=CallRows(*calls),
        unread=None if unread is None else _unread(*unread),
    )


def _unread(plain: Sequence[Any] | None, html: Sequence[Any] | None, cut: bool) -> Unread:
    return Unread(TextAt(*plain) if plain else None, TextAt(*html) if html else None, cut)


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
