"""Facts of a content: what some bytes say, whoever receives them (rule A1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    from datetime import datetime

Eol = Literal["crlf", "lf", "mixed"]
PreviewSource = Literal["plain", "html", ""]

SNIPPET_CHARACTERS = 256
"""How much of the preview a list shows, and the store keeps."""
SNIPPET_BYTES = 3 * SNIPPET_CHARACTERS


MAX_ID_OCTETS = 998
"""A longer message id is none: no header line may hold it (RFC 5322 §2.1.1), and no index of PostgreSQL."""


class TextAt(NamedTuple):
    """Where the text of a part lies in its content, and how it is written there."""

    start: int
    end: int
    encoding: bytes
    charset: str
    """As labelled, empty when it is not."""
    is_html: bool


class Unread(NamedTuple):
    """Where the preview begins, of facts that came without it: in the first text part of each kind."""

    plain: TextAt | None
    html: TextAt | None
    cut: bool = False
    """What looks like one text may be more: its header or its parts were not looked at to the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Correspondent:
    """One mailbox of an address field: decoded display name and address as written (RFC 5322 §3.4).

    `name` is empty when none was given; `address` has no `@` when the sender wrote none.
    """

    name: str
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachmentFact:
    """One leaf part that is not body text.

    `part` is the IMAP part number ("2.1"), `filename` the decoded name as the sender wrote it, never a
    safe path; `size_bytes` estimates the decoded size; `disposition` is "attachment", "inline", "" or
    what was written; `content_id` has no angle brackets.
    """

    part: str
    filename: str
    content_type: str
    size_bytes: int
    disposition: str
    content_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that is known of a content without reading it again.

    Sizes: `size_bytes` is that of the bytes given; every other size, `envelope` and `bodystructure`
    are of the CRLF form (rule B2). `date` is aware and UTC, or None when missing or nonsense.
    Message ids keep their angle brackets (`msg-id`, RFC 5322 §3.6.4). Text holds no NUL and no
    surrogate (rule C4), header text no control character.
    """

    size_bytes: int
    crlf_size_bytes: int
    eol: Eol
    header_size_bytes: int
    received_count: int
    subject: str
    base_subject: str
    is_reply_or_forward: bool
    from_: tuple[Correspondent, ...]
    sender: tuple[Correspondent, ...]
    reply_to: tuple[Correspondent, ...]
    to: tuple[Correspondent, ...]
    cc: tuple[Correspondent, ...]
    bcc: tuple[Correspondent, ...]
    date: datetime | None
    message_id: str
    in_reply_to: tuple[str, ...]
    references: tuple[str, ...]
    preview: str
    preview_source: PreviewSource
    preview_truncated: bool
    has_html: bool
    attachments: tuple[AttachmentFact, ...]
    has_attachments: bool
    envelope: bytes
    bodystructure: bytes


class KeptFacts(NamedTuple):
    """Facts as the store keeps them, as plain values; text of columns is cleaned (rule C4).

    The first of them are columns of the table `content`, in its order; by the others a mail finds its thread.
    """

    crlf_size_bytes: int
    header_size_bytes: int
    eol: str
    described: bool
    """Whether there are any facts."""
    date_ms: int | None
    subject: str
    message_id: str
    snippet: str
    """The beginning of the preview; empty until it is read."""
    has_attachments: bool
    facts: str
    """JSON: parties, references, attachments."""
    envelope: bytes
    bodystructure: bytes
    own_keys: tuple[int, ...] = ()
    """The hash of its own message id, if it has one."""
    parent_keys: tuple[int, ...] = ()
    """Hashes of the ids that it answers, the nearest first."""
    base_subject: str = ""
    """Case-folded, as are the addresses; of these the first of each kind."""
    is_reply_or_forward: bool = False
    senders: tuple[str, ...] = ()
    receivers: tuple[str, ...] = ()


class Description(Protocol):
    """What is in a mail, found as far as somebody asks for it."""

    @property
    def facts_left(self) -> bool:
        """Whether nobody has asked for the facts yet."""
        ...

    @property
    def facts(self) -> Facts | None:
        """All facts; None when it cannot be described."""
        ...

    @property
    def text(self) -> Unread | None:
        """Where the preview begins, if that is known."""
        ...

    @property
    def header_size_bytes(self) -> int | None:
        """Of the header, if that is known."""
        ...

    @property
    def received_count(self) -> int:
        """How many `Received` fields there are, none when it cannot be described."""
        ...

    @property
    def crlf_size_bytes(self) -> int | None:
        """Of the CRLF form; None when it cannot be described."""
        ...


@dataclass(frozen=True, slots=True)
class WholeDescription:
    """`Description` of which all is known: the facts, or that there are none."""

    facts: Facts | None
    text: Unread | None = None

    @property
    def facts_left(self) -> bool:
        """No: they are here."""
        return False

    @property
    def header_size_bytes(self) -> int | None:
        """Of the header."""
        return None if self.facts is None else self.facts.header_size_bytes

    @property
    def received_count(self) -> int:
        """How many `Received` fields there are."""
        return 0 if self.facts is None else self.facts.received_count

    @property
    def crlf_size_bytes(self) -> int | None:
        """Of the CRLF form."""
        return None if self.facts is None else self.facts.crlf_size_bytes
