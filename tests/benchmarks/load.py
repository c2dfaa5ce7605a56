"""The load generator: kept connections that drive any SMTP or LMTP server with real mail, alike for all.

One process, one uvloop loop, all bytes made beforehand, so that it costs far less than the server it drives;
it prints its own CPU per message. MAIL, RCPT and DATA go in one write where the server offers PIPELINING
(RFC 2920), otherwise one by one; content and final dot in one write. Every reply is checked. One JSON line:
``accepted``, ``refused`` (reply code → count), ``seconds``, ``rate`` (accepted per second), ``p50_ms`` and
``p99_ms`` (MAIL to 250), ``pipelining``, ``cpu_us`` (of the generator, per accepted message).
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import itertools
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.benchmarks.corpus import Message, load_messages, read_corpus

ENVELOPE_REPLIES = (b"250", b"250", b"354")
"""What MAIL, RCPT and DATA answer when all is well."""

START_TIMEOUT_S = 20.0
JOINED_BYTES = 1024 * 1024


@dataclass(slots=True)
class Tally:
    """What came of it: counts by reply code, and each accepted transaction's seconds."""

    accepted: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    latencies_s: list[float] = field(default_factory=list)
    pipelining: bool = False


@dataclass(frozen=True, slots=True)
class Transaction:
    """The bytes of one transaction: three commands, then content and final dot in one part or several."""

    commands: tuple[bytes, bytes, bytes]
    content: Sequence[bytes]


class Plan:
    """Hands out transactions until the count or the time is used up."""

    def __init__(self, messages: Sequence[Message], recipients: Sequence[str], count: int | None) -> None:
        self._messages = itertools.cycle(messages)
        self._commands: Iterator[tuple[bytes, bytes, bytes]] = itertools.cycle(
            [
                (b"MAIL FROM:<load@example.net>\r\n", b"RCPT TO:<%s>\r\n" % address.encode(), b"DATA\r\n")
                for address in recipients
            ]
        )
        self._left = count
        self._end = float("inf")
        self._run = b"%x.%x" % (os.getpid(), time.time_ns())
        self._number = 0

    def stop_after(self, seconds: float) -> None:
        """Hand out nothing later than ``seconds`` from now."""
        self._end = time.perf_counter() + seconds

    def next(self, now: float) -> Transaction | None:
        """The next transaction, unlike any before it; None when it is over."""
        self._number += 1
        if now >= self._end or (self._left is not None and self._number > self._left):
            return None
        message = next(self._messages)
        content = (message.head, self._run, b".%d." % self._number, message.tail, b".\r\n")
        # Big ones go out in parts: a copy for each of many connections would cost gigabytes.
        whole = content if len(message.tail) > JOINED_BYTES else (b"".join(content),)
        return Transaction(next(self._commands), whole)


class Client(asyncio.Protocol):
    """One connection: greeting, EHLO, transactions in a row, QUIT.

    ``ready`` is done after EHLO, ``finished`` when the connection is closed.
    """

    def __init__(self, plan: Plan, tally: Tally, pipelining_wanted: bool, hello: bytes) -> None:
        loop = asyncio.get_running_loop()
        self.ready: asyncio.Future[None] = loop.create_future()
        self.finished: asyncio.Future[None] = loop.create_future()
        self._plan, self._tally = plan, tally
        self._pipelining_wanted, self._hello = pipelining_wanted, hello
        self._pipelining = False
        self._buffer = b""
        self._answer: Callable[[bytes], None] = self._greeting
        self._transport: Any = None
        self._transaction: Transaction
        self._begun = 0.0
        self._step = 0
        self._bad = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport; the server speaks first."""
        self._transport = transport

    def connection_lost(self, _exc: Exception | None) -> None:
        """Tell whoever waits; a connection lost in the middle counts as refused."""
        if self._answer != self._goodbye:
            self._tally.refused["lost"] += 1
        for waited in (self.ready, self.finished):
            if not waited.done():
                waited.set_result(None)

    def data_received(self, data: bytes) -> None:
        """Answer each whole reply (RFC 5321 §4.2); of a multi-line one, its last line decides."""
        *lines, self._buffer = (self._buffer + data).split(b"\r\n")
        for line in lines:
            if self._answer == self._ehlo:
                self._pipelining |= line[4:].upper() == b"PIPELINING"
            if line[3:4] != b"-":
                self._answer(line[:3])

    def begin(self) -> None:
        """Start the next transaction, or say QUIT when the plan is used up."""
        now = time.perf_counter()
        transaction = self._plan.next(now)
        if transaction is None:
            self._answer = self._goodbye
            self._transport.write(b"QUIT\r\n")
            return
        self._transaction, self._begun, self._step, self._bad = transaction, now, 0, b""
        self._answer = self._envelope
        commands = transaction.commands
        self._transport.write(b"".join(commands) if self._pipelining else commands[0])

    def _greeting(self, _code: bytes) -> None:
        self._answer = self._ehlo
        self._transport.write(b"%s load.example.net\r\n" % self._hello)

    def _ehlo(self, _code: bytes) -> None:
        self._pipelining &= self._pipelining_wanted
        self._tally.pipelining = self._pipelining
        self.ready.set_result(None)

    def _envelope(self, code: bytes) -> None:
        if code != ENVELOPE_REPLIES[self._step]:
            self._bad = self._bad or code
        self._step += 1
        if self._bad and not self._pipelining:
            self._give_up()
        elif self._step < len(ENVELOPE_REPLIES):
            if not self._pipelining:
                self._transport.write(self._transaction.commands[self._step])
        elif code == b"354":
            self._answer = self._content
            self._transport.writelines(self._transaction.content)
        else:
            self._give_up()

    def _content(self, code: bytes) -> None:
        if code == b"250" and not self._bad:
            self._tally.accepted += 1
            self._tally.latencies_s.append(time.perf_counter() - self._begun)
        else:
            self._tally.refused[(self._bad or code).decode()] += 1
        self.begin()

    def _give_up(self) -> None:
        self._tally.refused[self._bad.decode()] += 1
        self._answer = self._reset
        self._transport.write(b"RSET\r\n")

    def _reset(self, _code: bytes) -> None:
        self.begin()

    def _goodbye(self, _code: bytes) -> None:
        self._transport.close()


async def drive(options: argparse.Namespace, messages: Sequence[Message]) -> dict[str, Any]:
    """Connect all, then run the transactions; returns the JSON document of the module's docstring."""
    tally = Tally()
    plan = Plan(messages, options.rcpt, options.count)
    loop, hello = asyncio.get_running_loop(), b"LHLO" if options.lmtp else b"EHLO"
    connected = [
        await loop.create_connection(
            lambda: Client(plan, tally, options.pipelining == "auto", hello), options.host, options.port
        )
        for _ in range(options.connections)
    ]
    clients = [client for _, client in connected]
    await asyncio.wait_for(asyncio.gather(*(client.ready for client in clients)), START_TIMEOUT_S)
    cpu, begin = time.process_time(), time.perf_counter()
    if options.count is None:
        plan.stop_after(options.seconds)
    for client in clients:
        client.begin()
    await asyncio.gather(*(client.finished for client in clients))
    return summary(tally, time.perf_counter() - begin, time.process_time() - cpu)


def summary(tally: Tally, seconds: float, cpu_s: float) -> dict[str, Any]:
    """Sum a tally up as the module's docstring says."""
    latencies = sorted(tally.latencies_s) or [0.0]
    return {
        "accepted": tally.accepted,
        "refused": dict(tally.refused),
        "seconds": round(seconds, 4),
        "rate": round(tally.accepted / seconds, 1),
        "p50_ms": round(latencies[len(latencies) // 2] * 1000, 3),
        "p99_ms": round(latencies[int(len(latencies) * 0.99)] * 1000, 3),
        "pipelining": tally.pipelining,
        "cpu_us": round(cpu_s / max(tally.accepted, 1) * 1e6, 1),
    }


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.load", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--connections", type=int, default=50)
    much = parser.add_mutually_exclusive_group()
    much.add_argument("--count", type=int, help="transactions in all")
    much.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--rcpt", nargs="+", required=True, metavar="ADDRESS", help="taken in turn, one each")
    parser.add_argument("--pipelining", choices=("auto", "off"), default="auto")
    parser.add_argument("--lmtp", action="store_true", help="say LHLO")
    parser.add_argument("--messages", type=Path, help="as saved by corpus.save_messages; default: the corpus")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Drive the server; exit 1 when anything was refused or nothing accepted."""
    import uvloop

    options = parse_arguments(arguments)
    messages = load_messages(options.messages) if options.messages else read_corpus().messages
    gc.collect()
    gc.freeze()
    gc.disable()
    result = uvloop.run(drive(options, messages))
    print(json.dumps(result), flush=True)
    return 0 if result["accepted"] and not result["refused"] else 1


if __name__ == "__main__":
    sys.exit(main())
