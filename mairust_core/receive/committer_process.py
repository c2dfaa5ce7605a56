"""The committing process: parcels from the event loop's process in, batches into the store, outcomes out.

Beside the loop a thread of the same interpreter waits for its turn after every statement, compression and
sync, and so does the loop; a process does not.
"""

from __future__ import annotations

import os
import select
from collections.abc import Callable
from math import ceil
from mmap import mmap
from typing import NamedTuple

from mairust_core.model.blob import MEMORY_LIMIT_BYTES
from mairust_core.model.delivery import Delivery
from mairust_core.receive.committer import MAX_BATCH, Committer
from mairust_core.receive.describing import with_facts
from mairust_core.receive.distant_committer import ANSWER, HEAD
from mairust_core.receive.parcels import LONGEST_BYTES, pack_outcomes, unpack

ROOM_BYTES = 4 << 20
"""What may lie here of parcels and contents; one mail needs half of it at most."""
assert HEAD.size + LONGEST_BYTES + MEMORY_LIMIT_BYTES <= ROOM_BYTES
WHOLE_MAILS = 24
"""So many go together even so: a commit more costs as much as four of them."""
FADING = 0.99
"""Of how much mail was under way together, what still counts a batch later."""


def answer(committer: Committer, incoming: int, outgoing: int, upkeep: Callable[[], float]) -> None:
    """Commit what comes until the other side closes its pipe.

    `upkeep` is called between batches, and after the seconds it asked for when none comes.
    """
    arrivals = Arrivals(incoming)
    try:
        while True:
            if batch := arrivals.take(upkeep()):
                told = pack_outcomes(committer.settle(batch))
                arrivals.note_under_way()
                _write(outgoing, ANSWER.pack(len(told)) + told)
    except (EOFError, BrokenPipeError):
        return


def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


class _Place(NamedTuple):
    """Where a parcel lies in the room: it begins at `packed`, its content at `content`."""

    packed: int
    content: int
    stop: int


class Arrivals:
    """What has come through a pipe and is not taken yet."""

    def __init__(self, fd: int) -> None:
        os.set_blocking(fd, False)
        self._fd = fd
        self._room = memoryview(mmap(-1, ROOM_BYTES))  # takes memory as far as it is used
        self._used = 0
        self._expecting = False
        self._unanswered = 0
        self._lately_under_way = 0.0
        self._sample: tuple[bytes, bytes] | None = None
        self._poll = select.poll()
        self._poll.register(fd, select.POLLIN)

    def take(self, timeout_s: float) -> list[Delivery]:
        """The next batch of what has come; none after `timeout_s`. Raises `EOFError`."""
        while True:
            ended = self._fill()
            if taken := self._next_batch():
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
        if self._sample is not None:
            with_facts(unpack(*self._sample))

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

    def note_under_way(self) -> None:
        """Note how much mail is under way: to be called before the last batch is answered.

        Its senders bring nothing until then, so that what has come is of others.
        """
        self._fill()
        here, _ = self._whole()
        self._lately_under_way = max(self._unanswered + len(here), self._lately_under_way * FADING)

    def _next_batch(self) -> list[Delivery]:
        """What is here, but no more than half of the mail that was under way together lately.

        While a batch is committed the loop makes the next one, for the senders of the one before. Left alone
        one becomes large and the other small, and in turns each process waits for the other.
        """
        here, stop = self._whole()
        taken = here[: max(WHOLE_MAILS, ceil(max(len(here), self._lately_under_way) / 2))]
        parcels = [self._parcel(one) for one in taken]
        batch = [unpack(packed, data) for packed, data in parcels]
        if parcels:
            self._unanswered = len(parcels)
            packed, data = parcels[0]
            self._sample = bytes(packed), data
            stop = taken[-1].stop
        self._drop(stop)
        return batch

    def _whole(self) -> tuple[list[_Place], int]:
        """Where parcels are that have come whole, at most a batch, and where the last of them ends."""
        found: list[_Place] = []
        at = 0
        while at + HEAD.size <= self._used and len(found) < MAX_BATCH:
            packed_bytes, content_bytes = HEAD.unpack_from(self._room, at)
            content_at = at + HEAD.size + packed_bytes
            stop = content_at + content_bytes
            if stop > self._used:
                break
            if packed_bytes:
                found.append(_Place(at + HEAD.size, content_at, stop))
            else:
                self._expecting = True
            at = stop
        return found, at

    def _parcel(self, at: _Place) -> tuple[memoryview, bytes]:
        return self._room[at.packed : at.content], bytes(self._room[at.content : at.stop])

    def _drop(self, stop: int) -> None:
        left = self._used - stop
        self._room[:left] = self._room[stop : self._used]
        self._used = left
