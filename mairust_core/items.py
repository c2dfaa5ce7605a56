"""How items with bytes travel over one stream, so that a reader knows when it has them all.

    {"item": {…}, "size": 1234}⏎        what is said of an item, one line of JSON, then so many bytes, then ⏎
    …1234 bytes…⏎
    {"count": 1, "sha256": "…"}⏎        the trailer: how many items, and the hash of all octets before it

Nothing is read ahead: both ends hold one line and one piece of bytes. A stream without its trailer, or
with a wrong one, is `IncompleteStream`, whatever came before.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import Any, TypeVar

from mairust_core import wire
from mairust_core.errors import IncompleteStream, Invalid, Usage
from mairust_core.operations import BytesIn, Item

MEDIA_TYPE = "application/vnd.mairust.items"
MAX_LINE_BYTES = 1 << 16
PIECE_BYTES = 1 << 16

T = TypeVar("T")


def write_items(items: Iterable[Item[T]]) -> Iterator[bytes]:
    """The octets of a stream, in pieces of about 64 KiB; raises `IncompleteStream` for a wrong size."""
    digest, count = sha256(), 0
    for piece in _joined(_frames(items)):
        if piece is None:
            count += 1
            continue
        digest.update(piece)
        yield piece
    yield _line({"count": count, "sha256": digest.hexdigest()})


def _frames(items: Iterable[Item[Any]]) -> Iterator[bytes | None]:
    """Pieces of the frames, and None behind each item."""
    for item in items:
        announced = item.content.size_bytes
        if announced is None:
            raise ValueError("an item of a stream has a size")
        yield _line({"item": wire.encode(item.value), "size": announced})
        sent = 0
        for chunk in item.content.chunks:
            sent += len(chunk)
            if sent > announced:
                break
            yield chunk
        if sent != announced:
            raise IncompleteStream("upload", sent=sent, announced=announced)
        yield b"\n"
        yield None


def _joined(frames: Iterator[bytes | None]) -> Iterator[bytes | None]:
    """Small pieces together, so that not each of them becomes a packet."""
    held: list[bytes] = []
    size = 0
    for piece in frames:
        if piece is None:
            yield None
            continue
        held.append(piece)
        size += len(piece)
        if size >= PIECE_BYTES:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)


def _line(value: dict[str, Any]) -> bytes:
    return wire.dumps(value) + b"\n"


def read_items(pieces: Iterable[bytes], kind: Any, *, limit: int | None = None) -> Iterator[Item[Any]]:
    """The items of a stream, each to be read before the next; what is left of one is passed over.

    Raises `Usage` for what is no such stream, `Invalid` for an item that is not of `kind`, or beyond `limit`
    items, and `IncompleteStream` at an end without the right trailer.
    """
    reader = _Reader(pieces)
    count = 0
    while True:
        before = reader.digest()
        frame = _frame(reader.line())
        if "item" not in frame:
            break
        count += 1
        if limit is not None and count > limit:
            raise Invalid("items", "too_many_items", limit=limit)
        body = reader.body(_size(frame))
        yield Item(
            value=wire.decode_value(kind, frame["item"]),
            content=BytesIn(chunks=body, size_bytes=frame["size"]),
        )
        for _ in body:
            pass
        reader.expect(b"\n")
    if frame.get("count") != count or frame.get("sha256") != before:
        raise IncompleteStream("items", why="its trailer does not fit what came")
    reader.end()


def _frame(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise Usage("items", why=f"a line is no JSON: {str(error)[:80]}") from None
    if not isinstance(found, dict):
        raise Usage("items", why="a line is no JSON object")
    return found


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no number")


def _size(frame: dict[str, Any]) -> int:
    size = frame.get("size")
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise Usage("items", why="an item has no size")
    return size


class _Reader:
    """Lines and bodies out of pieces of any length; the hash runs behind."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._held = b""
        self._at = 0
        self._hash = sha256()

    def digest(self) -> str:
        """The hash of everything taken so far."""
        return self._hash.copy().hexdigest()

    def line(self) -> bytes:
        """The next line, without its end."""
        while (end := self._held.find(b"\n", self._at)) < 0:
            if len(self._held) - self._at > MAX_LINE_BYTES:
                raise Usage("items", why=f"a line is longer than {MAX_LINE_BYTES} bytes")
            self._more()
        return self._take(end + 1)[:-1]

    def body(self, size: int) -> Iterator[bytes]:
        """So many bytes, in pieces."""
        while size:
            if self._at == len(self._held):
                self._more()
            piece = self._take(min(len(self._held), self._at + size))
            size -= len(piece)
            yield piece

    def expect(self, octets: bytes) -> None:
        """Pass over these octets; raises `Usage` when others stand there."""
        if b"".join(self.body(len(octets))) != octets:
            raise Usage("items", why="an item is not as long as it says")

    def end(self) -> None:
        """Raise `Usage` when octets follow."""
        if self._held[self._at :] or any(self._pieces):
            raise Usage("items", why="octets follow its trailer")

    def _take(self, stop: int) -> bytes:
        piece = self._held[self._at : stop]
        self._at = stop
        self._hash.update(piece)
        return piece

    def _more(self) -> None:
        piece = next(self._pieces, None)
        if piece is None:
            raise IncompleteStream("items", why="it ends without its trailer")
        self._held = self._held[self._at :] + piece
        self._at = 0
