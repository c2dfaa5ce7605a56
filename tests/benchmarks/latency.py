"""One message on an idle server, DATA to 250, beside what the disk and the database alone need for it.

``python -m tests.benchmarks.latency [--samples 200]``

The floor: append the message to one file and fdatasync it, then one SQLite transaction (WAL, FULL) writing
the rows that MaiRust wrote for that message, through the bare driver. Both take turns with a pause between,
so that each finds an idle machine; the naive server is there for scale. Judged is the time from sending DATA
to reading the 250, one round trip more than from the final dot, which is printed beside it.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tests.benchmarks.corpus import Message, read_corpus
from tests.benchmarks.mirror import Mirror
from tests.benchmarks.servers import Server, python, running
from tests.benchmarks.sites import Site, addresses, copy_site, mairust_exists, make_site, serving
from tests.benchmarks.table import Goal, render, verdict

GOAL = 1.5
PAUSE_S = 0.02
SOCKET_TIMEOUT_S = 20.0

OURS, FLOOR = "MaiRust", "floor"
DATABASE = "mairust.db"

Timed = Callable[[Message, bytes], tuple[float, float]]
"""Handles one message with this token; returns the seconds from DATA and those from the final dot."""


class Floor:
    """Append + fdatasync + one transaction: nothing durable is faster with these parts."""

    def __init__(self, segment: Path, mirror: Mirror) -> None:
        self._segment = os.open(segment, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._mirror = mirror

    def __call__(self, message: Message, token: bytes) -> tuple[float, float]:
        """As ``Timed``, after MaiRust had the same message; there is no DATA, so both times are the same."""
        content, ahead = message.whole(token), self._mirror.look()
        if not ahead.rows:
            raise RuntimeError("MaiRust committed no rows for the message: the floor has nothing to write")
        time.sleep(PAUSE_S)
        begun = time.perf_counter()
        os.write(self._segment, content)
        os.fdatasync(self._segment)
        self._mirror.write(ahead)
        took = time.perf_counter() - begun
        return took, took


class Dialogue:
    """One kept SMTP connection, one command at a time."""

    def __init__(self, server: Server, recipient: str) -> None:
        self._socket = socket.create_connection((server.host, server.port), SOCKET_TIMEOUT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._replies = self._socket.makefile("rb")
        self._recipient = recipient.encode()
        self._reply(b"220")
        self._say(b"EHLO latency.example.net\r\n", b"250")

    def __call__(self, message: Message, token: bytes) -> tuple[float, float]:
        """As ``Timed``."""
        content = b"".join((message.head, token, message.tail, b".\r\n"))
        self._say(b"MAIL FROM:<load@example.net>\r\n", b"250")
        self._say(b"RCPT TO:<%s>\r\n" % self._recipient, b"250")
        begun = time.perf_counter()
        self._say(b"DATA\r\n", b"354")
        sent = time.perf_counter()
        self._say(content, b"250")
        done = time.perf_counter()
        return done - begun, done - sent

    def _say(self, line: bytes, wanted: bytes) -> None:
        self._socket.sendall(line)
        self._reply(wanted)

    def _reply(self, wanted: bytes) -> None:
        line = self._replies.readline()
        while line[3:4] == b"-":
            line = self._replies.readline()
        if line[:3] != wanted:
            raise RuntimeError(f"the server answered {line!r} where {wanted!r} was due")


@contextlib.contextmanager
def contestants(scratch: Path) -> Iterator[dict[str, Timed]]:
    """One open dialogue per server, then the floor, in the order of their turns."""
    site = Site(directory=scratch / "site")
    make_site(site, 1)
    copy = copy_site(site, scratch / "floor", None)
    recipient = addresses(1)[0]
    reference = python("tests.benchmarks.naive", "--data", scratch / "naive")
    with running(reference, scratch / "naive-run") as naive, serving(site) as ours:
        mirror = Mirror(copy.directory / DATABASE, site.directory / DATABASE)
        with contextlib.closing(mirror):
            yield {
                "naive": Dialogue(naive, recipient),
                OURS: Dialogue(ours, recipient),
                FLOOR: Floor(scratch / "segment", mirror),
            }


def measure(timed: dict[str, Timed], samples: int) -> dict[str, list[tuple[float, float]]]:
    """Let all take turns with the same messages."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in timed}
    messages = itertools.cycle(read_corpus().messages)
    for number in range(samples):
        message, token = next(messages), b"%x.%d." % (time.time_ns(), number)
        for name, handle in timed.items():
            time.sleep(PAUSE_S)
            taken[name].append(handle(message, token))
    return taken


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 0 when the goal is met."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.latency", description=__doc__)
    parser.add_argument("--samples", type=int, default=200)
    options = parser.parse_args(arguments)
    if not mairust_exists():
        return verdict([], ["MaiRust is not here yet"])
    scratch = Path(tempfile.mkdtemp(prefix="mairust-latency-", dir="/tmp"))
    with contestants(scratch) as timed:
        taken = measure(timed, options.samples)
    medians = {name: statistics.median(data for data, _ in pairs) for name, pairs in taken.items()}
    print(f"one message on an idle server, {options.samples} samples")
    print(
        render(("", "DATA to 250, ms", "dot to 250, ms", "p99 ms", "x floor"), _rows(taken, medians[FLOOR]))
    )
    return verdict([Goal("MaiRust DATA to 250 / floor", medians[OURS] / medians[FLOOR], GOAL)])


def _rows(taken: dict[str, list[tuple[float, float]]], floor: float) -> Iterator[tuple[object, ...]]:
    for name, pairs in taken.items():
        data = sorted(data for data, _ in pairs)
        dot = statistics.median(dot for _, dot in pairs)
        middle, high = statistics.median(data), data[int(len(data) * 0.99)]
        yield name, f"{middle * 1e3:.3f}", f"{dot * 1e3:.3f}", f"{high * 1e3:.3f}", f"{middle / floor:.2f}"


if __name__ == "__main__":
    sys.exit(main())
