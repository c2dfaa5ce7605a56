"""What describers answer crosses a pipe unchanged: facts of every kind of mail, and none."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, datetime

import pytest

from mairust_core.mime import SNIPPET, describe
from mairust_core.model.content import Facts
from mairust_core.receive.answers import Answer, dumps, loads

MAIL = (
    b"From: =?utf-8?q?J=C3=BCrgen?= <j@b.example>, Ann <ann@b.example>\n"
    b"Received: from x\nSender: s@b.example\n"
    b"Reply-To: r@b.example\nTo: a@b.example\nCc: c@b.example\nBcc: d@b.example\n"
    b"Date: Thu, 26 Nov 2026 10:00:01 +0900\nSubject: Re: x\nMessage-ID: <1@b>\nIn-Reply-To: <0@b>\n"
    b"References: <a@b> <0@b>\nContent-Type: multipart/mixed; boundary=x\n\n"
    b"--x\n\nHello\n--x\nContent-Type: text/html\n\n<p>Hello</p>\n"
    b"--x\nContent-Disposition: attachment; filename=a.pdf\nContent-Type: application/pdf\n\nabc\n--x--\n"
)
ODD = [b"", b"\0\xff", b"Subject: \xe6\x97\xa5\xe6\x9c\xac\n\n", b"Date: Mon, 1 Jan 1900 00:00:00 +0000\n\n"]


def answer(data: bytes) -> Answer:
    """Of one message; the record is any bytes."""
    return describe(data, extent=SNIPPET), b"\1" * 32, 1, data


def test_facts_come_back_as_they_were() -> None:
    """Each field is filled in one of them, so that none is lost."""
    given = [answer(data) for data in (MAIL, *ODD)]
    assert loads(dumps(given)) == given
    facts = given[0][0]
    assert facts is not None
    assert [one.name for one in fields(Facts) if not getattr(facts, one.name)] == ["preview_truncated"]


def test_what_could_not_be_described_has_no_facts() -> None:
    """Beside what could."""
    given = [(None, b"\2" * 32, 0, b"abc"), answer(MAIL)]
    assert loads(dumps(given)) == given


@pytest.mark.parametrize("year", [1, 1969, 1970, 2038, 9999])
def test_dates_are_exact_in_every_year(year: int) -> None:
    """Also those before 1970, and the last ones there are."""
    facts, *rest = answer(MAIL)
    assert facts is not None
    dated = replace(facts, date=datetime(year, 12, 31, 23, 59, 59, tzinfo=UTC))
    assert loads(dumps([(dated, *rest)]))[0][0] == dated  # type: ignore[list-item]  # the rest is an answer's
