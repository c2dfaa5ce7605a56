"""Header blocks."""

from __future__ import annotations

import pytest

from mairust_core.mime import describe
from mairust_core.mime.fields import Fields, header_end
from tests.unit.mime.messages import message


@pytest.mark.parametrize(
    ("content", "body"),
    [
        (b"A: b\r\n\r\nbody", b"body"),
        (b"A: b\n\nbody", b"body"),
        (b"A: b\r\n\nbody", b"body"),
        (b"A: b\n\r\nbody", b"body"),
        (b"\r\nbody", b"body"),
        (b"\nbody", b"body"),
        (b"A: b\r\n", b""),
        (b"", b""),
        (b"A: b\n\nx\r\n\r\ny", b"x\r\n\r\ny"),
        (b"A: b\r\n \r\nC: d\r\n\r\nbody", b"body"),
    ],
)
def test_the_header_ends_at_the_first_empty_line(content: bytes, body: bytes) -> None:
    """Whatever the line ends, the body begins just after the first empty line."""
    assert content[header_end(content, 0, len(content)) :] == body


@pytest.mark.parametrize("blank", [b"\n\n", b"\r\n\r\n"])
@pytest.mark.parametrize("size", [65_532, 65_533, 65_534, 65_535, 65_536, 70_000])
def test_the_empty_line_is_found_across_the_search_window(blank: bytes, size: int) -> None:
    """An empty line on the edge of the first search window is not missed."""
    content = b"A: " + b"x" * size + blank + b"body\n\nmore\r\n\r\n"
    assert content[header_end(content, 0, len(content)) :].startswith(b"body")


def test_the_first_empty_line_ends_the_header_whatever_follows() -> None:
    """An empty line with LF, and after it one with CRLF: the second one is body already."""
    content = b"A: x\n\n\r\n\nbody"
    assert content[header_end(content, 0, len(content)) :] == b"\r\n\nbody"


def test_white_space_before_the_colon_is_accepted() -> None:
    """`Subject : x` is read, as other readers do (RFC 5322 §4.5)."""
    assert describe(message("Subject : hello")).subject == "hello"


def test_a_junk_line_does_not_end_the_header() -> None:
    """A line that is no field is passed over with its continuation; later fields count."""
    fields = Fields(b"From x Mon Jan 1\r\nno field\r\n folded junk: 1\r\nSubject: s\r\n\r\n")
    assert fields.pairs == [(b"Subject", b" s\r")]
    assert fields.get(b"subject") == b"s"


def test_folding_is_undone() -> None:
    """Continuation lines belong to the field; only their line ends go (RFC 5322 §2.2.3)."""
    assert Fields(b"Subject: a\r\n b\r\n\tc\r\nTo: x\r\n").get(b"subject") == b"a b\tc"
    assert Fields(b"Subject: a\n b\nTo: x\n").get(b"subject") == b"a b"


def test_the_first_of_repeated_fields_counts() -> None:
    """A Subject or From added below cannot replace the first; repeated To add up."""
    facts = describe(message("From: a@x\nSubject: 1\nTo: b@x\nFrom: evil@x\nSubject: 2\nTo: c@x"))
    assert facts.subject == "1"
    assert [one.address for one in facts.from_] == ["a@x"]
    assert [one.address for one in facts.to] == ["b@x", "c@x"]


def test_trap_s13_received_fields_are_counted() -> None:
    """Every Received counts, in any case, folded or not; a look-alike does not."""
    header = "Received: a\n b\n" * 101 + "RECEIVED : c\nX-Received: d\nSubject: s"
    assert describe(message(header)).received_count == 102


def test_header_size_is_that_of_the_crlf_form() -> None:
    """The header size includes the empty line and is counted with CRLF (rule B2)."""
    assert describe(b"A: b\nC: d\n\nbody\n").header_size_bytes == len(b"A: b\r\nC: d\r\n\r\n")
    assert describe(b"A: b\n").header_size_bytes == len(b"A: b\r\n")


def test_a_huge_header_is_bounded() -> None:
    """Of 10 MB of header the first megabyte is read; its end is still exact."""
    header = b"X: y\r\n" * 1_700_000
    content = b"Subject: first\r\n" + header + b"Cc: late@x\r\n\r\nbody"
    facts = describe(content)
    assert (facts.subject, facts.cc) == ("first", ())
    assert facts.header_size_bytes == len(content) - len(b"body")
    assert facts.preview == "body"
