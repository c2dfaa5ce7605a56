"""Content reading, cut anywhere."""

from __future__ import annotations

import asyncio
import random

import pytest

from mairust_core.smtp.data import PIECE_BYTES, HopCount, Intake, has_bare_newline, read_octets, read_to_dot
from mairust_core.smtp.inbox import Inbox
from mairust_core.smtp.memory import MemoryCollector


class Feed:
    """An inbox that gets its bytes piece by piece, without a socket."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.inbox = Inbox(asyncio.get_running_loop())
        self._pieces = pieces

    async def more(self) -> bool:
        """The next piece, if there is one."""
        if not self._pieces:
            return False
        self.inbox.feed_data(self._pieces.pop(0))
        return True


def pieces_of(data: bytes, chance: random.Random) -> list[bytes]:
    """The data cut at random."""
    cuts = sorted(chance.choices(range(len(data) + 1), k=chance.randrange(8)))
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


def expected(data: bytes) -> tuple[bytes, bytes] | None:
    """Content and what is left, by the book: line by line, lines ending in CRLF only (RFC 5321 §4.5.2)."""
    lines = data.split(b"\r\n")
    for number, line in enumerate(lines[:-1]):
        if line == b".":
            content = [line.removeprefix(b".") for line in lines[:number]]
            return b"".join(line + b"\r\n" for line in content), b"\r\n".join(lines[number + 1 :])
    return None


async def test_read_to_dot_equals_the_book() -> None:
    """Random mixes of dots, CR, LF and text, cut at random, are read as the RFC's words say."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    big = b"x" * (PIECE_BYTES - 3)
    for _ in range(1500):
        words = [b".", b"\r\n", b"\r\n.", b"\r", b"\n", b"ab", *([big] if chance.random() < 0.2 else [])]
        data = b"".join(chance.choices(words, k=chance.randrange(30))) + chance.choice(
            [b"", b"\r\n.\r\nNOOP\r\n"]
        )
        feed, written = Feed(pieces_of(data, chance)), bytearray()
        done = await read_to_dot(feed.inbox, written.extend, feed.more)
        rest = bytes(feed.inbox.buffer)
        while await feed.more():
            rest = bytes(feed.inbox.buffer)
        assert (done, (bytes(written), rest) if done else None) == (
            expected(data) is not None,
            expected(data),
        )


@pytest.mark.parametrize("around", range(-8, 9))
@pytest.mark.parametrize("tail", [b"\r\n..x\r\n.\r\n", b"\r\n.\r\n", b"\r\r\n.\r\n", b"\r\n\r\n..\r\n.\r\n"])
async def test_trap_s1_the_end_may_lie_across_any_cut(around: int, tail: bytes) -> None:
    """Where a large mail is handed on in pieces neither its end nor a stuffed dot is missed."""
    data = b"x" * (PIECE_BYTES + around) + tail
    for step in (1, 2, 3, 5, 7, len(tail)):
        start = len(data) - len(tail)
        pieces = [data[:start], *(data[i : i + step] for i in range(start, len(data), step))]
        feed, written = Feed(pieces), bytearray()
        assert await read_to_dot(feed.inbox, written.extend, feed.more)
        found = expected(data)
        assert found is not None
        assert bytes(written) == found[0]


async def test_read_octets_takes_exactly_its_size() -> None:
    """A chunk is as long as announced, whatever is in it; a missing end is told."""
    chance = random.Random(3)
    for size in (0, 1, 10, 100_000):
        data = chance.randbytes(size)
        feed, written = Feed(pieces_of(data + b"QUIT\r\n", chance)), bytearray()
        assert await read_octets(feed.inbox, size, written.extend, feed.more)
        assert bytes(written) == data
    assert not await read_octets(Feed([b"abc"]).inbox, 4, bytearray().extend, Feed([]).more)


def intake(collector: MemoryCollector, *, bare_newlines: bool = False, max_size_bytes: int = 100) -> Intake:
    """An intake with small limits."""
    return Intake(collector, max_size_bytes=max_size_bytes, max_hops=3, bare_newlines=bare_newlines)


@pytest.mark.parametrize(
    "content", [b"a\r\nb\r\n", b"a\nb", b"a\r", b"\n", b"\r\r\n", b"a\r\n\n", b"", b"\r\n"]
)
def test_rule_b3_bare_newlines_are_found_across_cuts(content: bytes) -> None:
    """The verdict on bare newlines does not depend on where the content is cut."""
    bare = b"\r" in content.replace(b"\r\n", b"") or b"\n" in content.replace(b"\r\n", b"")
    assert has_bare_newline(content) == bare
    for cut in range(len(content) + 1):
        collector = MemoryCollector()
        taking = intake(collector)
        for piece in (content[:cut], content[cut:]):
            taking.write(piece)
        kept = taking.finish()
        assert (kept is None) == bare
        assert kept is None or kept.view()[:] == content
        assert collector.discarded == bare


def test_the_first_fault_is_the_verdict() -> None:
    """What comes after a refusal is counted, not kept, and does not change the reply."""
    collector = MemoryCollector()
    taking = intake(collector)
    taking.write(b"bare\n")
    taking.write(b"x" * 1000)
    assert taking.finish() is None
    assert taking.refusal is not None
    assert taking.refusal.enhanced == "5.6.11"
    assert taking.size_bytes == 1005


@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
def test_trap_s13_hops_are_counted_across_cuts(end: bytes) -> None:
    """Received fields count in the header only, in any case, wherever the content is cut."""
    field = b"Received: from a" + end + b"\tby b" + end
    for header, over in ((field * 3, False), (field.upper() * 4, True)):
        content = b"X-Received: no" + end + header + end + field * 9
        for cut in range(len(content)):
            count = HopCount(3)
            first = count.over(content[:cut])
            assert (count.over(content[cut:]) or first) == over
