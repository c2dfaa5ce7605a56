"""What the server holds in memory: idle, and while 50 clients send 25 MiB each at once.

``python -m tests.benchmarks.memory [--workers 1] [--connections 50] [--mebibytes 25]``

Proportional set size (``/proc/PID/smaps_rollup``) of the whole process tree, sampled every 50 ms. 1 MB is
1,000,000 bytes; pages that other programs map too count for a part, so nothing else of Python should run.
Each message is different, its body base64 of random bytes.
"""

from __future__ import annotations

import argparse
import base64
import os
import random
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.benchmarks.corpus import Message, save_messages
from tests.benchmarks.servers import Server, output_of, python
from tests.benchmarks.sites import Site, addresses, mairust_exists, make_site, serving
from tests.benchmarks.table import Goal, verdict
from tests.support.processes import pss_bytes

IDLE_GOAL_MB, BUSY_GOAL_MB = 120.0, 400.0
SAMPLE_EVERY_S = 0.05
SETTLE_S = 3.0
LISTENERS = ("--lmtp", "127.0.0.1:0", "--http", "127.0.0.1:0")
"""With SMTP all that a server has by default: without HTTP it would be a smaller one."""
MEGABYTE = 1_000_000


class PeakMeter:
    """Samples a process tree's PSS in a thread while its block runs; ``peak_bytes`` is the highest."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample)
        self.peak_bytes = 0
        self.samples = 0

    def __enter__(self) -> PeakMeter:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    @staticmethod
    def now(server: Server) -> int:
        """What it is at this moment."""
        return pss_bytes(server.processes())

    def _sample(self) -> None:
        while not self._over.wait(SAMPLE_EVERY_S):
            self.peak_bytes = max(self.peak_bytes, pss_bytes(self._server.processes()))
            self.samples += 1


def big_message(mebibytes: int) -> Message:
    """A message of about that size in CRLF form, its body base64 lines of random bytes."""
    seed = int.from_bytes(os.urandom(4), "big")
    print(f"body seed {seed}")
    line_bytes = 57
    raw = random.Random(seed).randbytes(mebibytes * 1024 * 1024 // 78 * line_bytes)
    body = base64.encodebytes(raw).replace(b"\n", b"\r\n")
    rest = b"a@example.net>\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    return Message(b"From: a@example.net\r\nSubject: big\r\nMessage-ID: <", rest + body)


def drive(server: Server, options: Any, scratch: Path) -> dict[str, Any]:
    """Send one big message on each connection, all at once."""
    save_messages([big_message(options.mebibytes)], scratch / "messages")
    much = ("--connections", options.connections, "--count", options.connections)
    where = ("--port", server.port, "--messages", scratch / "messages")
    return output_of(
        python("tests.benchmarks.load", *where, *much, "--rcpt", *addresses(options.connections))
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 0 when both goals are met."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.memory", description=__doc__)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--connections", type=int, default=50)
    parser.add_argument("--mebibytes", type=int, default=25)
    options = parser.parse_args(arguments)
    if not mairust_exists():
        return verdict([], ["MaiRust is not here yet"])
    scratch = Path(tempfile.mkdtemp(prefix="mairust-memory-", dir="/tmp"))
    site = Site(directory=scratch / "site")
    make_site(site, options.connections)
    with serving(site, options.workers, LISTENERS) as server:
        time.sleep(SETTLE_S)
        idle_mb = pss_bytes(server.processes()) / MEGABYTE
        with PeakMeter(server) as meter:
            result = drive(server, options, scratch)
    sent = f"{options.connections} x {options.mebibytes} MiB"
    print(f"{sent} in {result['seconds']} s, PSS sampled {meter.samples} times; {result}")
    goals = [
        Goal("idle PSS per worker", idle_mb / options.workers, IDLE_GOAL_MB, unit="MB"),
        Goal("peak PSS in all", meter.peak_bytes / MEGABYTE, BUSY_GOAL_MB, unit="MB"),
    ]
    lacking = options.connections - result["accepted"]
    return verdict(goals, [f"{lacking} messages were not accepted: {result['refused']}"] if lacking else [])


if __name__ == "__main__":
    sys.exit(main())
