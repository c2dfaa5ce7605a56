"""When a message was received: what its file, its `From ` line or its `Received` field says."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime

from mairust_core.ids import to_time
from mairust_core.mime.dates import parse_date
from mairust_core.mime.fields import MAX_HEADER_BYTES, Fields, header_end

HEAD_BYTES = 64 << 10
"""How much of a message is looked at first for its fields, which most have there."""

# From SENDER Thu Nov 26 10:00:00 [ZONE] 2026 [ZONE]: asctime, which RFC 4155 wants in UTC
_POSTMARK = re.compile(
    rb"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),?\s+(?:([A-Z][a-z]{2})\s+(\d{1,2})|(\d{1,2})\s+([A-Z][a-z]{2}))\s+"
    rb"(?:(\d{4})\s+)?(\d{1,2}:\d\d(?::\d\d)?)(?:\s+([A-Z]{3,4}|[+-]\d{4}))?(?:\s+[A-Z]{3,4})?"
    rb"(?:\s+(\d{4}))?(?:\s*([+-]\d{4}|[A-Z]{3,4}))?"
)


def header_of(head: Callable[[int], bytes]) -> bytes:
    """The fields of a message, of which `head` gives as much as is asked for; empty when they do not end."""
    size = HEAD_BYTES
    while True:
        start = head(size)
        end = header_end(start, 0, len(start))
        if end < len(start) or len(start) < size:
            return start[:end]
        if size >= MAX_HEADER_BYTES:
            return b""
        size *= 4


def postmark_date(line: bytes) -> datetime | None:
    """The date in a `From ` line, None when there is none."""
    found = _POSTMARK.search(line)
    if found is None or not (year := found[5] or found[8]):
        return None
    month, day = found[1] or found[4], found[2] or found[3]
    zone = found[9] or found[7] or b"+0000"
    return parse_date(b" ".join((day, month, year, found[6], zone)).decode("ascii"))


def received_date(head: bytes) -> datetime | None:
    """The date of the topmost `Received` field, else of `Date`; `head` is the beginning of a message."""
    fields = Fields(head[: header_end(head, 0, len(head))])
    received = fields.get(b"received")
    if received is not None and (at := parse_date(_text(received.rpartition(b";")[2]))):
        return at
    date = fields.get(b"date")
    return None if date is None else parse_date(_text(date))


def file_date(mtime_ns: int) -> datetime:
    """The modification time of a file, in whole milliseconds; the nearest of 1970 to 9999."""
    return to_time(max(mtime_ns, 0) // 1_000_000)


def _text(value: bytes) -> str:
    return value.decode("ascii", "replace").strip()
