"""Flags as IMAP has them (RFC 9051 §2.3.2), and tags, which are MaiRust's own."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from mairust_core.errors import Invalid

FLAGS = ("\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft")
"""System flags by bit."""
SEEN = 1
MAX_KEYWORDS = 64
MAX_KEYWORD_LENGTH = 64
MAX_TAGS = 64
MAX_TAG_LENGTH = 64

_BITS = {name.casefold(): 1 << bit for bit, name in enumerate(FLAGS)}
_NEVER_SET = frozenset({"\\deleted", "\\recent"})
_SETTABLE = " ".join(name for name in FLAGS if name.casefold() not in _NEVER_SET)
_ATOM = re.compile(r"[!#$&'+,./0-9:;<=>?@A-Z\[^_`a-z|}~-]+")  # RFC 9051 §9, atom


def parse_flag(text: str) -> str:
    """A flag that may be set or asked for, system flags in their own case; raises `Invalid`."""
    folded = text.casefold()
    if folded in _NEVER_SET:
        raise Invalid("flag", "flag_of_server", value=text)
    if folded in _BITS:
        return FLAGS[_BITS[folded].bit_length() - 1]
    if text.startswith("\\"):
        raise Invalid("flag", "not_system_flag", value=repr(text[:40]), known=_SETTABLE)
    if not _ATOM.fullmatch(text) or len(text) > MAX_KEYWORD_LENGTH:
        raise Invalid("flag", "not_keyword", value=repr(text[:40]), limit=MAX_KEYWORD_LENGTH)
    return text


def parse_flags(texts: Iterable[str]) -> tuple[str, ...]:
    """Flags in order, each once; keywords meet in any case. Raises `Invalid`."""
    found = {flag.casefold(): flag for flag in reversed([parse_flag(text) for text in texts])}
    return tuple(reversed(found.values()))


def split(flags: Iterable[str]) -> tuple[int, tuple[str, ...]]:
    """The bits of the system flags, and the keywords; raises `Invalid` for too many of those."""
    bits, keywords = 0, []
    for flag in flags:
        if bit := _BITS.get(flag.casefold()):
            bits |= bit
        else:
            keywords.append(flag)
    if len(keywords) > MAX_KEYWORDS:
        raise Invalid("flags", "too_many_keywords", limit=MAX_KEYWORDS)
    return bits, tuple(keywords)


def joined(bits: int, keywords: Iterable[str]) -> tuple[str, ...]:
    """System flags by their bits, then the keywords."""
    return (*(name for bit, name in enumerate(FLAGS) if bits >> bit & 1), *keywords)


def changed(flags: Iterable[str], add: Iterable[str], remove: Iterable[str]) -> tuple[str, ...]:
    """Flags without some and with others, in the order they came; a flag meets itself in any case."""
    left = {flag.casefold(): flag for flag in flags}
    for flag in remove:
        left.pop(flag.casefold(), None)
    for flag in add:
        left.setdefault(flag.casefold(), flag)
    return tuple(left.values())


def parse_tag(text: str) -> str:
    """A tag in composed form (NFC); raises `Invalid`."""
    tag = unicodedata.normalize("NFC", text)
    if not tag.isprintable() or tag != tag.strip() or not 1 <= len(tag) <= MAX_TAG_LENGTH:
        raise Invalid("tag", "not_tag", value=repr(text[:80]), limit=MAX_TAG_LENGTH)
    return tag


def parse_tags(texts: Iterable[str]) -> tuple[str, ...]:
    """Tags in order, each once; raises `Invalid`."""
    return limited(tuple(dict.fromkeys(map(parse_tag, texts))))


def limited(tags: tuple[str, ...]) -> tuple[str, ...]:
    """The tags themselves; raises `Invalid` when a message cannot have that many."""
    if len(tags) > MAX_TAGS:
        raise Invalid("tags", "too_many_tags", limit=MAX_TAGS)
    return tags
