"""The rendering of a message: trace headers and blob, minus the hidden fields (rule B2)."""

from __future__ import annotations

import re

from mairust_core.mime.fields import header_end, shown_fields, unfold
from mairust_core.mime.line_ends import Buffer, crlf_size

Ranges = tuple[tuple[int, int], ...]
"""Byte ranges (start, end) of whole fields, line ends and continuation lines included, ascending."""

_HIDEABLE = re.compile(
    rb"\n(authentication-results|return-path)[ \t]*+:([^\n]*+(?:\n[ \t][^\n]*+)*+)", re.IGNORECASE
)
_CFWS = re.compile(rb"[\s\x00]++")
_ID = re.compile(rb'"((?:[^"\\]++|\\.)*+)"?|([^\s;()/="]++)', re.DOTALL)
_COMMENT_MARK = re.compile(rb"\\.|[()]", re.DOTALL)


def hidden_ranges(content: Buffer, authserv_id: str, over_smtp: bool) -> Ranges:
    """Find the fields of the header that every rendering hides (rule B2).

    These are `Authentication-Results` that claim our `authserv_id` (RFC 8601 §2.2, §5) and, when the
    mail came over SMTP, any `Return-Path` (RFC 5321 §4.4). Offsets are into the bytes given.
    """
    block = b"\n" + content[: header_end(content, 0, len(content))]
    found = []
    for field in _HIDEABLE.finditer(block):
        name, value = field.groups()
        if _is_hidden(name, value, authserv_id, over_smtp):
            has_line_end = block.startswith(b"\n", field.end())
            # one less, for the line end that was put before the header
            found.append((field.start(), field.end() - 1 + has_line_end))
    return tuple(found)


def _is_hidden(name: bytes, value: bytes, authserv_id: str, over_smtp: bool) -> bool:
    if name.lower() == b"return-path":
        return over_smtp
    return _claims(unfold(value), authserv_id)


def _claims(value: bytes, authserv_id: str) -> bool:
    """Tell whether the field begins, after comments, with that authserv-id (any case, quoted or not)."""
    found = _ID.match(value, _after_cfws(value))
    if found is None:
        return False
    written = re.sub(rb"\\(.)", rb"\1", found[1]) if found[1] is not None else found[2]
    return _folded(written.decode("utf-8", "replace")) == _folded(authserv_id)


def _folded(authserv_id: str) -> str:
    """Return an id as compared: lower case, A-label form, no final dot."""
    folded = authserv_id.strip().rstrip(".").casefold()
    if folded.isascii():
        return folded
    try:
        return folded.encode("idna").decode("ascii")
    except UnicodeError:
        return folded


def _after_cfws(value: bytes) -> int:
    """Return the offset after leading white space and comments (RFC 5322 §3.2.2)."""
    at = 0
    while True:
        if space := _CFWS.match(value, at):
            at = space.end()
        elif value[at : at + 1] == b"(":
            at = _after_comment(value, at)
        else:
            return at


def _after_comment(value: bytes, at: int) -> int:
    depth = 0
    for mark in _COMMENT_MARK.finditer(value, at):
        depth += (mark.group() == b"(") - (mark.group() == b")")
        if depth == 0:
            return mark.end()
    return len(value)


def render(trace: bytes, content: Buffer, hidden: Ranges) -> bytes:
    """Return the message as clients get it; line ends are as they came."""
    return b"".join([trace, *_shown(content, hidden)])


def rendered_size(trace: bytes, crlf_size_bytes: int, hidden: Ranges, content: Buffer) -> int:
    """Return the size in bytes of the CRLF form of the rendering, given that of the content."""
    cut = sum(crlf_size(content[start:end]) for start, end in hidden) if hidden else 0
    return crlf_size(trace) + crlf_size_bytes - cut


def headers(content: Buffer, hidden: Ranges = ()) -> list[tuple[str, str]]:
    """Return the fields in order: unfolded, encoded words as they are, other bytes as U+FFFD (rule F1).

    UTF-8 is text (RFC 6532); what is none, and NUL, becomes U+FFFD.
    """
    end = header_end(content, 0, len(content))
    return shown_fields(b"".join(_shown(content, hidden, end)))


def _shown(content: Buffer, hidden: Ranges, end: int | None = None) -> list[bytes]:
    """Return what lies between the hidden ranges, up to `end`."""
    pieces, at = [], 0
    for start, stop in hidden:
        pieces.append(content[at:start])
        at = stop
    pieces.append(content[at : len(content) if end is None else end])
    return pieces
