"""What is known of an mbox's messages besides their bytes: status fields in them, and our list beside it.

An export writes messages byte for byte, so flags and exact dates have no place in the mbox itself. They are
in `NAME.mbox.flags`: a line of JSON for the file, then one for each message, in order. The list counts only
while the mbox has the size it tells.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mairust_core.mime.fields import Fields, header_end
from mairust_core.transfer.mbox.dialects import Dialect
from mairust_core.transfer.opening import open_plain
from mairust_core.transfer.source import Unusable

SUFFIX = ".flags"
MAX_BESIDE_BYTES = 256 << 20
MAX_HEAD_BYTES = 64 << 10

_NONSENSE = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)
"""What a list may raise that somebody else wrote: lists within lists, times beyond the calendar."""

_STATUS = {b"R": "\\Seen"}
_X_STATUS = {b"A": "\\Answered", b"F": "\\Flagged", b"T": "\\Draft", b"D": "\\Deleted"}
_MOZILLA = {0x1: "\\Seen", 0x2: "\\Answered", 0x4: "\\Flagged", 0x8: "\\Deleted", 0x1000: "$Forwarded"}


def status_flags(head: bytes) -> tuple[str, ...]:
    """Flags in the fields `Status`, `X-Status`, `X-Keywords`, `X-Mozilla-Status` and `X-Mozilla-Keys`.

    The last two, Thunderbird's, count for nothing where a server writes the others, with `X-UID`.
    """
    fields = Fields(head[: header_end(head, 0, len(head))])
    found = dict[str, None]()
    for name, letters in ((b"status", _STATUS), (b"x-status", _X_STATUS)):
        value = fields.get(name) or b""
        found |= dict.fromkeys(flag for letter, flag in letters.items() if letter in value)
    by_server = fields.get(b"status") is not None and fields.get(b"x-uid") is not None
    for name in (b"x-keywords",) if by_server else (b"x-keywords", b"x-mozilla-keys"):
        found |= dict.fromkeys(_keywords(fields.get(name) or b""))
    bits = b"" if by_server else fields.get(b"x-mozilla-status") or b""
    if len(bits) == 4 and bits.isalnum() and all(digit in b"0123456789abcdefABCDEF" for digit in bits):
        found |= dict.fromkeys(flag for bit, flag in _MOZILLA.items() if int(bits, 16) & bit)
    return tuple(found)


def _keywords(value: bytes) -> Iterable[str]:
    for keyword in value.replace(b",", b" ").split():
        if keyword.isascii() and keyword[:1].isalnum() | keyword.startswith(b"$"):
            yield keyword.decode("ascii")


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """What the list beside an mbox says of one message."""

    received_at: datetime
    flags: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """The list beside an mbox of our own."""

    dialect: Dialect
    messages: tuple[Noted, ...]


def beside_path(mbox: Path) -> Path:
    """Where the list of an mbox lies."""
    return mbox.with_name(mbox.name + SUFFIX)


def read_beside(mbox: Path, size_bytes: int) -> Beside | None:
    """The list beside an mbox of this size; None without one that fits."""
    try:
        with open_plain(beside_path(mbox)) as file:
            first, *lines = file.read(MAX_BESIDE_BYTES).splitlines()
        about = json.loads(first)
        if about["size"] != size_bytes or about["messages"] != len(lines):
            return None
        return Beside(dialect=Dialect(about["dialect"]), messages=tuple(map(_noted, lines)))
    except (OSError, *_NONSENSE, Unusable):
        return None


def _noted(line: bytes) -> Noted:
    found = json.loads(line)
    received_at = datetime.fromisoformat(found["received_at"]).astimezone(UTC)
    return Noted(received_at=received_at, flags=tuple(map(str, found["flags"])))


def read_record(mbox: Path) -> str:
    """The mailbox that the list beside an mbox names where the file's name could not; else nothing."""
    try:
        with open_plain(beside_path(mbox)) as file:
            return str(json.loads(file.readline(MAX_HEAD_BYTES)).get("mailbox", ""))
    except (OSError, *_NONSENSE, Unusable):
        return ""


def beside_lines(
    size_bytes: int, dialect: Dialect, messages: Iterable[Noted], mailbox: str = ""
) -> Iterable[str]:
    """The lines of the list, each with its line end; `mailbox` where the file's name does not tell."""
    noted = list(messages)
    about: dict[str, Any] = {"size": size_bytes, "dialect": dialect.value, "messages": len(noted)}
    yield _line(about | ({"mailbox": mailbox} if mailbox else {}))
    for one in noted:
        yield _line({"received_at": one.received_at.isoformat(), "flags": one.flags})


def _line(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False) + "\n"
