"""Answers of HTTP plugins, read from whatever bytes come: what is one, how much is read of what is none."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mairust_core.hooks.exchange import (
    HEAD_BYTES,
    MAX_INFORMATIONAL,
    MOST_BYTES,
    NOT_COMPLETE,
    TOO_LARGE,
    AnswerReader,
    Lost,
)
from mairust_core.hooks.transport import MAX_ANSWER_BYTES, CallFailed

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
FINE = b'{"action":"deliver"}'
WHOLE = OK + b"Content-Length: 20\r\n\r\n" + FINE
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


class Seen:
    """A judge that takes everything, and what it was told."""

    def __init__(self, wants: bool = True) -> None:
        self.wants = wants
        self.told: list[tuple[int, dict[str, str]]] = []

    def __call__(self, status: int, fields: Mapping[str, str]) -> bool:
        """Take it."""
        self.told.append((status, dict(fields)))
        return self.wants


def read(data: bytes, size: int = 1 << 20, judge: Seen | None = None) -> AnswerReader:
    """What becomes of bytes that come in pieces of that size."""
    reader = AnswerReader(judge or Seen())
    for at in range(0, len(data), size):
        reader.feed(data[at : at + size])
    return reader


def fed(*pieces: bytes) -> AnswerReader:
    """What becomes of these pieces."""
    reader = AnswerReader(Seen())
    for piece in pieces:
        reader.feed(piece)
    return reader


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
@pytest.mark.parametrize(
    "data",
    [
        WHOLE,
        CHUNKED + b"14\r\n" + FINE + b"\r\n0\r\n\r\n",
        CHUNKED + b"a;x=y\r\n" + FINE[:10] + b"\r\nA\r\n" + FINE[10:] + b"\r\n0\r\nX-Trailer: 1\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n" * MAX_INFORMATIONAL + WHOLE,
    ],
)
def test_an_answer_in_any_pieces(data: bytes, size: int) -> None:
    """Its body, and that more may follow on its connection; the judge hears its own fields alone."""
    judge = Seen()
    reader = read(data, size, judge)
    assert (bytes(reader.body), reader.done, reader.is_last) == (FINE, True, False)
    [(status, fields)] = judge.told
    assert (status, fields["content-type"]) == (200, "application/json")
    assert not fields.keys() & {"link", "x-trailer"}


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_an_answer_without_a_length_ends_with_its_connection(version: bytes) -> None:
    """As simple servers send it (RFC 9112 §6.3); not when the connection broke."""
    data = b"HTTP/%b 200 OK\r\nContent-Type: application/json\r\n\r\n" % version + FINE
    reader = read(data)
    assert (reader.done, reader.is_last) == (False, True)
    assert reader.at_end(broken=False) == FINE
    with pytest.raises(CallFailed, match=NOT_COMPLETE):
        read(data).at_end(broken=True)


@pytest.mark.parametrize("data", [WHOLE[:-1], CHUNKED + b"14\r\n" + FINE])
def test_half_an_answer_is_none(data: bytes) -> None:
    """An orderly end of the connection makes it no better."""
    with pytest.raises(CallFailed, match=NOT_COMPLETE):
        read(data).at_end(broken=False)


def test_no_answer_at_all_is_told_from_half_of_one() -> None:
    """Only the first may be asked for once more: nothing was answered."""
    with pytest.raises(Lost):
        AnswerReader(Seen()).at_end(broken=True)
    with pytest.raises(CallFailed) as half:
        read(b"HTTP/1.1 2").at_end(broken=False)
    assert not isinstance(half.value, Lost)


@pytest.mark.parametrize(
    ("more", "is_last"),
    [(b"", False), (b"x", True), (WHOLE, True), (b"HTTP/1.1 200 OK\r\n", True)],
)
def test_nothing_may_stand_behind_an_answer(more: bytes, is_last: bool) -> None:
    """It would be taken for the answer to the next question."""
    reader = read(WHOLE + more)
    assert (bytes(reader.body), reader.done, reader.is_last) == (FINE, True, is_last)


def test_a_connection_that_is_to_be_closed_is_not_kept() -> None:
    """By its own word, or by its version."""
    assert read(WHOLE.replace(b"OK\r\n", b"OK\r\nConnection: close\r\n")).is_last
    assert read(WHOLE.replace(b"HTTP/1.1", b"HTTP/1.0")).is_last


@pytest.mark.parametrize(
    "data",
    [
        b"220 mail.example ESMTP\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent Type: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n",
        CHUNKED + b"-1\r\nx\r\n",
        CHUNKED + b"ffffffffffffffffff\r\n",
    ],
)
def test_trap_h1_what_is_not_http_fails(data: bytes) -> None:
    """llhttp is strict; nothing of it is taken for an answer."""
    with pytest.raises(CallFailed, match="not HTTP"):
        read(data + b"x" * 32)


def test_fields_that_are_repeated_are_told_as_one() -> None:
    """A judge that looks at the first alone could be led past the second (RFC 9110 §5.2)."""
    judge = Seen()
    read(OK + b"Content-Encoding: identity\r\ncontent-encoding: gzip\r\nContent-Length: 0\r\n\r\n", 5, judge)
    assert judge.told[0][1]["content-encoding"] == "identity, gzip"


def test_switching_protocols_is_judged() -> None:
    """It is no informational response that something follows."""
    judge = Seen()
    read(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", judge=judge)
    assert judge.told[0][0] == 101


@pytest.mark.parametrize("size", [1, 4096])
def test_one_informational_response_too_many(size: int) -> None:
    """Also when the answer is behind it already."""
    with pytest.raises(CallFailed, match="informational"):
        read(b"HTTP/1.1 102 Processing\r\n\r\n" * (MAX_INFORMATIONAL + 1) + WHOLE, size)


@pytest.mark.parametrize("data", [b"X: y\r\n", b"y"])
def test_a_head_without_end_is_not_read_on(data: bytes) -> None:
    """Neither many fields nor a long one."""
    with pytest.raises(CallFailed, match="before its answer"):
        fed(OK + b"X: ", *[(data * 1000)[:1000]] * (2 * HEAD_BYTES // 1000))


def test_a_body_is_refused_by_its_length_or_where_it_is_too_long() -> None:
    """What came before it is all that was kept."""
    with pytest.raises(CallFailed, match=TOO_LARGE):
        read(OK + b"Content-Length: %d\r\n\r\n" % (MAX_ANSWER_BYTES + 1))
    pieces = [CHUNKED, *[b"4000\r\n" + b"x" * 0x4000 + b"\r\n"] * 9]
    assert len(fed(*pieces[:-1]).body) == MAX_ANSWER_BYTES
    with pytest.raises(CallFailed, match=TOO_LARGE):
        fed(*pieces)


def test_chunks_that_say_much_and_hold_little_are_not_read_for_ever() -> None:
    """An extension of a chunk is no part of the body, and still bounded."""
    chunk, trailer = b"1;" + b"y" * 10_000 + b"\r\nx\r\n", b"X: " + b"y" * 10_000 + b"\r\n"
    enough = MOST_BYTES // 10_000
    for pieces in ([CHUNKED, *[chunk] * enough], [CHUNKED + b"0\r\n", *[trailer] * enough]):
        assert not fed(*pieces[:-2]).done
        with pytest.raises(CallFailed, match=TOO_LARGE):
            fed(*pieces, *pieces[-2:])


def test_a_judge_that_wants_no_body_gets_none() -> None:
    """It is done with the head, however long the body is, and the connection with it."""
    reader = read(OK + b"Content-Length: 99999999\r\n\r\nxxx", judge=Seen(wants=False))
    assert (bytes(reader.body), reader.done, reader.is_last) == (b"", True, True)


@given(st.binary(max_size=200), st.integers(1, 50))
def test_any_bytes_are_an_answer_or_none(data: bytes, size: int) -> None:
    """Nothing but `CallFailed` is raised, and nothing is done that did not say so."""
    for begin in (b"", b"HTTP/1.1 200 OK\r\n", CHUNKED):
        try:
            reader = read(begin + data, size)
            reader.at_end(broken=False)
        except CallFailed:
            continue
        assert len(reader.body) <= len(data)
