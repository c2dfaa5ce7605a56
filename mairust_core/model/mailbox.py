"""Mailboxes."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256

from mairust_core.errors import Invalid
from mairust_core.model.forms import request

INBOX = "INBOX"
QUARANTINE = "Quarantine"
SEPARATOR = "/"
MAX_NAME_OCTETS = 255
MAX_LEVELS = 16
_HASH_OCTETS = 8

_UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff%*]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mailbox:
    """A mailbox as IMAP STATUS tells it (RFC 9051 §6.3.11)."""

    name: str
    messages: int
    unseen: int
    uidvalidity: int
    uidnext: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MailboxRef:
    """A mailbox that was renamed by a caller without `read`, who is told nothing of what is in it."""

    name: str


@request
@dataclass(frozen=True, slots=True, kw_only=True)
class NewMailbox:
    """What is needed to create a mailbox; levels stand between slashes."""

    name: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", changeable("name", mailbox_name("name", self.name)))


@request
@dataclass(frozen=True, slots=True, kw_only=True)
class MailboxRename:
    """The mailbox that is meant and its new name; what lies below it goes along."""

    name: str
    to: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", changeable("name", folded_inbox(self.name)))
        object.__setattr__(self, "to", changeable("to", mailbox_name("to", self.to)))
        if self.to.startswith(self.name + SEPARATOR):
            raise Invalid("to", "mailbox_inside", value=self.to, mailbox=self.name)


def folded_inbox(name: str) -> str:
    """The name itself, INBOX in capitals: it is the same in any case, also above others (RFC 9051 §5.1)."""
    first, separator, rest = name.partition(SEPARATOR)
    return INBOX + separator + rest if first.upper() == INBOX else name


def mailbox_name(field: str, text: str) -> str:
    """A name under which a mailbox can be made, in composed form (NFC); raises `Invalid` naming `field`."""
    name = folded_inbox(unicodedata.normalize("NFC", text))
    levels = name.split(SEPARATOR)
    if len(name.encode("utf-8", "surrogatepass")) > MAX_NAME_OCTETS or len(levels) > MAX_LEVELS:
        raise Invalid(field, "mailbox_too_long", octets=MAX_NAME_OCTETS, levels=MAX_LEVELS)
    unfit = _UNFIT.search(name) or name.startswith("#")  # a # begins a namespace (RFC 9051 §5.1.2)
    if unfit or any(level != level.strip() or level in {"", ".", ".."} for level in levels):
        raise Invalid(field, "not_mailbox", value=repr(text[:80]))
    return name


@lru_cache(maxsize=4096)
def fitting_name(text: str) -> str:
    """The name under which a folder from elsewhere is kept: its own where that may be, else one like it.

    The same folder always gets the same name, so that an import can be run again. What may not be in a name
    becomes `_`, levels too deep are joined, and one that is too long ends with a part of its SHA-256.
    """
    levels = [_fitting_level(level) for level in unicodedata.normalize("NFC", text).split(SEPARATOR)]
    if len(levels) > MAX_LEVELS:
        levels[MAX_LEVELS - 1 :] = ["_".join(levels[MAX_LEVELS - 1 :])]
    name = unicodedata.normalize("NFC", SEPARATOR.join(levels))
    name = folded_inbox("_" + name[1:] if name.startswith("#") else name)
    encoded = name.encode()
    if len(encoded) > MAX_NAME_OCTETS:
        kept = encoded[: MAX_NAME_OCTETS - _HASH_OCTETS - 1].decode(errors="ignore")
        name = kept.rstrip() + "~" + sha256(encoded).hexdigest()[:_HASH_OCTETS]
    return QUARANTINE if name.casefold() == QUARANTINE.casefold() else name


def _fitting_level(text: str) -> str:
    level = _UNFIT.sub("_", text).strip()
    return "_" * max(len(level), 1) if level in {"", ".", ".."} else level


def changeable(field: str, name: str) -> str:
    """The name itself; raises `Invalid` for the two mailboxes that are always the server's to make."""
    if name == INBOX:
        raise Invalid(field, "mailbox_inbox")
    if name.casefold() == QUARANTINE.casefold():
        raise Invalid(field, "mailbox_quarantine", value=QUARANTINE)
    return name
