"""Paths and parameters of MAIL and RCPT."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mairust_core.model.reply import Reply
from mairust_core.smtp.path import (
    MailParameters,
    after_keyword,
    mail_parameters,
    parse_parameters,
    parse_path,
)


@pytest.mark.parametrize(
    ("text", "address", "parameters"),
    [
        ("<a@b>", "a@b", ""),
        ("<>", "", ""),
        ("<> SIZE=1", "", " SIZE=1"),
        ("  <a@b>", "a@b", ""),
        ("<@a,@b.c:u@c>", "u@c", ""),
        ("<POSTmaster>", "postmaster", ""),
        ('<"a <b>@\\""@c.d>', '"a <b>@\\""@c.d', ""),
        ('<""@c>', '""@c', ""),
        ("<a@[192.0.2.1]>", "a@[192.0.2.1]", ""),
        ("<a@[IPv6:2001:db8::1]>", "a@[IPv6:2001:db8::1]", ""),
        ("<.a..b.@docomo.ne.jp>", ".a..b.@docomo.ne.jp", ""),
        ("<a@b.>", "a@b.", ""),
        ("<日本@例え.テスト>", "日本@例え.テスト", ""),
        ("<x@उदाहरण.परीक्षा>", "x@उदाहरण.परीक्षा", ""),
        ("<a+b=c@d_e.f>", "a+b=c@d_e.f", ""),
    ],
)
def test_paths(text: str, address: str, parameters: str) -> None:
    """These are paths, source routes are stripped (RFC 5321 appendix C)."""
    path = parse_path(text)
    assert path is not None
    assert (path.address, path.parameters) == (address, parameters)


@pytest.mark.parametrize(
    "text",
    ["", "a@b", "<a@b", "a@b>", "<a>", "<@b>", "<a@>", "<a b@c>", "<a@b>x", "<a@b@c>", "<a@b..c>", "<a@.b>",
     '<"a@b>', "<a@[1 2]>", "<a@b c>", "<<a@b>>", "<a@b:c@d>", '<a"b@c>', "<\t>"],
)  # fmt: skip
def test_no_paths(text: str) -> None:
    """These are none."""
    assert parse_path(text) is None


@given(st.text(max_size=200))
def test_any_text_is_parsed_or_not(text: str) -> None:
    """No text raises, and what comes out was in it."""
    for candidate in (text, f"<{text}>", f"<a@b> {text}", f"<{text}@b>"):
        path = parse_path(candidate)
        assert path is None or path.address.lower() in candidate.lower()
        parse_parameters(text)
        mail_parameters(text, bodies=("7BIT",))


@pytest.mark.parametrize(
    "text",
    ['<"' + "\\\\" * 50_000, "<a@" + "a." * 50_000 + "!>", "<@" + "a," * 50_000, " " * 100_000],
    ids=["quotes", "labels", "route", "spaces"],
)
def test_long_nonsense_is_cheap(text: str) -> None:
    """The grammar has no backtracking trap: this would never end otherwise."""
    assert parse_path(text) is None


def test_keywords() -> None:
    """FROM: and TO: in any case."""
    assert after_keyword("from:<a@b>", "FROM:") == "<a@b>"
    assert after_keyword("FROM <a@b>", "FROM:") is None


def test_parameters() -> None:
    """Keywords are upper-case, values as given; malformed or doubled ones void all."""
    assert parse_parameters(" a-1=b  C") == {"A-1": "b", "C": None}
    for text in ("a=", "=a", "a a", "a=b=c", "-a", "a=\x00"):
        assert parse_parameters(text) is None


def test_mail_parameters() -> None:
    """SIZE, BODY and SMTPUTF8 are read, others are 555, malformed ones 501."""
    bodies = ("7BIT", "8BITMIME")
    assert mail_parameters("", bodies=bodies) == MailParameters()
    assert mail_parameters(" size=5 BODY=8bitmime smtputf8", bodies=bodies) == MailParameters(
        size_bytes=5, body="8BITMIME", smtputf8=True
    )
    codes = {}
    for text in ("SIZE=²", "SIZE=-1", "BODY", "BODY=BINARYMIME", "SMTPUTF8=1", "X=1", "SIZE=" + "9" * 21):
        answer = mail_parameters(text, bodies=bodies)
        assert isinstance(answer, Reply)
        codes[text] = answer.code
    assert codes.pop("X=1") == 555
    assert set(codes.values()) == {501}
