"""Looking ahead in a stream that cannot be wound back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

from mairust_core.transfer.packed.unpacking import UNREADABLE, Read
from mairust_core.transfer.payload import Payload

BLOCK_BYTES = 1 << 20


class Ahead:
    """What was read and not yet taken. Damage ends the stream; `_failure` is what was raised there.

    What is held is a `bytearray`, whose beginning is let go without moving the rest.
    """

    def __init__(self, read: Read) -> None:
        self._read = read
        self._held = bytearray()
        self._ended = False
        self._failure: Exception | None = None
        self._returned: Iterator[bytes] = iter(())

    def _need(self, size: int) -> None:
        while len(self._held) < size and not self._ended:
            self._more()

    def _more(self) -> None:
        block = next(self._returned, b"") or self._from_stream()
        self._ended = not block
        self._held += block

    def _from_stream(self) -> bytes:
        if self._failure is not None:
            return b""
        try:
            return self._read(BLOCK_BYTES)
        except UNREADABLE as error:
            self._failure = error
            return b""

    def _take(self, size: int) -> bytes:
        """So much of what is held, which is no longer held."""
        taken = bytes(self._held[:size])
        del self._held[:size]
        return taken

    def _pieces(self, size: int) -> Iterator[bytes]:
        """The next bytes, so many or as many as there are; they are no longer held."""
        while size > 0:
            self._need(1)
            if not self._held:
                return
            piece = self._take(size)
            size -= len(piece)
            yield piece

    def _give_back(self, payload: Payload) -> None:
        """Put what was taken in front of everything else, to be read again."""
        pieces: Iterable[bytes] = chain(_emptied(payload), [bytes(self._held)], self._returned)
        self._returned = filter(None, pieces)
        self._held.clear()
        self._ended = False


def _emptied(payload: Payload) -> Iterator[bytes]:
    try:
        yield from payload.chunks()
    finally:
        payload.close()
