"""The decision about one message: on its text and its row, with three answers."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from mairust_core.search.documents import Extent, Heading, text_of
from mairust_core.search.grammar import parse
from mairust_core.search.matching import matches

BODY = b"Content-Type: text/plain; charset=utf-8\n\n"
TEXT = text_of(
    Heading(
        subject="Hello 会議の件",
        from_=("Ann Smith ann@example.org",),
        to=("Bob bob@x.example", "Eve eve@x.example"),
        cc=("会計 accounts@x.example",),
        filenames=("Report Q1.pdf", "写真.jpg"),
    ),
    BODY + "See you at e-mail 東京駅\nで。 Bye, Ann".encode(),
)[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """Facts of one message."""

    received_ms: int = 1_798_675_200_000  # 2026-12-31T00:00:00Z
    flags: tuple[str, ...] = ("\\Seen", "\\Flagged")
    tags: tuple[str, ...] = ("urgent",)
    mailbox: str = "INBOX"
    has_attachments: bool = True
    text: str = TEXT
    extent: Extent = Extent.WHOLE


@pytest.mark.parametrize(
    "query",
    [
        "hello",
        "HELLO ann",
        '"see you"',
        '"you at e mail"',
        "e-mail",
        "議の",
        "東京駅で",
        '"mail 東京"',
        "from:smith",
        "from:ann@example.org",
        "to:eve cc:会計",
        "cc:計",
        "subject:会議 subject:hello",
        "filename:report.q1",
        "filename:写真",
        "nowhere OR bye",
        "-nowhere",
        "-(hello nowhere)",
        "is:read is:flagged -is:unread -is:draft -is:answered",
        "has:attachment tag:urgent mailbox:inbox",
        "after:2026-12-31 before:2027-01-01",
    ],
)
def test_it_matches(query: str) -> None:
    """Words whole, runs in part, phrases across punctuation and a broken line, fields and facts."""
    assert matches(parse(query), Known()) is True


@pytest.mark.parametrize(
    "query",
    [
        "hell",
        "ello",
        '"you see"',
        '"smith bob"',
        '"com bob"',
        "京東",
        "subject:bye",
        "from:bob",
        "to:会計",
        "to:ann",
        '"example eve"',
        '"pdf 写真"',
        "-hello",
        "hello nowhere",
        "is:unread",
        "-has:attachment",
        "tag:URGENT",
        "tag:urg",
        "mailbox:Sent",
        "after:2027-01-01",
        "before:2026-12-31",
    ],
)
def test_it_does_not_match(query: str) -> None:
    """Parts of words, other order, across two values or two fields, what is excluded."""
    assert matches(parse(query), Known()) is False


@pytest.mark.parametrize("extent", [Extent.CUT, Extent.HEADER])
@pytest.mark.parametrize(
    ("query", "answer"),
    [
        ("hello", True),
        ("nowhere", None),
        ("-nowhere", None),
        ("-hello", False),
        ("subject:nowhere", False),
        ("nowhere is:unread", False),
        ("nowhere OR hello", True),
        ("nowhere OR is:unread", None),
        ("nowhere hello", None),
        ("-(nowhere hello)", None),
        ("-(nowhere is:unread)", True),
    ],
)
def test_rule_j1_what_is_missing_of_a_text_is_unknown(
    extent: Extent, query: str, answer: bool | None
) -> None:
    """Only where it would decide; the fields above the body are always all there."""
    assert matches(parse(query), Known(extent=extent)) is answer
