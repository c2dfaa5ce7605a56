"""Content on its way in: DATA to its final dot, BDAT to its size, checked on the way (traps S1, S2, S13)."""

from __future__ import annotations

import io
import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from mairust_core.errors import MaiRustError
from mairust_core.smtp import replies

if TYPE_CHECKING:
    from mairust_core.model.blob import Content
    from mairust_core.model.reply import Reply
    from mairust_core.receive import Collector
    from mairust_core.smtp.inbox import Inbox

END = b"\r\n.\r\n"
PIECE_BYTES = 64 << 10
"""Content is handed on from this size, so that one connection holds little of it."""

# Patterns that begin with an octet of their own are searched for twice as fast as `bytes.find` does it.
_DOT = re.compile(rb"\r\n\.")
_BLANK_LINE = re.compile(rb"\n\r?\n")


class Intake:
    """Takes the content of one mail; the first fault found stays the verdict, the rest is only drained."""

    def __init__(
        self, collector: Collector, *, max_size_bytes: int, max_hops: int, bare_newlines: bool
    ) -> None:
        self.refusal: Reply | None = None
        self.size_bytes = 0
        self._collector = collector
        self._max_size_bytes = max_size_bytes
        self._bare_newlines = bare_newlines
        self._held = b""
        self._hops = HopCount(max_hops)

    def write(self, piece: bytes) -> None:
        """Take the next bytes of content, cut anywhere."""
        self.size_bytes += len(piece)
        if self.refusal is not None:
            return
        if self.size_bytes > self._max_size_bytes:
            self.refuse(replies.TOO_BIG)
            return
        if not self._bare_newlines:
            piece = self._held + piece if self._held else piece
            # A CR at the cut is judged together with what follows it.
            self._held = b"\r" if piece.endswith(b"\r") else b""
            piece = piece[:-1] if self._held else piece
            if has_bare_newline(piece):
                self.refuse(replies.BARE_NEWLINE)
                return
        self._keep(piece)

    def finish(self) -> Content | None:
        """The handle of the whole content; None when it was refused."""
        if self._held and self.refusal is None:
            self.refuse(replies.BARE_NEWLINE)
        if self.refusal is not None:
            return None
        try:
            return self._collector.finish()
        except MaiRustError as error:
            self.refuse(error.reply)
            return None

    def refuse(self, reply: Reply) -> None:
        """Give the content up: nothing more is kept, `reply` is the answer at its end."""
        self.refusal = self.refusal or reply
        self._collector.discard()

    def abandon(self) -> None:
        """Forget what came; the mail will not be finished."""
        self._collector.discard()

    def _keep(self, piece: bytes) -> None:
        if self._hops.over(piece):
            self.refuse(replies.TOO_MANY_HOPS)
            return
        try:
            self._collector.write(piece)
        except MaiRustError as error:
            self.refuse(error.reply)


class HopCount:
    """Counts `Received` fields in the header section, however it is cut (RFC 5321 §6.3)."""

    _OVERLAP = len(b"\nreceived:") - 1

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._count = 0
        self._tail = b"\n"
        self._in_header = True

    def over(self, piece: bytes) -> bool:
        """Count on; True when there are more than the limit."""
        if not self._in_header:
            return False
        text = self._tail + piece
        if end_of_header := _BLANK_LINE.search(text):
            self._in_header = False
            text = text[: end_of_header.start()]
        self._count += text.lower().count(b"\nreceived:")
        self._tail = text[-self._OVERLAP :]
        return self._count > self._limit


def has_bare_newline(piece: bytes) -> bool:
    """Whether a CR or an LF stands alone (RFC 5321 §2.3.8)."""
    # The text layer's decoder notes which line ends it sees: half the time of replacing or counting them.
    seen = io.IncrementalNewlineDecoder(None, translate=False)
    seen.decode(piece.decode("latin-1"), final=True)
    return seen.newlines is not None and seen.newlines != "\r\n"


async def read_to_dot(
    inbox: Inbox, write: Callable[[bytes], None], more: Callable[[], Awaitable[bool]]
) -> bool:
    """Hand on everything up to CRLF.CRLF, dots unstuffed (RFC 5321 §4.5.2); False when it never came.

    Only these five bytes end it (trap S1). The CRLF of the DATA command counts as the first two.
    """
    buffer = inbox.buffer
    buffer[:0] = b"\r\n"
    skip, searched, dots = 2, 0, Dots()
    while (end := dots.end(buffer, searched)) < 0:
        if len(buffer) >= PIECE_BYTES:
            write(dots.unstuffed(inbox.take(_safe_cut(buffer)))[skip:])
            skip = 0
        searched = max(0, len(buffer) - len(END) + 1)
        if not await more():
            return False
    write(dots.unstuffed(inbox.take(end + 2))[skip:])
    del buffer[:3]
    return True


class Dots:
    """Looks for the final dot, and notices on the way whether any other line begins with a dot."""

    def __init__(self) -> None:
        self._stuffed = False

    def end(self, buffer: bytearray, start: int) -> int:
        """Where CRLF.CRLF begins, from `start` on; -1 while it is not there. One search for most mail."""
        if not self._stuffed:
            dot = _DOT.search(buffer, start)
            if dot is None:
                return -1
            start = dot.start()
            follow = buffer[start + 3 : start + 5]
            if follow == b"\r\n":
                return start
            self._stuffed = not b"\r\n".startswith(follow)
        return buffer.find(END, start)

    def unstuffed(self, piece: bytes) -> bytes:
        """A piece that `end` looked through, cut where no dot is hurt."""
        return piece.replace(b"\r\n.", b"\r\n") if self._stuffed else piece


async def read_octets(
    inbox: Inbox, size_bytes: int, write: Callable[[bytes], None], more: Callable[[], Awaitable[bool]]
) -> bool:
    """Hand on exactly `size_bytes` bytes, untouched (RFC 3030 §2); False when they never came."""
    while size_bytes:
        piece = inbox.take(size_bytes)
        if piece:
            size_bytes -= len(piece)
            write(piece)
        elif not await more():
            return False
    return True


def _safe_cut(buffer: bytearray) -> int:
    """Where the buffer may be cut so that neither the final dot nor a stuffed one lies across the cut."""
    cut = len(buffer) - 2
    if buffer.endswith(b"\r\n", 0, cut):
        return cut - 2
    return cut - 1 if buffer.endswith(b"\r", 0, cut) else cut
