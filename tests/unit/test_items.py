"""Streams of items: whole or not at all, however they are cut."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mairust_core.errors import IncompleteStream, Invalid, MaiRustError, Usage
from mairust_core.items import MAX_LINE_BYTES, read_items, write_items
from mairust_core.model.copies import NewCopy
from mairust_core.operations import BytesIn, Item

AT = datetime(2026, 11, 22, 10, 0, 0, 123000, tzinfo=UTC)
BODIES = st.lists(st.binary(max_size=40), max_size=4)


def item(data: bytes, mailbox: str = "INBOX") -> Item[NewCopy]:
    """One item of these bytes."""
    new = NewCopy(mailbox=mailbox, sha256=sha256(data).hexdigest(), received_at=AT, flags=("\\Seen", "$Junk"))
    return Item(value=new, content=BytesIn(chunks=[data[:3], data[3:]], size_bytes=len(data)))


def read(pieces: Iterable[bytes], limit: int | None = None) -> list[tuple[NewCopy, bytes]]:
    """Everything in a stream."""
    found = read_items(pieces, NewCopy, limit=limit)
    return [(one.value, b"".join(one.content.chunks)) for one in found]


def cut(data: bytes, sizes: list[int]) -> Iterator[bytes]:
    """The same octets in pieces of these sizes, then the rest."""
    for size in sizes:
        yield data[:size]
        data = data[size:]
    yield data


@settings(max_examples=60)
@given(BODIES, st.lists(st.integers(1, 30), max_size=30))
def test_items_come_back_however_the_stream_is_cut(bodies: list[bytes], sizes: list[int]) -> None:
    """Values and bytes are those that went in."""
    stream = b"".join(write_items(map(item, bodies)))
    assert read(cut(stream, sizes)) == [(item(body).value, body) for body in bodies]


@settings(max_examples=60)
@given(BODIES, st.data())
def test_a_stream_that_ends_early_is_never_taken_for_whole(bodies: list[bytes], data: st.DataObject) -> None:
    """Wherever it breaks off, reading it to the end raises `IncompleteStream`."""
    stream = b"".join(write_items(map(item, bodies)))
    end = data.draw(st.integers(0, len(stream) - 1))
    with pytest.raises(IncompleteStream):
        read([stream[:end]])


@settings(max_examples=100)
@given(st.binary(max_size=8), st.data())
def test_an_octet_turned_over_is_never_overlooked(body: bytes, data: st.DataObject) -> None:
    """The trailer's hash is of every octet before it."""
    stream = bytearray(b"".join(write_items([item(body), item(b"second")])))
    at = data.draw(st.integers(0, len(stream) - 1))
    stream[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(MaiRustError):
        read([bytes(stream)])


def test_an_item_that_is_not_read_is_passed_over() -> None:
    """The next one begins where it should."""
    stream = b"".join(write_items([item(b"x" * 100_000), item(b"second")]))
    values = [next(iter(one.content.chunks), b"")[:3] for one in read_items([stream], NewCopy)]
    assert values == [b"xxx", b"sec"]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"no json\n", "no JSON"),
        (b"[]\n", "no JSON object"),
        (b'{"item": {}, "size": -1}\n', "has no size"),
        (b'{"item": {}, "size": true}\n', "has no size"),
        (b'{"item": NaN, "size": 1}\n', "no JSON"),
        (b'{"item": ' + b"[" * 100_000, "longer than"),
        (b'{"count":0,"sha256":"%s"}\nmore' % sha256().hexdigest().encode(), "octets follow"),
    ],
    ids=range(7),
)
def test_what_is_no_stream_is_named(line: bytes, why: str) -> None:
    """`Usage` says what is wrong with it."""
    with pytest.raises(Usage, match=why):
        read([line])


@pytest.mark.parametrize(
    "change", [{"copy": 0}, {"copy": "1"}, {"sha256": "x"}, {"more": 1}, {"mailbox": ""}]
)
def test_an_item_is_checked_like_any_request(change: dict[str, object]) -> None:
    """Nothing is converted, and no unknown key is taken."""
    frame = json.loads(next(write_items([item(b"a")])).splitlines()[0])
    frame["item"] |= change
    with pytest.raises(Invalid):
        read([json.dumps(frame).encode() + b"\na\n"])


def test_a_batch_has_a_limit() -> None:
    """One item more than allowed is refused by name."""
    stream = b"".join(write_items([item(b"a")] * 3))
    assert len(read([stream], limit=3)) == 3
    with pytest.raises(Invalid, match="more than 2"):
        read([stream], limit=2)


@pytest.mark.parametrize("size", [3, 5])
def test_a_body_of_another_length_than_announced_is_not_sent(size: int) -> None:
    """The stream ends without its trailer."""
    wrong = Item(value=item(b"").value, content=BytesIn(chunks=[b"four"], size_bytes=size))
    with pytest.raises(IncompleteStream):
        list(write_items([wrong]))


def test_many_small_items_travel_in_few_pieces() -> None:
    """And none of them is much larger than 64 KiB, so that neither end holds more."""
    pieces = list(write_items(item(b"x" * 100) for _ in range(2000)))
    assert len(pieces) < 20
    assert max(map(len, pieces)) < 2 * MAX_LINE_BYTES
