"""A time in the past, as filters name it: one form for every list, over the API and on the command line."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from mairust_core.errors import Invalid

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema

_DURATION = re.compile(r"([0-9]{1,6})([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}

FORMS = "A time (RFC 3339; in UTC without a zone), a date in UTC, or how long ago: 90s, 90m, 24h, 7d, 2w."


def duration_s(text: str) -> int | None:
    """The seconds in `90s`, `90m`, `24h`, `7d` or `2w`; None for any other text."""
    found = _DURATION.fullmatch(text)
    return int(found[1]) * _SECONDS[found[2]] if found else None


class Moment(str):
    """What was written; empty where nothing was. It stays that, for `7d` means another time tomorrow."""

    __slots__ = ()

    @classmethod
    def of(cls, at: datetime) -> Moment:
        """That very time; one without a zone is in UTC."""
        return cls((at if at.tzinfo else at.replace(tzinfo=UTC)).isoformat())

    def at(self, field: str, now: datetime | None = None) -> datetime:
        """The time that is meant; raises `Invalid` naming `field`."""
        try:
            if (ago_s := duration_s(self)) is not None:
                return (now or datetime.now(UTC)) - timedelta(seconds=ago_s)
            at = datetime.fromisoformat(self.upper())
            return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
        except (ValueError, OverflowError) as error:
            raise Invalid(field, "not_past_moment", value=repr(self[:40])) from error

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """A text; what is wrong with one says whoever asks for its time."""
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(cls, core_schema.str_schema())

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: Any) -> dict[str, Any]:
        """A time, or another text: generators of clients take either."""
        forms = [{"type": "string", "format": "date-time"}, {"type": "string"}]
        return {"anyOf": forms, "description": FORMS, "examples": ["2027-01-31T00:00:00Z", "7d"]}


def ms_of(moment: Moment | None, field: str) -> int:
    """Milliseconds since 1970 of the time that is meant, 0 where none is; raises `Invalid`."""
    at = at_or_none(moment, field)
    return 0 if at is None else max(round(at.timestamp() * 1000), 0)


def at_or_none(moment: Moment | None, field: str) -> datetime | None:
    """The time that is meant, None where none is; raises `Invalid`."""
    return Moment(moment).at(field) if moment else None
