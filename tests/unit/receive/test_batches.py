"""Which mail the committing process takes together: the loop and it are both to be at work."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

import pytest

from mairust_core.model.blob import Bytes
from mairust_core.model.delivery import Copy, Delivery, Stored
from mairust_core.model.ids import Id
from mairust_core.receive.committer import Committer, Outcome
from mairust_core.receive.committer_process import Arrivals, answer
from mairust_core.receive.distant_committer import COMING, HEAD, widen
from mairust_core.receive.parcels import pack


class Pipe:
    """What leads to the process, and its inbox."""

    def __init__(self) -> None:
        reading, self.writing = os.pipe()
        widen(self.writing)
        self.arrivals = Arrivals(reading)
        self.reading = reading
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
        batch = self.arrivals.take(0)
        assert [len(one.content.view()) for one in batch] == [one.copies[0].size_bytes for one in batch]
        return [one.copies[0].size_bytes for one in batch]

    def end(self) -> None:
        """Nothing comes any more."""
        os.close(self.writing)
        self.writing = -1

    def rest(self) -> list[int]:
        """What comes until the pipe ends, which it does now."""
        self.end()
        found: list[int] = []
        for _ in range(100):
            try:
                found += self.taken()
            except EOFError:
                return found
        raise AssertionError("the end of the pipe went unnoticed")

    def senders(self, first: int, batches: int, newcomers: int = 0) -> list[int]:
        """How large batches are when senders bring the next mail after the batch behind theirs was taken.

        So does the loop, which makes a batch while another is committed. `newcomers` come after the first.
        """
        self.bring(first)
        sizes: list[int] = []
        answered = newcomers
        for _ in range(batches):
            sizes.append(len(self.taken()))
            self.bring(answered)
            self.arrivals.note_under_way()
            answered = sizes[-1]
        return sizes

    def close(self) -> None:
        """Close both ends."""
        if self.writing >= 0:
            os.close(self.writing)
        os.close(self.reading)


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
    assert pipe.senders(50, batches=8) == [25] * 8


def test_sizes_that_differ_come_together(pipe: Pipe) -> None:
    """A large batch and a small one in turns would have each process wait for the other."""
    assert pipe.senders(60, batches=8, newcomers=60)[-5:] == [60] * 5


class Recorder(Committer):
    """A committer that stores nothing and notes how large batches are; in the first one more mail comes."""

    def __init__(self, pipe: Pipe) -> None:
        self.sizes: list[int] = []
        self._pipe = pipe

    def settle(self, batch: Sequence[Delivery]) -> list[Outcome]:
        """As if stored."""
        if not self.sizes:
            self._pipe.bring(40)
        self.sizes.append(len(batch))
        if len(self.sizes) == 3:
            self._pipe.end()
        return [Stored(ids=tuple(copy.id for copy in one.copies)) for one in batch]


def test_what_is_under_way_is_looked_at_before_a_batch_is_answered(pipe: Pipe) -> None:
    """Of a hundred mails thirty are being committed while the last come: the next batch is half of all."""
    pipe.bring(60)
    recorder = Recorder(pipe)
    reading, answers = os.pipe()
    try:
        answer(recorder, pipe.reading, answers, lambda: 0.0)
    finally:
        os.close(reading)
        os.close(answers)
    assert recorder.sizes == [30, 50, 20]


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


@pytest.mark.parametrize("count", [2, 8, 24])
def test_a_few_mails_go_together(pipe: Pipe, count: int) -> None:
    """The second of them does not wait for another commit."""
    pipe.bring(count)
    assert len(pipe.taken()) == count


def test_many_senders_are_forgotten_when_few_are_left(pipe: Pipe) -> None:
    """Until then all of the few have one batch, and then halves."""
    pipe.bring(200)
    while pipe.taken():
        pipe.arrivals.note_under_way()
    sizes = []
    for _ in range(100):
        pipe.bring(60)
        sizes.append(len(pipe.taken()))
        pipe.arrivals.note_under_way()
        while pipe.taken():
            pipe.arrivals.note_under_way()
    assert sizes[:4] == [60] * 4
    assert sizes[-4:] == [30] * 4
