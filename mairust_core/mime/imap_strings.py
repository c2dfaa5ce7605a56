"""Strings as IMAP sends them (RFC 9051 §4.3): quoted where allowed, else a literal."""

from __future__ import annotations

import re
from collections.abc import Sequence

quotable = re.compile(rb"[\t\x20\x21\x23-\x5b\x5d-\x7e]*+").fullmatch
_ESCAPABLE = re.compile(rb"[\t\x20-\x7e]*+")
_SPECIAL = re.compile(rb'(["\\])')


def string(value: bytes) -> bytes:
    """Return a quoted string, or a literal for octets that none may hold; NUL, which nothing may, goes."""
    if quotable(value):
        return b'"' + value + b'"'
    if _ESCAPABLE.fullmatch(value):
        return b'"%b"' % _SPECIAL.sub(rb"\\\1", value)
    value = value.replace(b"\0", b"")
    return b"{%d}\r\n%b" % (len(value), value)


def nstring(value: bytes | None) -> bytes:
    """Return NIL for None, else the string."""
    if value is None:
        return b"NIL"
    return b'"' + value + b'"' if quotable(value) else string(value)


def parameter_list(found: Sequence[tuple[bytes, bytes]]) -> bytes:
    """Return names and values in parentheses, NIL when there are none."""
    if not found:
        return b"NIL"
    return b"(%b)" % b" ".join([b"%b %b" % (string(name), string(value)) for name, value in found])
