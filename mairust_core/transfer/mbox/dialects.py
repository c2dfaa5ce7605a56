"""How an mbox is written: what parts its messages, and how lines that look like that are disguised.

    mboxo     `From ` in a message was written `>From `; what was `>From ` before cannot be told any more
    mboxrd    every `>*From ` got one more `>`: the way back is exact
    mboxcl    as mboxo, and `Content-Length` says how long a message is
    mboxcl2   `Content-Length`, and nothing is disguised

A `Content-Length` is believed where the next message, or the end, really follows; lies are frequent. Nothing
in a file tells mboxo from mboxrd, so that lines stay as they lie there unless somebody says mboxrd; then
every line that begins with `From ` parts messages.
RFC 4155 and https://jdebp.uk/FGA/mail-mbox-formats.html tell more.
"""

from __future__ import annotations

import re
from enum import StrEnum

from mairust_core.mime.fields import Fields, header_end
from mairust_core.transfer.dates import postmark_date


class Dialect(StrEnum):
    """How one mbox is written."""

    MBOXO = "mboxo"
    MBOXRD = "mboxrd"
    MBOXCL = "mboxcl"
    MBOXCL2 = "mboxcl2"


MARK = b"From "
"""What every line that parts messages begins with."""
BOM = b"\xef\xbb\xbf"
_QUOTED = re.compile(rb"^>(?=>*From )", re.MULTILINE)
_TO_QUOTE = re.compile(rb"^(?=>*From )", re.MULTILINE)
_LONE_SENDER = re.compile(rb"From [^\s]+\s*")
_NETSCAPE = re.compile(rb"From -\s*")
_FIELD = re.compile(rb"[!-9;-~]+[ \t]*:|>From ")


def begins_mbox(start: bytes | bytearray) -> bool:
    """Whether a file is an mbox, by its unpacked content behind a byte order mark and empty lines."""
    return start.startswith(MARK)


def is_postmark(line: bytes, *, after_blank: bool, next_line: bytes) -> bool:
    """Whether a line that begins with `From ` parts two messages, rather than being text of one.

    It has a date, and stands behind an empty line or in front of a header field; or it has nothing but a
    sender, and both. `From -` is what Netscape's descendants write.
    """
    headed = _FIELD.match(next_line) is not None
    if postmark_date(line) is not None:
        return after_blank or headed
    if _NETSCAPE.fullmatch(line):
        return headed
    return after_blank and headed and _LONE_SENDER.fullmatch(line) is not None


def unquote(raw: bytes) -> bytes:
    """Whole lines of a message as they were before mboxrd."""
    return _QUOTED.sub(b"", raw) if b">From " in raw else raw


def quote(raw: bytes) -> bytes:
    """Whole lines of a message as mboxrd writes them."""
    return _TO_QUOTE.sub(b">", raw) if MARK in raw else raw


def content_length(message: bytes) -> tuple[int, int] | None:
    """Where the body of a message begins and how long it says it is; `message` is its beginning."""
    end = header_end(message, 0, len(message))
    value = Fields(message[:end]).get(b"content-length")
    if value is None or not value.isdigit() or len(value) > 12:
        return None
    return end, int(value)


def fits(data: bytes | bytearray, stop: int) -> bool:
    """Whether another message, or nothing more, follows at `stop`."""
    if stop > len(data):
        return False
    behind = data[stop : stop + 16]
    rest = behind.lstrip(b"\r\n")
    if not rest:
        return len(behind) < 16
    on_line = len(rest) < len(behind) or data[stop - 1 : stop] in (b"\n", b"\r")
    return on_line and rest.startswith(MARK)
