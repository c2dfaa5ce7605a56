"""One form for times in the past."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from mairust_core import wire
from mairust_core.errors import Invalid
from mairust_core.i18n import explain
from mairust_core.model.moment import Moment, at_or_none

NOW = datetime(2027, 2, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2027-01-31T10:00:00Z", datetime(2027, 1, 31, 10, tzinfo=UTC)),
        ("2027-01-31t10:00:00.5z", datetime(2027, 1, 31, 10, 0, 0, 500_000, tzinfo=UTC)),
        ("2027-01-31 10:00:00+09:00", datetime(2027, 1, 31, 1, tzinfo=UTC)),
        ("2027-01-31T10:00:00", datetime(2027, 1, 31, 10, tzinfo=UTC)),
        ("2027-01-31T10:00", datetime(2027, 1, 31, 10, tzinfo=UTC)),
        ("2027-01-31", datetime(2027, 1, 31, tzinfo=UTC)),
        ("30s", NOW - timedelta(seconds=30)),
        ("90m", NOW - timedelta(minutes=90)),
        ("24h", NOW - timedelta(hours=24)),
        ("7d", NOW - timedelta(days=7)),
        ("2w", NOW - timedelta(weeks=2)),
    ],
)
def test_every_form_is_read(text: str, at: datetime) -> None:
    """A time, one without a zone, a date, an age."""
    found = Moment(text).at("since", NOW)
    assert (found, found.utcoffset()) == (at, timedelta(0))


@pytest.mark.parametrize("text", ["soon", "7", "7y", "-7d", "7 d", "2027-13-01", "999999w", "7D", "٧d", "\0"])
@pytest.mark.parametrize("lang", ["en", "ja"])
def test_another_is_refused_by_its_field(text: str, lang: str) -> None:
    """Also an age that no calendar reaches."""
    with pytest.raises(Invalid) as refused:
        Moment(text).at("before", NOW)
    what, hint = explain(refused.value, lang)
    assert what.startswith("before: ")
    assert "7d" in hint


def test_a_time_can_be_named() -> None:
    """In a zone, and without one."""
    tokyo = datetime(2027, 1, 31, 9, tzinfo=timezone(timedelta(hours=9)))
    assert Moment.of(tokyo).at("since") == datetime(2027, 1, 31, tzinfo=UTC)
    assert Moment.of(datetime(2027, 1, 31)).at("since") == datetime(2027, 1, 31, tzinfo=UTC)  # noqa: DTZ001


def test_none_is_none() -> None:
    """Nothing, and an empty text."""
    assert at_or_none(None, "since") is None
    assert at_or_none(Moment(""), "since") is None


def test_it_travels_as_it_was_written() -> None:
    """`7d` stays that."""
    found = wire.decode_text(Moment | None, "since", "7d")
    assert (type(found), found) == (Moment, "7d")
    assert wire.dumps({"since": found}) == b'{"since":"7d"}'
