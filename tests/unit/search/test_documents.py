"""What is searched of a message: fields as lists show them, and the text of its body parts (trap T1)."""

from __future__ import annotations

import pytest

from mairust_core.mime import describe, hidden_ranges
from mairust_core.mime.searchable import MAX_PART_BYTES, body_texts
from mairust_core.search.documents import Extent, Heading, field_of, pack, text_of, unpack
from mairust_core.search.query import Field

NOTHING = Heading(subject="", from_=(), to=(), cc=(), filenames=())


def body_of(content: bytes) -> str:
    """The body line of a message's text."""
    return field_of(text_of(NOTHING, content)[0], Field.BODY)


@pytest.mark.parametrize("charset", ["iso-2022-jp", "shift_jis", "euc-jp", "utf-8"])
def test_trap_t1_japanese_in_any_charset(charset: str) -> None:
    """The same text, however it came."""
    head = f"Content-Type: text/plain; charset={charset}\r\n\r\n".encode()
    assert body_of(head + "会議は三時、東京\r\n駅です。".encode(charset)) == " 会議は三時 東京駅です "


@pytest.mark.parametrize(
    ("kind", "encoding", "body", "expected"),
    [
        ("text/plain", "base64", b"aGVsbG8gd29ybGQ=", " hello world "),
        ("text/plain", "quoted-printable", b"caf=C3=A9 a=\r\nb", " café ab "),
        ("text/html", "7bit", b"<style>x{}</style><p>One&nbsp;<b>t</b>wo</p><p>three", " one two three "),
        ("application/pdf", "7bit", b"secret", "  "),
    ],
)
def test_parts_are_decoded(kind: str, encoding: str, body: bytes, expected: str) -> None:
    """Transfer encodings are undone, tags and styles left out; other types are no text."""
    head = f"Content-Type: {kind}; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    assert body_of(head.encode() + body) == expected


def mixed(*parts: bytes, kind: str = "mixed") -> bytes:
    """A multipart of these parts."""
    inside = b"".join(b"--b\r\n" + part + b"\r\n" for part in parts)
    return f"Content-Type: multipart/{kind}; boundary=b\r\n\r\n".encode() + inside + b"--b--\r\n"


PLAIN = b"Content-Type: text/plain\r\n\r\nHello, dear world"
HTML = b"Content-Type: text/html\r\n\r\n<p>Hello dear"
OTHER_HTML = b"Content-Type: text/html\r\n\r\n<p>Hello dear <i>moon</i>"
ATTACHED = (
    b"Content-Type: text/plain\r\nContent-Disposition: attachment; filename=a.txt\r\n\r\nattached words"
)


def test_every_body_part_is_searched_once() -> None:
    """HTML that only repeats the plain text adds nothing; what it says besides is a value of its own."""
    assert body_of(mixed(PLAIN, HTML, kind="alternative")) == " hello dear world "
    assert body_of(mixed(PLAIN, OTHER_HTML, kind="alternative")) == " hello dear world \x1e hello dear moon "


def test_attached_files_are_no_text() -> None:
    """Their names are found by their own field, their content is not."""
    assert body_of(mixed(PLAIN, ATTACHED)) == " hello dear world "


def test_rule_b2_hidden_fields_are_not_searched() -> None:
    """Nor is any other field than those that a search names."""
    content = (
        b"Return-Path: <forgedpath@evil.example>\r\n"
        b"Authentication-Results: mx.example.org; spf=pass smtp.mailfrom=forgedresult.example\r\n"
        b"X-Other: otherfield\r\nSubject: seen\r\n\r\nbody\r\n"
    )
    assert len(hidden_ranges(content, "mx.example.org", over_smtp=True)) == 1
    heading = Heading(subject=describe(content).subject, from_=(), to=(), cc=(), filenames=())
    text, extent = text_of(heading, content)
    assert text.split() == ["seen", "body"]
    assert extent is Extent.WHOLE


def test_a_text_beyond_the_limit_is_cut_and_says_so() -> None:
    """What is within the limit is searched."""
    content = b"\r\n" + b"first " + b"x " * (MAX_PART_BYTES // 2) + b"last"
    text, extent = text_of(NOTHING, content)
    assert extent is Extent.CUT
    assert " first " in text
    assert " last " not in text
    assert not body_texts(content)[1]


def test_a_message_that_cannot_be_read_is_known_by_its_heading() -> None:
    """Its body is missing, and is said to be."""
    text, extent = text_of(Heading(subject="Seen", from_=("a b@c",), to=(), cc=(), filenames=()), None)
    assert (text, extent) == (" seen \n a b c \n  \n  \n  \n  ", Extent.HEADER)


@pytest.mark.parametrize("text", ["", " a \n b \n", "日本\U0001f600" * 1000])
def test_a_stored_text_comes_back(text: str) -> None:
    """To the character."""
    assert unpack(pack(text)) == text
