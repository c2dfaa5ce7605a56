"""Date fields, the obsolete and the merely usual forms included (RFC 5322 §3.3, §4.3)."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_DATE = re.compile(
    r"(?:[A-Za-z]+\.?\s*,?\s*)?(\d{1,2})[\s-]+([A-Za-z]{3})[a-z]*\.?,?[\s-]+(\d{2,4}),?\s+"
    r"(\d{1,2})[:.](\d{1,2})(?:[:.](\d{1,2})(?:\.\d+)?)?\s*(?:(?:GMT|UTC?)?([+-]\d{1,4}|[+-]\d\d:\d\d)|([A-Za-z]+))?"
)
_ASCTIME = re.compile(
    r"(?:[A-Za-z]+\s*,?\s+)?([A-Za-z]{3})[a-z]*\s+(\d{1,2})\s*,?\s+(?:(\d{4})\s+)?"
    r"(\d{1,2}):(\d{2})(?::(\d{2}))?(?:\s*([+-]\d{4})|\s+([A-Za-z]+))?(?:\s+(\d{4}))?"
)
_ISO = re.compile(r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d)(?::(\d\d))?(?:\.\d+)?\s*(?:([+-]\d\d:?\d\d)|(Z))?")
_COMMENT = re.compile(r"\([^()]*\)")
_MONTHS = {
    "jan": 1, "feb": 2, "mar": 3, "apr": 4, "may": 5, "jun": 6,
    "jul": 7, "aug": 8, "sep": 9, "oct": 10, "nov": 11, "dec": 12,
}  # fmt: skip
# RFC 5322 §4.3, and the few others that mail still carries; any other name means -0000.
_ZONES = {
    "est": -300, "edt": -240, "cst": -360, "cdt": -300, "mst": -420, "mdt": -360, "pst": -480, "pdt": -420,
    "jst": 540, "kst": 540, "met": 60, "cet": 60, "mest": 120, "cest": 120, "eet": 120, "eest": 180,
    "bst": 60, "msk": 180,
}  # fmt: skip
_MAX_OFFSET_MIN = 24 * 60
_LONGEST = 200


def parse_date(value: str) -> datetime | None:
    """Return the instant as an aware UTC datetime, or None for what is no date; never raises.

    A missing or unknown zone is UTC. Two-digit years follow RFC 5322 §4.3.
    """
    value = value[:_LONGEST]
    if "(" in value:
        value = _COMMENT.sub(" ", value)
    value = value.strip()
    if found := _DATE.match(value):
        day, month, year, hour, minute, second, offset, zone = found.groups()
        return _instant(_year(year), _MONTHS.get(month.lower()), day, (hour, minute, second), offset, zone)
    if found := _ISO.match(value):
        year, month, day, hour, minute, second, offset, zone = found.groups()
        return _instant(int(year), int(month), day, (hour, minute, second), offset, zone)
    if found := _ASCTIME.match(value):
        month, day, early, hour, minute, second, offset, zone, late = found.groups()
        year = early or late
        clock = (hour, minute, second)
        return _instant(_year(year), _MONTHS.get(month.lower()), day, clock, offset, zone) if year else None
    return None


def _year(digits: str) -> int:
    year = int(digits)
    if len(digits) == 4:
        return year
    return year + (2000 if len(digits) == 2 and year < 50 else 1900)


def _instant(
    year: int,
    month: int | None,
    day: str,
    clock: tuple[str, str, str | None],
    offset: str | None,
    zone: str | None,
) -> datetime | None:
    minutes = _offset_min(offset) if offset else _ZONES.get((zone or "").lower(), 0)
    if month is None or abs(minutes) >= _MAX_OFFSET_MIN:
        return None
    second = int(clock[2] or 0)
    if second > 60:
        return None
    try:
        hour, minute = int(clock[0]), int(clock[1])
        local = datetime(
            year, month, int(day), hour, minute, min(second, 59), tzinfo=UTC
        )  # 60: a leap second
        return local - timedelta(minutes=minutes) if minutes else local
    except (ValueError, OverflowError):
        return None


def _offset_min(offset: str) -> int:
    digits = offset[1:].replace(":", "")
    hours, minutes = (digits[:-2], digits[-2:]) if len(digits) > 2 else (digits, "0")
    size = int(hours) * 60 + int(minutes)
    return -size if offset[0] == "-" else size
