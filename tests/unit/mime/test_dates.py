"""Date fields."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mairust_core.mime.dates import parse_date

NOON = datetime(2025, 10, 3, 12, 0, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [
        "Fri, 3 Oct 2025 12:00:05 +0000",
        "Fri, 03 Oct 2025 21:00:05 +0900 (JST)",
        "Fri,3 Oct 2025 12:00:05 -0000",
        "3 Oct 2025 12:00:05 GMT",
        "3 Oct 2025 12:00:05 UT",
        "3 Oct 2025 12:00:05",
        "3 Oct 25 08:00:05 EDT",
        "3 Oct 2025 04:00:05 PST",
        "3 Oct 2025 12:00:05 Z",
        "3 Oct 2025 12:00:05 A",
        "3 Oct 2025 12:00:05 XYZ",
        "3 Oct 125 12:00:05 GMT",
        "3-Oct-2025 12:00:05 +0000",
        "Fri (comment), 3 (x) Oct 2025 12:00:05 +0000",
        "Fri, 3 Oct 2025 12:00:05.25 +0000",
        "Fri, 3 Oct 2025 14:00:05 GMT+0200",
        "Fri, 3 October 2025 12:00:05 +00:00",
        "Fri Oct  3 12:00:05 2025",
        "Fri Oct 03 2025 12:00:05 +0000",
        "2025-10-03T12:00:05Z",
        "2025-10-03 21:00:05 +09:00",
    ],
)
def test_forms_are_read(value: str) -> None:
    """The forms of RFC 5322, the obsolete and the usual ones give the same instant, in UTC."""
    assert parse_date(value) == NOON
    assert parse_date(value).tzinfo is UTC  # type: ignore[union-attr]  # just compared with a datetime


@pytest.mark.parametrize(("value", "year"), [("1 Jan 49 0:00 Z", 2049), ("1 Jan 50 0:00 Z", 1950)])
def test_two_digit_years(value: str, year: int) -> None:
    """Years of two digits are read as RFC 5322 §4.3 says; a missing second is zero."""
    assert parse_date(value) == datetime(year, 1, 1, tzinfo=UTC)


def test_a_leap_second_is_the_second_before() -> None:
    """23:59:60 is a legal time that Python has not."""
    assert parse_date("31 Dec 2016 23:59:60 +0000") == datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "yesterday",
        "32 Oct 2025 12:00:00 +0000",
        "30 Feb 2025 12:00:00 +0000",
        "3 Foo 2025 12:00:00 +0000",
        "3 Oct 2025 25:00:00 +0000",
        "3 Oct 2025 12:00:61 +0000",
        "3 Oct 2025 12:00:00 +9959",
        "31 Dec 9999 23:00:00 -0200",
        "1 Jan 0000 00:00:00 +0000",
        "0000-00-00 00:00:00",
        "9" * 5000 + " Oct 2025",
    ],
)
def test_nonsense_is_none(value: str) -> None:
    """What is no date is None, never an exception or an invented date."""
    assert parse_date(value) is None


_NAMES, _PAIRS = st.sampled_from(["Mon", "Feb", "Dec", "Abc"]), st.integers(0, 99).map("{:02}".format)
DATES = st.builds(
    "{}, {} {} {} {}:{}:{} {}{}{}".format,
    _NAMES, st.integers(0, 999), _NAMES, st.integers(10, 9999), _PAIRS, _PAIRS, _PAIRS,
    st.sampled_from("+-"), _PAIRS, _PAIRS,
)  # fmt: skip
"""Of the form of a date, whatever the numbers are."""


@given(st.text() | DATES)
def test_any_text_parses(value: str) -> None:
    """Whatever the text: an aware datetime or None."""
    found = parse_date(value)
    assert found is None or found.tzinfo is UTC
