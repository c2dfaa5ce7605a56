"""The rendering of a message: trace headers and blob, minus the hidden fields (rule B2)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from mairust_core.mime.fields import header_end, shown_fields, unfold
from mairust_core.mime.line_ends import Buffer, crlf_size

Ranges = tuple[tuple[int, int], ...]
"""Byte ranges (start, end) of whole fields, line ends and continuation lines included, ascending."""

MAX_HIDDEN = 100
"""Ranges beyond this are not looked for: who makes so many wants them stored, not read."""
MAX_RESULTS = 50
"""So many `Authentication-Results` are looked at; further ones count as ours."""
_HEAD_BYTES = 1024
"""Of a value: an authserv-id stands at its beginning and has at most 255 octets."""
_MAX_ID = 255
_MAX_MARKS = 64
"""Parentheses before an id."""

_HIDEABLE = re.compile(
    rb"\n(?:(return-path)|authentication-results)[ \t]*+:([^\n]*+(?:\n[ \t][^\n]*+)*+)", re.IGNORECASE
)
_SPACE = re.compile(rb"[\s\x00]*+")
_IN_COMMENT = re.compile(rb"(?:[^()\\]++|\\.?)*+", re.DOTALL)
_ID = re.compile(rb'"((?:[^"\\]++|\\.)*+)\\?"?|([^\s;()/="]++)', re.DOTALL)
_DOTS = str.maketrans("\u3002\uff0e\uff61", "...")
"""What else parts labels (RFC 3490 §3.1)."""


def hidden_ranges(content: Buffer, authserv_id: str, over_smtp: bool) -> Ranges:
    """Find the fields of the header that every rendering hides (rule B2).

    These are `Authentication-Results` that claim our `authserv_id` (RFC 8601 §2.2, §5) and, when the
    mail came over SMTP, any `Return-Path` (RFC 5321 §4.4). Offsets are into the bytes given; fields that
    follow each other are one range. More than `MAX_HIDDEN` ranges say that there are others, too.
    """
    block = b"\n" + content[: header_end(content, 0, len(content))]
    found: list[tuple[int, int]] = []
    for start, end in _forged(block, _folded(authserv_id), over_smtp):
        if found and found[-1][1] == start:
            found[-1] = (found[-1][0], end)
        elif len(found) <= MAX_HIDDEN:
            found.append((start, end))
        else:
            break
    return tuple(found)


def _forged(block: bytes, ours: str, over_smtp: bool) -> Iterator[tuple[int, int]]:
    """Yield each hidden field of a header that a line end was put before."""
    results = 0
    for field in _HIDEABLE.finditer(block):
        if field.start(1) >= 0:
            hidden = over_smtp
        else:
            results += 1
            hidden = results > MAX_RESULTS or _claims(block, *field.span(2), ours)
        if hidden:
            has_line_end = block.startswith(b"\n", field.end())
            yield field.start(), field.end() - 1 + has_line_end  # one less, for the line end before it


def _claims(block: bytes, start: int, end: int, ours: str) -> bool:
    """Tell whether a value begins, after comments, with our authserv-id (any case, quoted or not).

    So does one whose id cannot be found with little work: nobody but a forger writes such.
    """
    is_cut = end - start > _HEAD_BYTES
    head = unfold(block[start : start + _HEAD_BYTES] if is_cut else block[start:end])
    at = _after_cfws(head)
    if at is None:
        return True
    found = _ID.match(head, at)
    if is_cut and (found is None or found.end() == len(head)):
        return True
    if found is None:
        return False
    written = re.sub(rb"\\(.)", rb"\1", found[1]) if found[1] is not None else found[2]
    return _is_ours(written.decode("utf-8", "replace"), ours)


def _is_ours(written: str, ours: str) -> bool:
    plain = _plain(written if len(written) > _MAX_ID else unicodedata.normalize("NFKC", written))
    if plain.isascii() or plain.count(".") != ours.count("."):
        return plain == ours
    return len(plain) > _MAX_ID or _folded(plain) == ours  # to convert a long one takes long


def _folded(authserv_id: str) -> str:
    """Return an id as compared: lower case, A-label form, no final dot."""
    plain = _plain(authserv_id)
    try:
        return plain if plain.isascii() else plain.encode("idna").decode("ascii")
    except UnicodeError:
        return plain


def _plain(authserv_id: str) -> str:
    return authserv_id.translate(_DOTS).strip().rstrip(".").casefold()


def _after_cfws(value: bytes) -> int | None:
    """Return the offset after leading white space and comments (RFC 5322 §3.2.2); None if there are many."""
    at = depth = 0
    for _ in range(_MAX_MARKS):
        skipped = (_IN_COMMENT if depth else _SPACE).match(value, at)
        assert skipped
        at = skipped.end()
        mark = value[at : at + 1]
        if mark == b"(":
            depth += 1
        elif mark == b")" and depth:
            depth -= 1
        else:
            return at
        at += 1
    return None


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
