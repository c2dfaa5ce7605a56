"""The committer as the event loop sees it when it is a process of its own: parcels out, outcomes in.

Nothing is asked twice and nothing waits for a turn of the loop that need not: a mail goes into the pipe at
once when nothing is under way, otherwise with all others of its turn. What the pipe does not take waits
here; the process takes of what has come meanwhile no more than half of the mail that is under way.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import struct
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from itertools import islice

from mairust_core.errors import OutcomeUnknown, TooMany
from mairust_core.model.blob import Content
from mairust_core.model.delivery import Delivery
from mairust_core.receive.committer import MAX_QUEUE, Commits, Outcome
from mairust_core.receive.parcels import pack, unpack_outcomes

HEAD = struct.Struct("<II")
"""Before each parcel: how long it is, and how long the content that follows it."""
COMING = HEAD.pack(0, 0)
"""Instead of a parcel: one is coming."""
ANSWER = struct.Struct("<I")
PIPE_BYTES = 1 << 20
MAX_PIECES = 256
"""Of one write; the system takes 1024."""
READ_BYTES = 256 << 10


class DistantCommitter:
    """`Commits` by way of two pipes to `committer_process`. Belongs to one event loop once it is used."""

    def __init__(
        self,
        outgoing: int,
        incoming: int,
        here: Commits,
        lost: Callable[[], None],
        max_waiting: int = MAX_QUEUE,
    ) -> None:
        """`here` commits what does not travel; `lost` is called when the process has ended by itself."""
        self._outgoing, self._incoming = outgoing, incoming
        self._here = here
        self._lost = lost
        self._max_waiting = max_waiting
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: deque[asyncio.Future[Outcome]] = deque()
        self._unsent: deque[bytes | memoryview] = deque()
        self._sending = False
        self._read = b""
        self._closed = False
        for fd in (outgoing, incoming):
            os.set_blocking(fd, False)
            widen(fd)

    def expect(self) -> None:
        """Wake the process if it has nothing to do: that takes as long as it takes to describe a mail."""
        if not self._waiting and not self._closed:
            with suppress(OSError):  # then it wakes later
                os.write(self._outgoing, COMING)

    async def commit(self, delivery: Delivery) -> Outcome:
        """`Stored` once it is durable, or the error for this delivery alone; never raises."""
        packed = pack(delivery)
        if packed is None:
            return await self._here.commit(delivery)
        if self._closed or len(self._waiting) >= self._max_waiting:
            return TooMany("queue", waiting=len(self._waiting))
        loop = self._loop or self.begin()
        future: asyncio.Future[Outcome] = loop.create_future()
        self._add(packed, delivery.content)
        if not self._sending:
            if self._waiting:
                self._sending = True
                loop.call_soon(self._send)
            else:
                self._send()
        self._waiting.append(future)
        return await future

    def _add(self, packed: bytes, content: Content) -> None:
        self._unsent.append(HEAD.pack(len(packed), content.size_bytes) + packed)
        if content.size_bytes:  # of nothing nothing is ever written: it would stay for ever
            self._unsent.append(content.view()[:])

    def begin(self) -> asyncio.AbstractEventLoop:
        """Belong to the running event loop, which notices from now on when the process ends."""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._incoming, self._hear)
        return self._loop

    def _send(self) -> None:
        """Write as much as the pipe takes; the rest when it has room."""
        self._sending = False
        while self._unsent:
            try:
                written = os.writev(self._outgoing, list(islice(self._unsent, MAX_PIECES)))
            except BlockingIOError:
                self._go_on_later()
                return
            except OSError:  # it has ended: the other pipe tells
                self._unsent.clear()
                return
            self._drop(written)

    def _go_on_later(self) -> None:
        assert self._loop is not None
        self._sending = True
        self._loop.add_writer(self._outgoing, self._go_on)

    def _go_on(self) -> None:
        assert self._loop is not None
        self._loop.remove_writer(self._outgoing)
        self._send()

    def _drop(self, written: int) -> None:
        while written:
            piece = self._unsent[0]
            if written < len(piece):
                self._unsent[0] = memoryview(piece)[written:]
                return
            written -= len(piece)
            self._unsent.popleft()

    def _hear(self) -> None:
        """Wake those whose outcomes have come."""
        try:
            data = os.read(self._incoming, READ_BYTES)
        except BlockingIOError:
            return
        if not data:
            self._ended()
            return
        data = self._read + data
        start = 0
        while len(data) >= start + ANSWER.size:
            stop = start + ANSWER.size + ANSWER.unpack_from(data, start)[0]
            if stop > len(data):
                break
            self._tell(unpack_outcomes(data[start + ANSWER.size : stop]))
            start = stop
        self._read = data[start:]

    def _tell(self, outcomes: list[Outcome]) -> None:
        for outcome in outcomes:
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(outcome)

    def _ended(self) -> None:
        self.close()
        self._lost()

    def close(self) -> None:
        """Take no more, and let the process end after the batch that it is at; harmless when repeated.

        Who still waits hears that the outcome is not known, also of mail that is not stored then.
        """
        if self._closed:
            return
        self._closed = True
        if self._loop is not None and not self._loop.is_closed():
            self._loop.remove_reader(self._incoming)
            self._loop.remove_writer(self._outgoing)
        os.close(self._outgoing)
        os.close(self._incoming)
        self._unsent.clear()
        while self._waiting:
            self._tell([OutcomeUnknown("commit", why="the committing process has ended")])


def widen(fd: int) -> None:
    """Have a pipe hold more, where the system allows that."""
    if set_size := getattr(fcntl, "F_SETPIPE_SZ", None):
        with suppress(OSError):  # this user's pipes hold too much already: it is slower, and works
            fcntl.fcntl(fd, set_size, PIPE_BYTES)
