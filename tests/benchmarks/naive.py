"""The naive reference server: stock aiosmtpd, one fsync'ed file and one commit per message.

What a careful programmer writes in an afternoon, and a promise kept as well as ours: the 250 is sent after
file, directory and database are synced. Run as its own process; the first line on stdout is
``{"event": "ready", "smtp": "127.0.0.1:PORT", "pid": N}``.

* ``python -m tests.benchmarks.naive --port 0 --data DIR [--database postgresql://…]`` keeps mail;
* ``--noop`` answers 250 and keeps nothing: the ceiling of the stock front (N);
* ``--bare MESSAGES --seconds S`` runs no server: the same file and commit in a loop on one thread (B).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.benchmarks.corpus import load_messages
from tests.benchmarks.naive_store import Envelopes, NaiveStore, describe, open_store

MAX_SIZE_BYTES = 50 * 1024 * 1024
"""As ``smtp.max_size`` of ours, so that both take the same mail."""


class KeepingHandler:
    """Keeps each message in a thread of the loop's default pool, then answers 250.

    aiosmtpd finds ``handle_DATA`` by that name, here and below.
    """

    def __init__(self, store: NaiveStore) -> None:
        self._store = store

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Reply 250 once file and rows are durable."""
        content = envelope.content
        assert isinstance(content, bytes)
        await asyncio.to_thread(self._store.keep, Envelopes(envelope.mail_from, envelope.rcpt_tos), content)
        return "250 OK"


class NoopHandler:
    """Answers 250 and keeps nothing."""

    async def handle_DATA(self, _server: SMTP, _session: Session, _envelope: Envelope) -> str:  # noqa: N802
        """Reply 250 at once."""
        return "250 OK"


async def serve(handler: KeepingHandler | NoopHandler, port: int) -> None:
    """Serve SMTP on loopback until SIGTERM or SIGINT; print the ready line when bound."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    # A given hostname keeps aiosmtpd from asking the resolver for one.
    listener = await loop.create_server(
        lambda: SMTP(handler, data_size_limit=MAX_SIZE_BYTES, hostname="naive.example", loop=loop),
        "127.0.0.1",
        port,
    )
    bound = listener.sockets[0].getsockname()[1]
    print(json.dumps({"event": "ready", "smtp": f"127.0.0.1:{bound}", "pid": os.getpid()}), flush=True)
    await stopped.wait()
    listener.close()


def bare_loop(store: NaiveStore, messages: Sequence[bytes], seconds: float) -> dict[str, float]:
    """Write a file and commit its rows, one message after the other, for ``seconds``.

    Facts are parsed beforehand: this is the disk's and the database's share alone (B).
    Returns ``messages``, ``seconds`` and ``cpu_us`` (of this process, per message).
    """
    described = [(describe(content), content) for content in messages]
    sender = Envelopes("sender@example.net", ["account0@example.org"])
    count = 0
    cpu, begin = time.process_time(), time.perf_counter()
    end = begin + seconds
    while time.perf_counter() < end:
        facts, content = described[count % len(described)]
        store.commit(sender, facts, store.write_file(content))
        count += 1
    took = time.perf_counter() - begin
    return {"messages": count, "seconds": took, "cpu_us": (time.process_time() - cpu) / max(count, 1) * 1e6}


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line described in the module's docstring."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.naive", description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--data", type=Path, help="directory of the files and of the SQLite database")
    parser.add_argument("--database", help="postgresql://… instead of SQLite in --data")
    parser.add_argument("--noop", action="store_true", help="keep nothing")
    parser.add_argument("--bare", type=Path, metavar="MESSAGES", help="no server: loop over these messages")
    parser.add_argument("--seconds", type=float, default=4.0, help="how long --bare runs")
    options = parser.parse_args(arguments)
    if not options.noop and options.data is None:
        parser.error("--data DIR is needed unless --noop")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the server, or the bare loop, as the command line says."""
    options = parse_arguments(arguments)
    if options.noop:
        asyncio.run(serve(NoopHandler(), options.port))
        return 0
    with open_store(options.data, options.database) as store:
        if options.bare:
            messages = [message.whole() for message in load_messages(options.bare)]
            print(json.dumps(bare_loop(store, messages, options.seconds)), flush=True)
        else:
            asyncio.run(serve(KeepingHandler(store), options.port))
    return 0


if __name__ == "__main__":
    sys.exit(main())
