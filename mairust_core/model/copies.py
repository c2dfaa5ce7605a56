"""Copies of mail on their way in from elsewhere, and out again (contract §1, rule I1)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache

from mairust_core.errors import Invalid
from mairust_core.model.flags import parse_copied
from mairust_core.model.forms import request
from mairust_core.model.ids import Id
from mairust_core.model.mailbox import QUARANTINE, mailbox_name

MAX_HASHES = 5000

_SHA256 = re.compile(r"[0-9a-f]{64}")


@lru_cache(maxsize=4096)
def target_name(name: str) -> str:
    """The mailbox that is meant, by the rules of those that are created; raises `Invalid`.

    INBOX and Quarantine may be meant, too: an import fills what is there.
    """
    if name.casefold() == QUARANTINE.casefold():
        return QUARANTINE
    return mailbox_name("mailbox", name)


def require_sha256(text: str) -> None:
    """Raise `Invalid` for what is no SHA-256 in hexadecimal."""
    if _SHA256.fullmatch(text) is None:
        raise Invalid("sha256", "not_hash", value=repr(text[:80]))


@request
@dataclass(frozen=True, slots=True, kw_only=True)
class NewCopy:
    """One message of an import: where it goes and what is known of it besides its bytes.

    `copy` says which copy of these bytes in this mailbox it is within the whole source, from 1; it is
    added when the ledger counts fewer (rule I1). `flags` are system flags and keywords.
    """

    mailbox: str
    sha256: str
    received_at: datetime
    copy: int = 1
    flags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "mailbox", target_name(self.mailbox))
        require_sha256(self.sha256)
        if not 1 <= self.copy < 1 << 31:
            raise Invalid("copy", "not_ordinal", value=self.copy)
        if self.received_at.tzinfo is None:
            raise Invalid("received_at", "no_time_zone")
        object.__setattr__(self, "flags", parse_copied(self.flags))


class Outcome(StrEnum):
    """What became of one message of an import."""

    IMPORTED = "imported"
    SKIPPED = "skipped"
    """The ledger counts it already."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedCopy:
    """What became of one message, in the order they came; `code` and `why` of one that failed.

    `detail` and `values` say the same for programs that have texts of their own.
    """

    outcome: Outcome
    id: Id | None = None
    code: str = ""
    why: str = ""
    detail: str = ""
    values: dict[str, str] | None = None


@request
@dataclass(frozen=True, slots=True, kw_only=True)
class AskedCopies:
    """Contents of one mailbox by SHA-256, of which the ledger is asked."""

    mailbox: str
    sha256: tuple[str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "mailbox", target_name(self.mailbox))
        if len(self.sha256) > MAX_HASHES:
            raise Invalid("sha256", "too_many_asked", limit=MAX_HASHES)
        for one in self.sha256:
            require_sha256(one)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownCopies:
    """How many copies of each content were imported before, in the order asked; what is larger is refused."""

    copies: tuple[int, ...]
    max_size_bytes: int | None = None


@request
@dataclass(frozen=True, slots=True, kw_only=True)
class NewFolders:
    """Mailboxes that shall be there, and which of all mailboxes are subscribed to (RFC 9051 §6.3.7)."""

    mailboxes: tuple[str, ...] = ()
    subscribed: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "mailboxes", tuple(map(target_name, self.mailboxes)))
        object.__setattr__(self, "subscribed", tuple(map(target_name, self.subscribed)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Folders:
    """The mailboxes of an account, INBOX first, and those subscribed to."""

    mailboxes: tuple[str, ...]
    subscribed: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedCopy:
    """One message of an export, in front of its bytes; `why` says why there are none (trap D6)."""

    id: Id
    mailbox: str
    uid: int
    received_at: datetime
    flags: tuple[str, ...]
    why: str = ""


@dataclass(slots=True, kw_only=True)
class Tally:
    """How far a run of an import or an export is."""

    done: int = 0
    skipped: int = 0
    failed: int = 0
    size_bytes: int = 0
    """Of what was done."""
    mailbox: str = ""
    """The one that it is at."""

    @property
    def messages(self) -> int:
        """How many were dealt with."""
        return self.done + self.skipped + self.failed


@dataclass(frozen=True, slots=True, kw_only=True)
class MovedIn:
    """What an import came to; `bytes` are those of the messages imported."""

    imported: int
    skipped: int
    failed: int
    bytes: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MovedOut:
    """What an export came to; `failed` are damaged and were left out."""

    exported: int
    failed: int
    bytes: int
    seconds: float
