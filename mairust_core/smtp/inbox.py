"""The bytes a client sent and nobody has read yet.

A `StreamReader` that is read in place: whole command lines without waiting, content in large pieces. It
reaches into names that asyncio keeps private; `test_aiosmtpd_private_names` guards them.
"""

from __future__ import annotations

import asyncio

HIGH_WATER_BYTES = 128 << 10
"""Reading from the socket pauses at twice this (asyncio's rule), so a slow disk slows the sender."""


BLANKS = bytes(range(33))
"""Space and control characters, which no command begins with."""
HEAD_BYTES = 16
"""Of an overlong line, enough to know its command."""


class Inbox(asyncio.StreamReader):
    """Received bytes of one connection."""

    _buffer: bytearray
    _eof: bool
    _paused: bool
    _transport: asyncio.Transport
    _head: bytes | None = None
    """How the overlong line that is coming begins."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(limit=HIGH_WATER_BYTES, loop=loop)

    @property
    def buffer(self) -> bytearray:
        """What came and is not consumed; the reader deletes from its front what it took."""
        return self._buffer

    def line(self, limit_bytes: int) -> bytes | None:
        """The next line with its LF, None when it is not complete yet.

        Of one over the limit only how it begins, after blanks, is kept and returned (trap S4); without an LF.
        """
        buffer = self._buffer
        end = buffer.find(b"\n") + 1
        if not end:
            if len(buffer) > limit_bytes:
                self._head = self._beginning(bytes(buffer))
                buffer.clear()
            return None
        line = bytes(buffer[:end])
        del buffer[:end]
        if self._head is not None or end > limit_bytes:
            line, self._head = self._beginning(line[:-1]), None
        return line

    def _beginning(self, piece: bytes) -> bytes:
        return ((self._head or b"") + piece).lstrip(BLANKS)[:HEAD_BYTES]

    def take(self, size_bytes: int) -> bytes:
        """The first `size_bytes` bytes, or as many as there are."""
        if size_bytes >= len(self._buffer):
            taken = bytes(self._buffer)
            self._buffer.clear()
            return taken
        with memoryview(self._buffer) as view, view[:size_bytes] as head:
            taken = bytes(head)
        del self._buffer[:size_bytes]
        return taken

    def drop(self) -> None:
        """Forget everything received so far (RFC 3207 §4.2: nothing sent in clear survives STARTTLS)."""
        self._buffer.clear()
        self._head = None

    def end(self) -> None:
        """Nothing is wanted any more: wake the reader, and let the socket be read empty."""
        self.drop()
        self.feed_eof()
        if self._paused:
            self._paused = False
            self._transport.resume_reading()

    def rebase(self, transport: asyncio.Transport) -> None:
        """Go on with another transport, as after STARTTLS."""
        self._transport = transport
        self._paused = False

    async def more(self) -> bool:
        """Wait until something came; False when nothing will come any more."""
        if self._eof:
            return False
        await self._wait_for_data("more")  # type: ignore[attr-defined]  # private, guarded by a test
        return not self._eof or bool(self._buffer)
