"""Dates of receipt."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mairust_core.transfer.dates import file_date, postmark_date, received_date
from mairust_core.transfer.mbox.writing import postmark


@pytest.mark.parametrize(
    ("line", "iso"),
    [
        (b"From bar@dontmailme.org Sun May  6 22:17:15 2001", "2001-05-06T22:17:15"),
        (b"From x Thu Sep 13 12:30:05 2001 -0400", "2001-09-13T16:30:05"),
        (b"From x Thu Sep 13 12:30:05 -0400 2001", "2001-09-13T16:30:05"),
        (b"From x Thu Sep 13 12:30:05 EDT 2001", "2001-09-13T16:30:05"),
        (b"From goran at domain.com  Wed Dec  1 08:26:40 2010", "2010-12-01T08:26:40"),
        (b"From 0123 Mon Sep 17 00:00:00 2001", "2001-09-17T00:00:00"),
        (b"From - Fri, 23 Aug 2002 02:32:53 +0900", "2002-08-22T17:32:53"),
        (b"From x Thu Sep 13 12:30 2001", "2001-09-13T12:30:00"),
        (b"From x Thu Sep 13 12:30:05 2001 remote from y", "2001-09-13T12:30:05"),
    ],
)
def test_the_date_of_a_postmark(line: bytes, iso: str) -> None:
    """asctime in UTC as RFC 4155 has it, and with the zones and orders that are found."""
    assert postmark_date(line) == datetime.fromisoformat(iso).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "line",
    [
        b"From me",
        b"From the 5th of May 2001",
        b"From x Sun Mai  6 22:17:15 2001",
        b"From x Sun May 66 22:17:15 2001",
    ],
)
def test_no_date_in_what_is_no_postmark(line: bytes) -> None:
    """Text that begins like one."""
    assert postmark_date(line) is None


@given(st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC)))  # noqa: DTZ001 - bounds
def test_a_postmark_of_ours_is_read_back(at: datetime) -> None:
    """To the second."""
    assert postmark_date(postmark(at)) == at.replace(microsecond=0)


def test_the_topmost_received_field_dates_a_message() -> None:
    """What stands behind its last semicolon; without one the Date field, without that nothing."""
    first = b"Received: from a (b; c)\n\tby d; Thu, 13 Sep 2001 12:30:05 -0400 (EDT)\n"
    received = first + b"Received: by x; Mon, 1 Jan 2001 00:00:00 +0000\n"
    date = b"Date: Fri, 23 May 2014 19:44:50 +0200\n"
    assert received_date(received + date + b"\nx") == datetime(2001, 9, 13, 16, 30, 5, tzinfo=UTC)
    assert received_date(date + b"\nx") == datetime(2014, 5, 23, 17, 44, 50, tzinfo=UTC)
    assert received_date(b"Received: by x; nonsense\n" + date) == datetime(
        2014, 5, 23, 17, 44, 50, tzinfo=UTC
    )
    assert received_date(b"Subject: x\n\nDate: Fri, 23 May 2014 19:44:50 +0200\n") is None


def test_the_time_of_a_file_is_whole_milliseconds() -> None:
    """As exact as a site keeps it; before 1970 and after 9999 there is nothing."""
    assert file_date(1_764_000_000_123_999_999) == datetime(2025, 11, 24, 16, 0, 0, 123000, tzinfo=UTC)
    assert file_date(-5) == datetime(1970, 1, 1, tzinfo=UTC)
    assert file_date(253_402_340_800_000_000_000) == datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)
