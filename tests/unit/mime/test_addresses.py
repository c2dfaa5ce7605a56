"""Address fields."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mairust_core.mime import describe
from mairust_core.mime.addresses import MAX_ADDRESSES, Entry, correspondents, parse_addresses
from tests.unit.mime.messages import message


def _pairs(value: bytes) -> list[tuple[str, str]]:
    return [(one.name, one.address) for one in correspondents(parse_addresses(value))]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"ann@example.net", [("", "ann@example.net")]),
        (b"<ann@example.net>", [("", "ann@example.net")]),
        (b"Ann B. C <ann@example.net>", [("Ann B. C", "ann@example.net")]),
        (b'"Doe, Jane" <j@x>, bob@x', [("Doe, Jane", "j@x"), ("", "bob@x")]),
        (b'"a \\"q\\" b" <j@x>', [('a "q" b', "j@x")]),
        (b'"Jane" von Doe <j@x>', [("Jane von Doe", "j@x")]),
        (b"j@x (Jane (of) Doe)", [("Jane (of) Doe", "j@x")]),
        (b"Jane (comment) <j@x>", [("Jane", "j@x")]),
        (b"=?utf-8?Q?J=C3=B6rg?= <j@x>", [("Jörg", "j@x")]),
        (b'"=?utf-8?Q?J=C3=B6rg?=" <j@x>', [("Jörg", "j@x")]),
        (b"=?utf-8?Q?a,b(c)?= <j@x>, k@x", [("a,b(c)", "j@x"), ("", "k@x")]),
        (b"Joe <@a.example,@b.example:joe@c.example>", [("Joe", "joe@c.example")]),
        (b'"joe q"@example.org', [("", '"joe q"@example.org')]),
        (b'J <"joe q"@example.org>', [("J", '"joe q"@example.org')]),
        (b"friends: a@x, B <b@x>;, c@x", [("", "a@x"), ("B", "b@x"), ("", "c@x")]),
        (b"undisclosed-recipients:;", []),
        (b"a@x, , ,b@x,", [("", "a@x"), ("", "b@x")]),
        (b"a@x; b@x", [("", "a@x"), ("", "b@x")]),
        (b"john . doe @ example . org", [("", "john.doe@example.org")]),
        (b"Foo Bar foo@bar.example", [("Foo Bar", "foo@bar.example")]),
        (b"moderator", [("", "moderator")]),
        (b"MAILER-DAEMON <>", [("MAILER-DAEMON", "")]),
        (b"joe@[192.0.2.1]", [("", "joe@[192.0.2.1]")]),
        (b"Joe <joe@[IPv6:2001:db8::1]>", [("Joe", "joe@[IPv6:2001:db8::1]")]),
        ("Jörg <jörg@exämple.org>".encode(), [("Jörg", "jörg@exämple.org")]),
        (b'"Unclosed <a@x>, b@x', [("Unclosed", "a@x"), ("", "b@x")]),
        (b"Unclosed (comment <a@x>", [("Unclosed comment", "a@x")]),
        (b"Unclosed <a@x", [("Unclosed", "a@x")]),
        (b"<a@x>>", [("", "a@x")]),
        (b'"', []),
        (b"", []),
        (b"<", []),
        (b"=?utf-8?q?=41@b?= <", [("A@b", "")]),
    ],
)
def test_forms_are_read(value: bytes, expected: list[tuple[str, str]]) -> None:
    """Every form of RFC 5322, the obsolete and the merely usual ones give name and address."""
    assert _pairs(value) == expected


def test_groups_keep_their_markers() -> None:
    """A group begins with its name and ends with four NILs, also when nobody closes it (RFC 9051)."""
    end = Entry(None, None, None, None)
    assert parse_addresses(b"My friends: a@x;") == [
        Entry(None, None, b"My friends", None),
        Entry(None, None, b"a", b"x"),
        end,
    ]
    assert parse_addresses(b"open: a@x")[-1] == end
    assert parse_addresses(b'"q, r":;')[0] == Entry(None, None, b"q, r", None)


def test_the_local_part_is_unquoted_for_imap() -> None:
    """ENVELOPE has the local part without quotes, the fact the address as one writes it."""
    entries = parse_addresses(b'"joe \\"q"@x')
    assert entries == [Entry(None, None, b'joe "q', b"x")]
    assert correspondents(entries)[0].address == '"joe \\"q"@x'


def test_a_route_is_kept_apart() -> None:
    """A source route is the second member of the ENVELOPE address."""
    assert parse_addresses(b"<@a,@b:c@d>") == [Entry(None, b"@a,@b", b"c", b"d")]


@pytest.mark.parametrize(
    "value",
    [
        b"a@example.org, " * 20_000,
        b'"N, N" <a@example.org>, ' * 20_000,
        b"N (c) <a@example.org>, " * 20_000,
        b"(" * 20_000,
        b"()" * 20_000 + b"a@x",
        b'"' * 20_001,
        b'"' + b'\\"' * 20_000,
        b"<" * 20_000,
        b":" * 20_000,
        b"=?a?q?" * 20_000,
        b"a " * 20_000,
        b"\\" * 20_001,
    ],
    ids=lambda value: value[:12].decode(),
)
def test_hostile_fields_are_bounded(value: bytes) -> None:
    """20,000 addresses, brackets or quotes are read in one pass, and only so many are kept."""
    facts = describe(b"To: " + value + b"\r\nFrom: " + value + b"\r\n\r\n")
    assert len(facts.to) <= MAX_ADDRESSES
    assert facts.to == facts.from_


def test_long_names_and_addresses_are_cut_as_text_only() -> None:
    """A name of a megabyte is a thousand octets in the facts and whole on the wire."""
    facts = describe(message(b"From: " + b"n" * 100_000 + b" <a@x>"))
    assert len(facts.from_[0].name) == 1000
    assert b"n" * 100_000 in facts.envelope


@given(st.binary())
def test_any_bytes_parse(value: bytes) -> None:
    """Whatever the bytes: entries of four members, and clean text."""
    for one in correspondents(parse_addresses(value)):
        assert (one.name + one.address).encode().find(b"\0") < 0
