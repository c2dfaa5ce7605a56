"""A mail on its way into the store: addressed, mostly described, not yet committed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from mairust_core.model.blob import Content
from mairust_core.model.content import KeptFacts, Unread
from mairust_core.model.ids import Id
from mairust_core.model.job import NewJob
from mairust_core.model.mailbox import INBOX
from mairust_core.model.receipt import Receipt

Hidden = tuple[tuple[int, int], ...]
"""Byte ranges of the blob that no rendering shows (rule B2)."""


NO_METADATA: Mapping[str, object] = {}


class Copy(NamedTuple):
    """One account's copy of a mail, and where it goes; `size_bytes` is that of its CRLF rendering.

    It travels as it is but for its two ids, which come first (`receive/parcels.py`); so does `Trace`.
    """

    id: Id
    account_id: int
    size_bytes: int
    address: str = ""
    """The recipient as addressed, which is no correspondent of its own mail."""
    mailbox: str = INBOX
    trace_headers: bytes = b""
    hidden: Hidden = ()
    flags: int = 0
    keywords: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, object] = NO_METADATA
    over_quota: bool = False
    """True when an account with any room left takes it whole: others share the reply with it (trap S5)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """That a mail comes from an import, as which of the equal ones in its mailbox (rule I1).

    It is stored only while the ledger counts fewer than `copy`, or `again`; with one copy to a delivery.
    """

    copy: int
    again: bool = False


class Trace(NamedTuple):
    """The story of one accepted mail up to its commit; a row in the same transaction (rule J3)."""

    id: Id
    at_ms: int
    road: str
    client_ip: str | None
    helo: str
    mail_from: str
    rcpt_to: tuple[tuple[str, tuple[int, ...]], ...]
    events: tuple[dict[str, object], ...] = ()


class CallRows(NamedTuple):
    """What is kept of the questions about a mail, to be written with it: who saw it is never lost (B-5).

    Rows of the tables `hook_log` and `plugin_access` in the order of their columns. Those end with a trace, a
    message and a recipient, these with an account, a trace and None, where that account's message belongs.
    """

    log: Sequence[tuple[Any, ...]] = ()
    accesses: Sequence[tuple[Any, ...]] = ()


NO_CALLS = CallRows()


@dataclass(frozen=True, slots=True, kw_only=True)
class Later:
    """A job that is made with one of the copies of a delivery, in the same transaction, and not without it.

    The job's payload is given `message`, the id of the copy, and `place`, its mailbox and UID.
    """

    id: Id
    copy: Id
    job: NewJob
    delay_ms: int = 0


class Delivery(NamedTuple):
    """Everything that one transaction writes for one mail; `kept` None when it could not be described,
    or while its facts are left.
    """

    tenant_id: int
    content: Content
    kept: KeptFacts | None
    copies: tuple[Copy, ...]
    received_ms: int
    trace: Trace | None = None
    facts_left: bool = False
    """Whether they are still to be found, by whoever commits it; there is no bare LF in its content then."""
    unread: Unread | None = None
    """Where the preview is that `kept` came without, until it is read."""
    snippet: str | None = None
    """What a plugin was shown as the preview, until it is committed; nothing is read for it then."""
    once: bool = False
    """True for the pipe, whose repetitions within a day are stored once (rule C4)."""
    counted: Counted | None = None
    calls: CallRows = NO_CALLS
    later: tuple[Later, ...] = ()
    receipt: Receipt | None = None
    """Stored with the first copy's id, so that the request that brought the mail can be repeated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What a commit made of a delivery: the message id of each copy, in order.

    Of an import, none when the ledger counts it already.
    """

    ids: tuple[Id, ...]
    without_calls: bool = False
    """Whether the database did not take what was asked about the mail, which is stored all the same."""
