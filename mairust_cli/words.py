"""Parameters that several commands share, and values as people write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from mairust_core.errors import Invalid
from mairust_core.model.moment import Moment, duration_s

Yes = Annotated[bool, typer.Option("--yes", help="Do not ask; needed where stdin is no terminal.")]
PluginId = Annotated[str, typer.Argument(metavar="ID", help="As `plugin list` shows it.")]
AccountOption = Annotated[str, typer.Option("--account", metavar="ADDRESS", help="The account.")]
Since = Annotated[
    str | None,
    typer.Option("--since", metavar="WHEN", help="Only from then on: a date or a time, or as 24h or 7d ago."),
]

_SIZE = re.compile(r"([0-9]{1,15})\s*([KMGT]?)(I?)B?", re.IGNORECASE)
_NO_LIMIT = frozenset({"none", "unlimited"})


def parse_size(text: str, field: str = "quota") -> int | None:
    """Bytes in `500M` or `2GiB` (units of 1024), None for `none`; raises `Invalid` naming `field`."""
    if text.lower() in _NO_LIMIT:
        return None
    match = _SIZE.fullmatch(text.strip())
    if match is None or (match[3] and not match[2]):
        raise Invalid(field, "not_size", value=repr(text[:40]))
    return int(match[1]) << 10 * " KMGT".index(match[2].upper() or " ")


def parse_duration_s(text: str, field: str) -> int:
    """Seconds in `90s`, `30m`, `24h` or `7d`, 0 for `0`; raises `Invalid` naming `field`."""
    if text == "0":
        return 0
    found = duration_s(text)
    if found is None:
        raise Invalid(field, "not_duration", value=repr(text[:40]))
    return found


def past(text: str | None, field: str = "since") -> Moment | None:
    """The very time that is meant, which servers of every version take; raises `Invalid` naming `field`."""
    return Moment.of(Moment(text).at(field)) if text else None


def parse_moment(text: str, now: datetime, field: str = "expires") -> datetime:
    """The time in RFC 3339 (`2027-01-31T00:00:00Z`), or `90d` from `now`.

    Raises `Invalid` naming `field`.
    """
    try:
        if (distance_s := duration_s(text)) is not None:
            return now + timedelta(seconds=distance_s)
        at = datetime.fromisoformat(text)
    except (OverflowError, ValueError) as error:
        raise Invalid(field, "not_moment", value=repr(text[:40])) from error
    return at if at.tzinfo else at.replace(tzinfo=UTC)
