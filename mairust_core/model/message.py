"""Messages as the API and the CLI show them (contract §3)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from mairust_core.model.content import Eol
from mairust_core.model.forms import wire_names
from mairust_core.model.ids import Id


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """A name and address from a header field; either may be empty."""

    name: str
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A part a reader would offer to save; `number` addresses it under `attachments/{n}`."""

    number: int
    part: str
    filename: str
    content_type: str
    size: int


@wire_names
@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """One message in one mailbox, as a list shows it.

    `size` is in bytes, of the CRLF form with trace headers (rule B2). Once it is deleted, `deleted_at` says
    when, `mailbox` where it was, and `uid` is 0.
    """

    id: Id
    account: str
    mailbox: str
    uid: int
    size: int
    received_at: datetime
    date: datetime | None
    from_: tuple[Party, ...]
    to: tuple[Party, ...]
    cc: tuple[Party, ...]
    subject: str
    message_id: str
    thread_id: Id
    flags: tuple[str, ...]
    tags: tuple[str, ...]
    preview: str
    has_attachments: bool
    deleted_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageRef:
    """A message that was changed by a caller without `read`, who is told nothing else of it."""

    id: Id


@wire_names
@dataclass(frozen=True, slots=True, kw_only=True)
class Changed(Summary):
    """One message behind a change of it: its summary, and `metadata`, which no list shows."""

    # an older server tells none; without a default its answer would be taken for a `MessageRef`
    metadata: dict[str, Any] = field(default_factory=dict)


@wire_names
@dataclass(frozen=True, slots=True, kw_only=True)
class Message(Changed):
    """One message with its headers and attachment list; `sha256` is that of the bytes as they came."""

    headers: tuple[tuple[str, str], ...]
    attachments: tuple[Attachment, ...]
    original_size: int
    sha256: str
    eol: Eol
    modseq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Deleted:
    """A message that was deleted; `undelete_until` null when it is gone for good."""

    id: Id
    removed: bool = True
    undelete_until: datetime | None = None
