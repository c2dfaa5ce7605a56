"""Values as people write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mairust_cli.words import parse_moment, parse_size, past
from mairust_core.errors import Invalid

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("0", 0),
        ("123", 123),
        ("123B", 123),
        ("500M", 500 << 20),
        ("500MB", 500 << 20),
        ("2GiB", 2 << 30),
        ("1 k", 1024),
        ("3t", 3 << 40),
        ("none", None),
        ("Unlimited", None),
    ],
)
def test_sizes_are_read_with_units_of_1024(text: str, size_bytes: int | None) -> None:
    """With or without iB, in any case; `none` takes the limit away."""
    assert parse_size(text) == size_bytes


@pytest.mark.parametrize("text", ["", "x", "-1", "1.5G", "5iB", "5X", "500 M M", "1e9", "９"])
def test_a_wrong_size_is_refused_with_an_example(text: str) -> None:
    """The error shows how a size is written."""
    with pytest.raises(Invalid, match="500M, 2GiB"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("90d", NOW + timedelta(days=90)),
        ("12h", NOW + timedelta(hours=12)),
        ("2w", NOW + timedelta(weeks=2)),
        ("2027-01-31T00:00:00Z", datetime(2027, 1, 31, tzinfo=UTC)),
        ("2027-01-31T09:00:00+09:00", datetime(2027, 1, 31, tzinfo=UTC)),
        ("2027-01-31", datetime(2027, 1, 31, tzinfo=UTC)),
    ],
)
def test_times_are_absolute_or_from_now(text: str, at: datetime) -> None:
    """A time without a zone is UTC."""
    assert parse_moment(text, NOW) == at


def test_what_is_past_is_sent_as_a_time() -> None:
    """Which servers of earlier versions take, too; the error names the option."""
    found = past("7d")
    assert found is not None
    assert datetime.fromisoformat(found).tzinfo is not None
    assert past("2027-01-31") == "2027-01-31T00:00:00+00:00"
    assert (past(None), past("")) == (None, None)
    with pytest.raises(Invalid, match=r"^before: "):
        past("999999w", "before")


@given(st.text(max_size=30))
def test_any_text_is_a_time_or_refused(text: str) -> None:
    """Nothing but `Invalid` comes of a wrong one, and what comes of a right one has a zone."""
    try:
        at = parse_moment(text, NOW)
    except Invalid:
        return
    assert at.tzinfo is not None


def test_a_time_beyond_all_calendars_is_refused() -> None:
    """999999 weeks from now are no date."""
    with pytest.raises(Invalid, match="is not a time"):
        parse_moment("999999w", NOW)
