"""The committing process: parcels from the event loop's process in, batches into the store, outcomes out.

Beside the loop a thread of the same interpreter waits for its turn after every statement, compression and
sync, and so does the loop; a process does not.
"""

from __future__ import annotations

import os
import select
from collections.abc import Callable, Iterator
from mmap import mmap

from mairust_core.model.blob import MEMORY_LIMIT_BYTES
from mairust_core.model.delivery import Delivery
from mairust_core.receive.committer import MAX_BATCH, Committer
from mairust_core.receive.describing import with_facts
from mairust_core.receive.distant_committer import ANSWER, HEAD
from mairust_core.receive.parcels import LONGEST_BYTES, pack_outcomes, unpack

ROOM_BYTES = 4 << 20
"""What one batch may hold of parcels and contents; one mail needs half of it at most."""
assert HEAD.size + LONGEST_BYTES + MEMORY_LIMIT_BYTES <= ROOM_BYTES


def answer(committer: Committer, incoming: int, outgoing: int, upkeep: Callable[[], float]) -> None:
    """Commit what comes until the other side closes its pipe.

    `upkeep` is called between batches, and after the seconds it asked for when none comes.
    """
    inbox = _Inbox(incoming)
    try:
        while True:
            if batch := inbox.take(upkeep()):
                told = pack_outcomes(committer.settle(batch))
                _write(outgoing, ANSWER.pack(len(told)) + told)
    except (EOFError, BrokenPipeError):
        return


def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


class _Inbox:
    """What has come through a pipe and is not taken yet."""

    def __init__(self, fd: int) -> None:
        os.set_blocking(fd, False)
        self._fd = fd
        self._room = memoryview(mmap(-1, ROOM_BYTES))  # takes memory as far as it is used
        self._used = 0
        self._expecting = False
        self._last: tuple[bytes, bytes] | None = None
        self._poll = select.poll()
        self._poll.register(fd, select.POLLIN)

    def take(self, timeout_s: float) -> list[Delivery]:
        """All deliveries that have come, at most a batch; none after `timeout_s`. Raises `EOFError`."""
        while True:
            ended = self._fill()
            if taken := list(self._whole()):
                return taken
            if ended:
                raise EOFError
            if self._expecting:
                self._warm_up()
            if not self._poll.poll(timeout_s * 1000):
                return []

    def _warm_up(self) -> None:
        """Do once more what is done first with a mail: after a pause no cache of the processor holds it."""
        self._expecting = False
        if self._last is not None:
            with_facts(unpack(*self._last))

    def _fill(self) -> bool:
        """Read what there is room for; whether the pipe has ended."""
        while self._used < ROOM_BYTES:
            try:
                read = os.readv(self._fd, [self._room[self._used :]])
            except BlockingIOError:
                return False
            if not read:
                return True
            self._used += read
        return False

    def _whole(self) -> Iterator[Delivery]:
        room, at, count = self._room, 0, 0
        while at + HEAD.size <= self._used and count < MAX_BATCH:
            packed_bytes, content_bytes = HEAD.unpack_from(room, at)
            content_at = at + HEAD.size + packed_bytes
            stop = content_at + content_bytes
            if stop > self._used:
                break
            packed, data = room[at + HEAD.size : content_at], bytes(room[content_at:stop])
            at = stop
            if not packed_bytes:
                self._expecting = True
                continue
            if not count:
                self._last = bytes(packed), data
            yield unpack(packed, data)
            count += 1
        left = self._used - at
        room[:left] = room[at : self._used]
        self._used = left
