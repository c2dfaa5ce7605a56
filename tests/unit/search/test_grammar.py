"""The language of searches: what it means, and what is said about what it does not."""

from __future__ import annotations

import random
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mairust_core.errors import BadQuery
from mairust_core.i18n import LANGUAGES, explain
from mairust_core.ids import to_ms
from mairust_core.search.grammar import MAX_CHARACTERS, MAX_DEPTH, MAX_TERMS, OPERATORS, parse
from mairust_core.search.query import (
    All,
    Field,
    HasAttachment,
    InMailbox,
    Is,
    Node,
    Not,
    Received,
    Some,
    State,
    Tagged,
    Text,
)

A, B, C = Text("a"), Text("b"), Text("c")


def day(year: int, month: int, day_: int) -> int:
    """Midnight UTC in milliseconds."""
    return to_ms(datetime(year, month, day_, tzinfo=UTC))


@pytest.mark.parametrize(
    ("query", "tree"),
    [
        ("a", A),
        ("A　b", All((A, B))),
        ("a AND b", All((A, B))),
        ('"a b"', Text("a b")),
        ('"a b"c', All((Text("a b"), C))),
        ("e-mail", Text("e mail")),
        ("-a", Not(A)),
        ("--a", Not(Not(A))),
        ("NOT a", Not(A)),
        ("a -b", All((A, Not(B)))),
        ("a b OR c", Some((All((A, B)), C))),
        ("a (b OR c)", All((A, Some((B, C))))),
        ("-(a b)", Not(All((A, B)))),
        ("or and not", All((Text("or"), Text("and"), Text("not")))),
        ("10:30", Text("10 30")),
        ('"http://example.org/OR"', Text("http example org or")),
        ("東京都", Text("東京都")),
        ("Invo*", Text("invo", prefix=True)),
        ("e-ma*", Text("e ma", prefix=True)),
        ("-subject:re* x", All((Not(Text("re", Field.SUBJECT, prefix=True)), Text("x")))),
        ("東京*", Text("東京", prefix=True)),
        ('"invo*"', Text("invo")),
    ],
)
def test_words_join(query: str, tree: Node) -> None:
    """Side by side is AND, which binds tighter than OR; quotes make a phrase."""
    assert parse(query) == tree


@pytest.mark.parametrize(
    ("query", "tree"),
    [
        ("from:Ann", Text("ann", Field.FROM)),
        ("TO:ann@example.org", Text("ann example org", Field.TO)),
        ('cc:"Bob B"', Text("bob b", Field.CC)),
        ("subject:会議", Text("会議", Field.SUBJECT)),
        ("filename:report.pdf", Text("report pdf", Field.FILENAME)),
        ("has:attachment", HasAttachment()),
        ("is:Unread", Is(State.UNREAD)),
        ("-is:flagged", Not(Is(State.FLAGGED))),
        ("tag:Urgent", Tagged("Urgent")),
        ('tag:"two words"', Tagged("two words")),
        ("mailbox:inbox", InMailbox("INBOX")),
        ('mailbox:"Sent Items"', InMailbox("Sent Items")),
        ("after:2027-01-31", Received(from_ms=day(2027, 1, 31))),
        ("before:2027/01/31", Received(to_ms=day(2027, 1, 31))),
        ("after:2027-01-31T09:00:00+09:00", Received(from_ms=day(2027, 1, 31))),
        ('before:"2027-01-31 00:00"', Received(to_ms=day(2027, 1, 31))),
    ],
)
def test_operators(query: str, tree: Node) -> None:
    """Each operator with its value, in quotes where it has spaces; days begin at midnight UTC."""
    assert parse(query) == tree


@pytest.mark.parametrize(
    ("query", "detail", "at"),
    [
        ("", "empty", None),
        (" \t　", "empty", None),
        ('a "b', "unclosed_quote", 3),
        ('subject:"b', "unclosed_quote", 9),
        ("a (b", "unclosed_group", 3),
        ("a) b", "unopened_group", 2),
        ("()", "missing", 2),
        ("a OR", "missing", 5),
        ("OR a", "missing", 1),
        ("a AND OR b", "missing", 7),
        ("NOT", "missing", 4),
        ("a colour:red", "unknown_operator", 3),
        ("http://example.org", "unknown_operator", 1),
        ("from: ann", "no_value", 1),
        ("from:(ann)", "no_value", 1),
        ("is:green", "unknown_value", 1),
        ("x has:legs", "unknown_value", 3),
        ("after:yesterday", "bad_date", 1),
        ("before:2027-02-30", "bad_date", 1),
        ("after:0000-01-01", "bad_date", 1),
        ("a !!!", "nothing", 3),
        ('"…"', "nothing", 1),
        ("a -", "nothing", 3),
        ("*voice", "wildcard", 1),
        ("in*ce", "wildcard", 1),
        ("a in**", "wildcard", 3),
        ("*", "wildcard", 1),
        ("invo-*", "wildcard", 1),
        ('"credit not"*', "wildcard", 13),
        ("a" * (MAX_CHARACTERS + 1), "too_long", None),
        ("a " * (MAX_TERMS + 1), "too_many_terms", None),
        ("(" * (MAX_DEPTH + 1) + "a" + ")" * (MAX_DEPTH + 1), "too_deep", MAX_DEPTH + 1),
        ("-" * 900 + "a", "too_deep", MAX_DEPTH + 1),
    ],
)
def test_what_is_not_understood_is_told_with_its_place(query: str, detail: str, at: int | None) -> None:
    """The error names the character, and in both languages how to write it."""
    with pytest.raises(BadQuery) as refused:
        parse(query)
    assert (refused.value.detail, refused.value.values.get("at")) == (detail, at)
    for lang in LANGUAGES:
        what, mend = explain(refused.value, lang)
        assert mend
        assert at is None or str(at) in what
        assert "{" not in what


def test_the_limits_themselves_are_fine() -> None:
    """As many terms and as deep as allowed."""
    assert isinstance(parse("a " * MAX_TERMS), All)
    assert parse("(" * MAX_DEPTH + "a" + ")" * MAX_DEPTH) == A


def test_an_unknown_operator_names_those_there_are() -> None:
    """All of them."""
    with pytest.raises(BadQuery, match=r"quotes") as refused:
        parse("colour:red")
    assert all(f"{name}:" in str(refused.value) for name in OPERATORS)


@pytest.mark.parametrize(
    ("query", "tree"),
    [
        ("a' OR '1'='1", Some((A, Text("1 1")))),
        ('"a\'; DROP TABLE message; --"', Text("a drop table message")),
        ("100% a_b", All((Text("100"), Text("a b")))),
        ('"a" NEAR "b"', All((A, Text("near"), B))),
        ("^a + {b}", None),
        ("a & b | !c", None),
        ("<-> a", None),
    ],
)
def test_trap_a5_syntax_of_other_languages_is_text(query: str, tree: Node | None) -> None:
    """SQL, LIKE, FTS5 and tsquery mean nothing here: their marks part words or are told to hold none."""
    if tree is None:
        with pytest.raises(BadQuery) as refused:
            parse(query)
        assert refused.value.detail == "nothing"
    else:
        assert parse(query) == tree


@given(st.text(max_size=80))
def test_any_text_is_a_search_or_a_told_fault(query: str) -> None:
    """Nothing else is ever raised."""
    with suppress(BadQuery):
        parse(query)


def test_any_row_of_words_and_marks_is_a_search_or_a_told_fault() -> None:
    """The same with what the grammar is made of."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    pieces = [
        "a",
        "OR",
        "AND",
        "NOT",
        "-",
        "(",
        ")",
        '"',
        " ",
        "from:",
        "is:",
        "after:",
        "2027-01-01",
        "東京",
    ]
    understood = 0
    for _ in range(3000):
        with suppress(BadQuery):
            parse(" ".join(rng.choices(pieces, k=rng.randrange(1, 9))))
            understood += 1
    assert understood > 50
