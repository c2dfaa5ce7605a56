"""Real messages for the load, from the corpora where ``MAIRUST_CORPORA`` points, else made ones.

A message is cut in two inside its Message-ID, where each transaction puts a token of its own: no two messages
sent are the same bytes, so that a store which keeps equal content once gains nothing by it.
"""

from __future__ import annotations

import os
import pickle
import random
import re
import statistics
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

SMALLEST_BYTES, LARGEST_BYTES = 6_000, 48_000
"""Chosen so that the median of what is left of ``spam-dev`` is about 10 KB."""

LONGEST_LINE = 998
"""RFC 5322 §2.1.1; the stock aiosmtpd refuses longer ones, and all servers get the same mail."""

MADE_COUNT, MADE_SEED = 1_000, 2822

_MESSAGE_ID = re.compile(rb"^Message-ID:\s*<", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Message:
    """One message in CRLF form, dot-stuffed, cut where a transaction's token goes; without the final dot."""

    head: bytes
    tail: bytes

    def whole(self, token: bytes = b"0.") -> bytes:
        """The message as content, before dot-stuffing, with ``token`` in it."""
        return (self.head + token + self.tail).replace(b"\r\n.", b"\r\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """The messages of a run and where they come from; sizes in bytes."""

    messages: Sequence[Message]
    source: str

    def __str__(self) -> str:
        sizes = [len(message.head) + len(message.tail) for message in self.messages]
        median, mean = statistics.median(sizes), statistics.mean(sizes)
        return f"{len(sizes)} messages ({self.source}), median {median:,.0f} bytes, mean {mean:,.0f} bytes"


def read_corpus() -> Corpus:
    """Take the real messages when the corpora are there, otherwise made ones (and say so in ``source``)."""
    root = os.environ.get("MAIRUST_CORPORA")
    if root:
        return Corpus(messages=list(_chosen(read_spam_dev(Path(root)))), source="real: spam-dev")
    return Corpus(messages=list(_chosen(make_messages())), source="MADE: MAIRUST_CORPORA is not set")


def read_spam_dev(root: Path) -> Iterator[bytes]:
    """Yield each message of ``spam-dev.tar.zst`` below ``root``, bytes as they lie there."""
    import zstandard

    with (
        open(root / "spam-dev.tar.zst", "rb") as packed,
        zstandard.ZstdDecompressor().stream_reader(packed) as stream,
        tarfile.open(fileobj=stream, mode="r|") as archive,
    ):
        for member in archive:
            file = archive.extractfile(member) if member.name.endswith(".eml") else None
            if file is not None:
                yield file.read()


def make_messages() -> Iterator[bytes]:
    """Yield made messages, log-normal in size as real mail is; the same at each call."""
    chance = random.Random(MADE_SEED)
    words = [f"{chance.randrange(36**6):x}" for _ in range(4_000)]
    for number in range(MADE_COUNT):
        size = min(chance.lognormvariate(8.95, 0.5), 0.9 * LARGEST_BYTES)
        picked = chance.choices(words, k=9 * int(size // 69))
        lines = [" ".join(picked[at : at + 9]) for at in range(0, len(picked), 9)]
        fields = (
            f"From: A {number} <a{number}@example.net>",
            f"Subject: {lines[0]}",
            f"Message-ID: <{number}@a>",
        )
        yield "\n".join((*fields, "", *lines, "")).encode()


def to_wire(raw: bytes) -> bytes:
    """Give stored bytes their wire form: no ``From `` line, CRLF ends, no bare CR, one CRLF at the end."""
    if raw.startswith(b"From "):
        raw = raw.partition(b"\n")[2]
    lines = raw.replace(b"\r", b"").rstrip(b"\n").split(b"\n")
    return b"\r\n".join(lines) + b"\r\n"


def cut(wire: bytes) -> Message:
    """Dot-stuff (RFC 5321 §4.5.2) and cut inside the Message-ID; a message without one gets one."""
    stuffed = wire.replace(b"\r\n.", b"\r\n..")
    if stuffed.startswith(b"."):
        stuffed = b"." + stuffed
    fields_end = stuffed.find(b"\r\n\r\n")
    found = _MESSAGE_ID.search(stuffed, 0, max(fields_end, 0))
    if found is None:
        return Message(b"Message-ID: <", b"load@example.net>\r\n" + stuffed)
    return Message(stuffed[: found.end()], stuffed[found.end() :])


def _chosen(raw_messages: Iterator[bytes]) -> Iterator[Message]:
    for raw in raw_messages:
        wire = to_wire(raw)
        if (
            SMALLEST_BYTES <= len(wire) <= LARGEST_BYTES
            and max(map(len, wire.split(b"\r\n"))) <= LONGEST_LINE
        ):
            yield cut(wire)


def save_messages(messages: Sequence[Message], path: Path) -> None:
    """Write messages for a child process to read: reading the archive again would cost it a second."""
    path.write_bytes(pickle.dumps([(message.head, message.tail) for message in messages]))


def load_messages(path: Path) -> list[Message]:
    """Read what ``save_messages`` wrote."""
    return [Message(head, tail) for head, tail in pickle.loads(path.read_bytes())]
