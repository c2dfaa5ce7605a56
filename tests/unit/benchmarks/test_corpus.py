"""The mail the benchmarks send: right on the wire, never twice the same, of the stated sizes."""

from __future__ import annotations

import statistics
from pathlib import Path

import pytest

from tests.benchmarks.corpus import (
    LARGEST_BYTES,
    LONGEST_LINE,
    SMALLEST_BYTES,
    Message,
    cut,
    load_messages,
    read_corpus,
    save_messages,
    to_wire,
)


@pytest.mark.parametrize(
    ("raw", "wire"),
    [
        (b"From ann Mon Jan 1\nA: b\n\nx\n", b"A: b\r\n\r\nx\r\n"),
        (b"A: b\r\n\r\nx\ry\r\n", b"A: b\r\n\r\nxy\r\n"),
        (b"A: b\n\nx", b"A: b\r\n\r\nx\r\n"),
        (b"A: b\n\nx\n\n\n", b"A: b\r\n\r\nx\r\n"),
    ],
    ids=["mbox line", "bare CR", "no end of line", "empty lines at the end"],
)
def test_stored_mail_gets_its_wire_form(raw: bytes, wire: bytes) -> None:
    """Only CRLF ends lines, and the envelope line of an mbox is not mail."""
    assert to_wire(raw) == wire


@pytest.mark.parametrize(
    "wire",
    [
        b"Message-ID: <a@b>\r\n\r\n.\r\n..x\r\n",
        b"Subject: s\r\n\r\nMessage-ID: <in the body>\r\n.\r\n",
        b"Subject: s\r\nmessage-id:  <a@b>\r\n\r\nx\r\n",
    ],
    ids=["dots", "no Message-ID", "lower case"],
)
def test_a_cut_message_comes_back_with_the_token_in_its_message_id(wire: bytes) -> None:
    """Un-stuffed, only the Message-ID differs; the body is what it was."""
    content = cut(wire).whole(b"7.")
    fields, _, body = content.partition(b"\r\n\r\n")
    assert body == wire.partition(b"\r\n\r\n")[2]
    assert [
        line for line in fields.split(b"\r\n") if line.lower().startswith(b"message-id:") and b"<7." in line
    ]


def test_no_line_of_the_wire_form_is_a_lone_dot() -> None:
    """Nothing inside a message ends DATA early (RFC 5321 §4.5.2)."""
    message = cut(b"Message-ID: <a@b>\r\n\r\n.\r\n.\r\n..\r\n")
    assert b"\r\n.\r\n" not in message.head + b"0." + message.tail


def test_two_tokens_make_two_messages() -> None:
    """A store that keeps equal bytes once gains nothing from the load."""
    message = cut(b"Message-ID: <a@b>\r\n\r\nx\r\n")
    assert message.whole(b"1.") != message.whole(b"2.")


def test_messages_survive_the_way_to_a_child(tmp_path: Path) -> None:
    """What is saved for the load generator is what it reads."""
    messages = [Message(b"a", b"b\r\n"), Message(b"", b"")]
    save_messages(messages, tmp_path / "messages")
    assert load_messages(tmp_path / "messages") == messages


def test_made_mail_says_so_and_has_the_stated_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without corpora the table names the mail as made; its median is about 10 KB all the same."""
    monkeypatch.delenv("MAIRUST_CORPORA", raising=False)
    corpus = read_corpus()
    sizes = [len(message.whole()) for message in corpus.messages]
    assert "MADE" in str(corpus)
    assert 9_000 <= statistics.median(sizes) <= 11_500
    assert all(SMALLEST_BYTES <= size <= LARGEST_BYTES + 10 for size in sizes)
    assert (
        max(len(line) for message in corpus.messages for line in message.whole().split(b"\r\n"))
        <= LONGEST_LINE
    )
