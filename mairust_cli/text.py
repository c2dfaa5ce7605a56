"""Text for a terminal: nothing that moves the cursor or turns the line around, columns that line up."""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime

from mairust_core.i18n import Wording

_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # control characters, escape among them
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # bidi marks, embeddings, overrides, isolates
    "\u2028\u2029\ufeff\ud800-\udfff]"
)
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def clean(text: str) -> str:
    """One line without control and bidi characters; each run of white space is one space (trap T3)."""
    return " ".join(_UNSAFE.sub("", " ".join(text.split())).split())


def clean_lines(text: str) -> list[str]:
    """The lines of a text as they are laid out, without control and bidi characters (trap T3)."""
    return [_UNSAFE.sub("", line.expandtabs()).rstrip() for line in text.split("\n")]


def width(text: str) -> int:
    """How many columns a terminal gives a text: wide characters take two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(_width(character) for character in text)


def _width(character: str) -> int:
    if unicodedata.category(character) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def pad(text: str, columns: int, *, right: bool = False) -> str:
    """The text filled up to a width; `right` puts it at the right edge."""
    fill = " " * max(0, columns - width(text))
    return fill + text if right else text + fill


def crop(text: str, columns: int) -> str:
    """The text as far as it fits into a width, with an ellipsis where something was left out."""
    if width(text) <= columns:
        return text
    taken, used = [], 0
    for character in text:
        used += _width(character)
        if used > columns - 1:
            break
        taken.append(character)
    return "".join(taken).rstrip() + "…" if columns > 0 else ""


def size(size_bytes: int | None) -> str:
    """A number of bytes for people, as 1.5 MiB."""
    if size_bytes is None:
        return "-"
    value, unit = float(size_bytes), 0
    while value >= 1024 and unit < len(_UNITS) - 1:
        value, unit = value / 1024, unit + 1
    return f"{size_bytes} B" if unit == 0 else f"{value:.1f} {_UNITS[unit]}"


def moment(at: datetime | None) -> str:
    """A time for people, in UTC to the second."""
    return "-" if at is None else f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%SZ}"


def yes_no(value: bool) -> Wording:
    """A truth value for people."""
    return Wording("word.yes" if value else "word.no")
