"""Times in the past, as filters of lists name them: RFC 3339, or how long ago."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from mairust_core.errors import Invalid

_AGO = re.compile(r"([0-9]{1,6})([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def since_ms(text: str, now: datetime | None = None) -> int:
    """Milliseconds since 1970 of `2027-01-31T00:00:00Z`, or of `90m`, `24h`, `7d` ago; 0 when empty.

    Raises `Invalid`.
    """
    if not text:
        return 0
    if found := _AGO.fullmatch(text):
        ago = timedelta(seconds=int(found[1]) * _SECONDS[found[2]])
        return max(round(((now or datetime.now(UTC)) - ago).timestamp() * 1000), 0)
    try:
        at = datetime.fromisoformat(text)
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        return max(round(at.timestamp() * 1000), 0)
    except (ValueError, OverflowError) as error:
        raise Invalid("since", "not_past_moment", value=repr(text[:40])) from error
