"""Flags as IMAP has them (RFC 9051 §2.3.2), and tags, which are MaiRust's own."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from hashlib import sha256

from mairust_core.errors import Invalid

FLAGS = ("\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft")
"""System flags by bit."""
SEEN = 1
MAX_KEYWORDS = 64
MAX_KEYWORD_LENGTH = 64
MAX_TAGS = 64
"""Of one request, and of one plugin (rule F2)."""
MESSAGE_TAGS = 4 * MAX_TAGS
"""Of one message, so that a plugin that sets all it may leaves room for others."""
MAX_TAG_LENGTH = 64
RECENT = "\\Recent"
"""What a session of IMAP sees first; it is stored nowhere (RFC 9051 §2.3.2)."""

_BITS = {name.casefold(): 1 << bit for bit, name in enumerate(FLAGS)}
_NEVER_SET = frozenset({"\\deleted", RECENT.casefold()})
_SETTABLE = " ".join(name for name in FLAGS if name.casefold() not in _NEVER_SET)
_ATOM = re.compile(r"[!#$&'+,./0-9:;<=>?@A-Z\[^_`a-z|}~-]+")  # RFC 9051 §9, atom
_UNFIT = re.compile(r"[^!#$&'+,./0-9:;<=>?@A-Z\[^_`a-z|}~-]")
_HASH_LETTERS = 8


def parse_flag(text: str, field: str = "flag") -> str:
    """A flag that may be set or asked for, system flags in their own case; raises `Invalid`."""
    if text.casefold() in _NEVER_SET:
        raise Invalid(field, "flag_of_server", value=text)
    return _parse(text, field)


def _parse(text: str, field: str = "flag") -> str:
    if is_system_flag(text):
        return FLAGS[_BITS[text.casefold()].bit_length() - 1]
    if text.startswith("\\"):
        raise Invalid(field, "not_system_flag", value=repr(text[:40]), known=_SETTABLE)
    if not _is_keyword(text):
        raise Invalid(field, "not_keyword", value=repr(text[:40]), limit=MAX_KEYWORD_LENGTH)
    return text


def _is_keyword(text: str) -> bool:
    return len(text) <= MAX_KEYWORD_LENGTH and _ATOM.fullmatch(text) is not None


def is_system_flag(text: str) -> bool:
    """Whether it is one of those that messages keep, in any case."""
    return text.casefold() in _BITS


def fitting_keyword(text: str) -> str:
    """The keyword under which one from elsewhere is kept: itself where IMAP can carry it, else one like it.

    What may not be in an atom becomes `_`, and a part of its SHA-256 keeps it apart from others like it: the
    same keyword always becomes the same one.
    """
    if _is_keyword(text):
        return text
    ending = "~" + sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH_LETTERS]
    return _UNFIT.sub("_", text)[: MAX_KEYWORD_LENGTH - len(ending)] + ending


def parse_flags(texts: Iterable[str], field: str = "flags") -> tuple[str, ...]:
    """Flags in order, each once; keywords meet in any case. Raises `Invalid`."""
    return once(parse_flag(text, field) for text in texts)


def parse_copied(texts: Iterable[str]) -> tuple[str, ...]:
    """The flags that a copy from elsewhere brings, `\\Deleted` with them; `\\Recent` is left behind.

    Raises `Invalid`, also for too many keywords.
    """
    flags = once(_parse(text) for text in texts if text.casefold() != RECENT.casefold())
    split(flags)
    return flags


def once(flags: Iterable[str]) -> tuple[str, ...]:
    """Flags in order, each once, in the case it came in first."""
    found = dict[str, str]()
    for flag in flags:
        found.setdefault(flag.casefold(), flag)
    return tuple(found.values())


def split(flags: Iterable[str], most: int = MAX_KEYWORDS) -> tuple[int, tuple[str, ...]]:
    """The bits of the system flags, and the keywords; raises `Invalid` for more than `most` of those."""
    bits, keywords = 0, []
    for flag in flags:
        if bit := _BITS.get(flag.casefold()):
            bits |= bit
        else:
            keywords.append(flag)
    if len(keywords) > most:
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


def require_removable(flags: Iterable[str], remove: Iterable[str]) -> None:
    """Raise `Invalid` for what is neither among the flags nor could be: whatever is there may be removed."""
    held = {flag.casefold() for flag in flags}
    for flag in remove:
        if flag.casefold() not in held:
            parse_flag(flag, "remove_flags")


def parse_tag(text: str, field: str = "tag") -> str:
    """A tag in composed form (NFC); raises `Invalid`."""
    tag = unicodedata.normalize("NFC", text)
    if not tag.isprintable() or tag != tag.strip() or not 1 <= len(tag) <= MAX_TAG_LENGTH:
        raise Invalid(field, "not_tag", value=repr(text[:80]), limit=MAX_TAG_LENGTH)
    return tag


def parse_tags(texts: Iterable[str], field: str = "tags") -> tuple[str, ...]:
    """Tags in order, each once; raises `Invalid`."""
    return limited(tuple(dict.fromkeys(parse_tag(text, field) for text in texts)), field=field)


def limited(tags: tuple[str, ...], most: int = MAX_TAGS, field: str = "tags") -> tuple[str, ...]:
    """The tags themselves; raises `Invalid` for more than that many."""
    if len(tags) > most:
        raise Invalid(field, "too_many_tags", limit=most)
    return tags
