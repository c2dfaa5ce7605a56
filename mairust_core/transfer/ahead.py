"""Looking ahead in a stream that cannot be wound back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

from mairust_core.transfer.payload import Payload
from mairust_core.transfer.unpacking import UNREADABLE, Read

BLOCK_BYTES = 1 << 20


class Ahead:
    """What was read and not yet taken. Damage ends the stream; `_failure` is what was raised there."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._held = b""
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

    def _pieces(self, size: int) -> Iterator[bytes]:
        """The next bytes, so many or as many as there are; they are no longer held."""
        while size > 0:
            self._need(1)
            if not self._held:
                return
            piece, self._held = self._held[:size], self._held[size:]
            size -= len(piece)
            yield piece

    def _give_back(self, payload: Payload) -> None:
        """Put what was taken in front of everything else, to be read again."""
        pieces: Iterable[bytes] = chain(_emptied(payload), [self._held], self._returned)
        self._returned = filter(None, pieces)
        self._held, self._ended = b"", False


def _emptied(payload: Payload) -> Iterator[bytes]:
    try:
        yield from payload.chunks()
    finally:
        payload.close()
