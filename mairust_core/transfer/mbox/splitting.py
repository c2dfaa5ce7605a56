"""Parting mboxes into their messages, in one pass and little memory, however long they are."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass

from mairust_core.mime.fields import MAX_HEADER_BYTES, header_end
from mairust_core.transfer.dates import HEAD_BYTES
from mairust_core.transfer.mbox.dialects import (
    BOM,
    MARK,
    Dialect,
    begins_mbox,
    content_length,
    fits,
    is_postmark,
    unquote,
)
from mairust_core.transfer.packed import ahead
from mairust_core.transfer.packed.ahead import Ahead
from mairust_core.transfer.packed.unpacking import Read
from mairust_core.transfer.payload import Gathering, Payload

MAX_LINE_BYTES = 16 << 10
"""How much behind a `From ` is looked at to know what it is."""
LONGEST_LINE_BYTES = 4 << 20
"""A longer line is passed on in pieces."""
MAX_HELD_BYTES = 16 << 20
"""A longer message is followed by its `Content-Length` on disk."""
MAX_GUESSED_BYTES = 256 << 20
"""A longer `Content-Length` is believed only of an mbox that somebody says has them, and none is looked into
that would take half of the room there is for it."""
MAX_LIES = 3
"""So many that long are looked into and turn out wrong before none of the mbox is believed any more."""
MAX_TOLD_LIES = 20
"""The same where somebody says that there are some: each costs reading as much again as it tells."""
LOOKED_INTO_BYTES = 4 << 10
"""How much of a message is looked at first for its `Content-Length`."""

_LINE_ENDS = re.compile(rb"[\r\n]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """One message as it lies in an mbox: its `From ` line, and its bytes.

    `guessed` is one whose `Content-Length` should have told where it ends, and did not.
    """

    postmark: bytes
    payload: Payload
    guessed: bool = False


class Splitter(Ahead):
    """Parts an mbox into its messages; holds little more than one block, however long they are.

    Without a `dialect` each message tells whether its `Content-Length` holds. In mboxrd every `From ` line
    parts messages. An empty line in front of it does not belong to them; in an mbox that is known for our
    `own` one line end does not, for a message may be without its last.
    """

    def __init__(self, read: Read, dialect: Dialect | None = None, *, own: bool = False) -> None:
        super().__init__(read)
        self._on_line = True  # what is held begins with a whole line
        self._need(ahead.BLOCK_BYTES)
        if self._held.startswith(BOM):
            self._take(len(BOM))
        self._skip_blank()
        head = self._held[: ahead.BLOCK_BYTES]
        self._end = b"\r" if b"\n" not in head and b"\r" in head else b"\n"
        self._line_end = self._end
        self._exact = dialect is Dialect.MBOXRD
        self._own = own
        self._told = dialect in {Dialect.MBOXCL, Dialect.MBOXCL2}
        self._lengths = dialect is None or self._told
        self._lies = 0

    @property
    def head(self) -> bytes:
        """The beginning of the mbox, empty when there is nothing in it."""
        return bytes(self._held[:HEAD_BYTES])

    def messages(self) -> Iterator[Raw]:
        """Its messages, in order; nothing when it does not begin like an mbox.

        Raises what reading it raised, behind the last message that is whole for certain.
        """
        while begins_mbox(self._held):
            postmark = self._take_line()
            measured = self._measured()
            payload = measured or self._scanned()
            if self._failure is not None and not self._held:
                payload.close()  # nobody knows what would have followed
                break
            yield Raw(postmark=postmark, payload=payload, guessed=self._told and measured is None)
        if self._failure is not None:
            raise self._failure

    def _measured(self) -> Payload | None:
        """The message by its own `Content-Length`, None without one that fits."""
        if not self._lengths:
            return None
        length = content_length(self._header())
        if length is None:
            return None
        stop = sum(length)
        if stop > MAX_HELD_BYTES:
            return self._followed(stop)
        self._need(stop + 16)
        if not fits(self._held, stop):
            return None
        raw = self._take(stop)
        self._skip_blank()
        return Payload.of(raw)

    def _header(self) -> bytes:
        """The fields of the next message; empty when the message is over before they are.

        What would be looked through beyond that belongs to others, and would be again for each of them.
        """
        if self._begins_next():
            return b""
        size, at = LOOKED_INTO_BYTES, 0
        while True:
            self._need(size + MAX_LINE_BYTES)
            start = bytes(self._held[:size])
            end = header_end(start, 0, len(start))
            over, at = self._over(at, end)
            if over:
                return b""
            if end < len(start) or len(start) < size:
                return start[:end]
            if size >= MAX_HEADER_BYTES:
                return b""
            size *= 4

    def _begins_next(self) -> bool:
        """Whether another message follows at once."""
        return self._held.startswith(MARK) and self._parts(0, after_blank=False)

    def _over(self, at: int, end: int) -> tuple[bool, int]:
        """Whether a line between these places parts messages, and where the last one that might is."""
        mark = self._end + MARK
        while (found := self._held.find(mark, at, end)) >= 0:
            if self._parts(found + 1, after_blank=self._is_blank(found)):
                return True, found
            at = found + 1
        return False, max(end - len(mark), at)

    def _followed(self, stop: int) -> Payload | None:
        """The message up to there, on disk meanwhile; None, and all as it was, when none ends there."""
        if self._lies >= (MAX_TOLD_LIES if self._told else MAX_LIES):
            return None
        if not self._told and stop > _guessed_bytes():
            return None
        gathering = Gathering()
        last = b""
        for piece in self._pieces(stop):
            gathering.add(piece)
            last = piece[-1:]
        payload = gathering.finish()
        self._need(16)
        if payload.size_bytes == stop and fits(last + self._held, 1):
            self._skip_blank()
            return payload
        self._lies += 1
        self._give_back(payload)
        return None

    def _scanned(self) -> Payload:
        """The message up to the next line that parts messages, or to the end."""
        gathering = Gathering()
        self._on_line = True
        if self._begins_next():
            return gathering.finish()
        mark, at = self._end + MARK, 0
        while True:
            found = self._held.find(mark, at)
            if found >= 0:
                self._need(found + MAX_LINE_BYTES)
                if self._parts(found + 1, after_blank=self._is_blank(found)):
                    break
                at = found + 1
            elif self._ended:
                found = len(self._held) - 1
                break
            else:
                at = self._pass_on(gathering)
        gathering.add(self._unquoted(self._without_end(self._take(found + 1))))
        return gathering.finish()

    def _parts(self, start: int, *, after_blank: bool) -> bool:
        """Whether the line at `start` parts messages."""
        if self._exact:
            return True
        line, _, rest = bytes(self._held[start : start + MAX_LINE_BYTES]).partition(self._end)
        return is_postmark(line, after_blank=after_blank, next_line=rest[:200])

    def _is_blank(self, line_end: int) -> bool:
        """Whether the line that ends there is empty."""
        before = self._held[max(line_end - 2, 0) : line_end]
        if before.endswith(b"\r") and self._end == b"\n":
            before = before[:-1]
        elif len(before) == 2:
            before = before[1:]
        return before == self._end or (not before and self._on_line)

    def _without_end(self, raw: bytes) -> bytes:
        """A message without the empty line behind it, which belongs to the mbox."""
        if self._own:
            return raw.removesuffix(self._line_end)
        line_end = b"\r\n" if raw.endswith(b"\r\n") else self._end
        if not raw.endswith(line_end):
            return raw
        shorter = raw[: -len(line_end)]
        return shorter if shorter.endswith(self._end) or (not shorter and self._on_line) else raw

    def _pass_on(self, gathering: Gathering) -> int:
        """Take what is searched out of what is held, and hold more; where to go on searching."""
        keep = max(len(self._held) - MAX_LINE_BYTES, 0)
        cut = self._held.rfind(self._end, 0, keep) + 1
        on_line = True
        if cut <= ahead.BLOCK_BYTES // 2 and len(self._held) > LONGEST_LINE_BYTES:
            cut, on_line = keep, False
        if cut > ahead.BLOCK_BYTES // 2:
            gathering.add(self._unquoted(self._take(cut)))
            self._on_line = on_line
        at = max(len(self._held) - len(b"\n" + MARK), 0)
        self._more()
        return at

    def _unquoted(self, raw: bytes) -> bytes:
        if not self._exact:
            return raw
        start = 0 if self._on_line else raw.find(self._end) + 1 or len(raw)
        return raw[:start] + unquote(raw[start:])

    def _take_line(self) -> bytes:
        self._need(MAX_LINE_BYTES)
        line, end, _ = bytes(self._held[:MAX_LINE_BYTES]).partition(self._end)
        self._take(len(line) + len(end))
        self._line_end = b"\r\n" if end == b"\n" and line.endswith(b"\r") else self._end
        return line

    def _skip_blank(self) -> None:
        while True:
            blank = _LINE_ENDS.match(self._held)
            self._take(blank.end() if blank else 0)
            if self._held or self._ended:
                return
            self._more()


def _guessed_bytes() -> int:
    return min(MAX_GUESSED_BYTES, shutil.disk_usage(tempfile.gettempdir()).free // 2)
