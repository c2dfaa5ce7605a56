"""Which mail the committing process takes together: the loop and it are both to be at work."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator

import pytest

from mairust_core.model.blob import Bytes
from mairust_core.model.delivery import Copy, Delivery
from mairust_core.model.ids import Id
from mairust_core.receive.committer_process import Inbox
from mairust_core.receive.distant_committer import COMING, HEAD
from mairust_core.receive.parcels import pack


class Pipe:
    """What leads to the process, and its inbox."""

    def __init__(self) -> None:
        reading, self.writing = os.pipe()
        fcntl.fcntl(self.writing, fcntl.F_SETPIPE_SZ, 1 << 20)
        self.inbox = Inbox(reading)
        self._reading = reading
        self._sent = 0

    def bring(self, count: int) -> None:
        """Some mails more, each with its number for a size."""
        for _ in range(count):
            self._sent += 1
            copy = Copy(id=Id(self._sent), account_id=1, size_bytes=self._sent)
            data = b"x" * self._sent
            mail = Delivery(tenant_id=1, content=Bytes.of(data), kept=None, copies=(copy,), received_ms=1)
            packed = pack(mail)
            assert packed is not None
            os.write(self.writing, HEAD.pack(len(packed), len(data)) + packed + data)

    def taken(self) -> list[int]:
        """The sizes of a batch, whose contents came with them."""
        batch = self.inbox.take(0)
        assert [len(one.content.view()) for one in batch] == [one.copies[0].size_bytes for one in batch]
        return [one.copies[0].size_bytes for one in batch]

    def rest(self) -> list[int]:
        """What comes until the pipe ends, which it does now."""
        os.close(self.writing)
        self.writing = -1
        found: list[int] = []
        for _ in range(100):
            try:
                found += self.taken()
            except EOFError:
                return found
        raise AssertionError("the end of the pipe went unnoticed")

    def senders(self, count: int, batches: int) -> list[int]:
        """Take batches of mail whose senders bring the next one as soon as theirs is answered."""
        self.bring(count)
        sizes = []
        for _ in range(batches):
            sizes.append(len(self.taken()))
            self.inbox.count()
            self.bring(sizes[-1])
        return sizes

    def close(self) -> None:
        """Close both ends."""
        if self.writing >= 0:
            os.close(self.writing)
        os.close(self._reading)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    """A pipe for one test."""
    made = Pipe()
    yield made
    made.close()


def test_a_lone_mail_waits_for_nothing(pipe: Pipe) -> None:
    """Nor do those that come one after the other."""
    for number in range(1, 5):
        os.write(pipe.writing, COMING)
        pipe.bring(1)
        assert pipe.taken() == [number]
    assert pipe.taken() == []


def test_of_fifty_senders_each_process_has_half(pipe: Pipe) -> None:
    """All come at once; from then on each brings the next mail when it hears of the one before."""
    assert pipe.senders(50, batches=6) == [25] * 6


def test_sizes_that_differ_come_together(pipe: Pipe) -> None:
    """A large batch and a small one in turns would have each process wait for the other."""
    pipe.bring(17)
    while pipe.taken():
        pass
    assert pipe.senders(33, batches=8)[-4:] == [17] * 4
    assert pipe.senders(17, batches=8)[-4:] == [25] * 4


def test_none_is_lost_or_changes_places(pipe: Pipe) -> None:
    """What is left lies first in the next batch; the end of the pipe comes after the last of them."""
    pipe.bring(40)
    found = pipe.taken()
    pipe.bring(30)
    while some := pipe.taken():
        found += some
    assert found == list(range(1, 71))
    pipe.bring(9)
    assert pipe.rest() == list(range(71, 80))


@pytest.mark.parametrize("count", [2, 5, 8])
def test_a_few_mails_go_together(pipe: Pipe, count: int) -> None:
    """The second of them does not wait for another commit."""
    assert pipe.senders(count, batches=4) == [count] * 4


def test_many_senders_are_forgotten_when_few_are_left(pipe: Pipe) -> None:
    """Until then all of the few have one batch."""
    pipe.bring(200)
    while pipe.taken():
        pipe.inbox.count()
    sizes = pipe.senders(20, batches=500)
    assert sizes[:4] == [20] * 4
    assert sizes[-4:] == [10] * 4
