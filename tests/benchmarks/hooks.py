"""What hooks cost: mail that none matches, mail that one HTTP hook sees, and mail beside a hundred slow ones.

``python -m tests.benchmarks.hooks [--figures chain idle http stdin slow] [--pairs 11] [--seconds 1.5]``

``chain``  CPU of the chain alone for a mail that twenty hooks pass over, in a loop of this process
``idle``   ingest with twenty hooks that do not match, against ingest without any, in interleaved pairs
``http``   ingest with one hook on loopback that answers at once, against the same, once for a plugin that
           sees the headers and once for one that sees the preview of the body as well; the ceiling of the
           hook server itself, driven by aiohttp's client, is printed; where it is lower the ratio is to it
``stdin``  ingest with one plugin of workers in the full sandbox that answers at once, against the same and
           against what its workers answer to nobody else; and what a call takes beyond the plugin's own time
``slow``   mail that no hook matches while a hundred plugins take as long as they may, against alone
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import uvloop

from mairust_core.hooks import Asked
from mairust_core.hooks.book import MemoryBook, Registered
from mairust_core.hooks.chain import HookChain
from mairust_core.hooks.payload import Asking, MessagePart, request
from mairust_core.mime import describe
from mairust_core.model.blob import Bytes
from mairust_core.model.content import WholeDescription
from mairust_core.model.envelope import Connection, Envelope, Recipient, Road
from mairust_core.model.hook import HookType
from mairust_core.model.plugin import Limits
from mairust_core.sandbox.probing import probe
from tests.benchmarks import sandbox
from tests.benchmarks.contenders import Engine, Load, Sample
from tests.benchmarks.corpus import read_corpus, save_messages
from tests.benchmarks.hooked import SEEN, registered
from tests.benchmarks.servers import DIE_WITH_US, Server, clean_environment, python, running
from tests.benchmarks.sites import Site, addresses, copy_site, make_site
from tests.benchmarks.table import Goal, verdict
from tests.support.hooking import NoCredentials, NoLog
from tests.support.plugins import make_plugin
from tests.support.stores import open_kit, settings_for

HOOKS = 20
SLOW = 100
SLOW_MS = 1900
"""Of a time-out of 2000: no breaker opens, every call waits."""
CHAIN_GOAL_US = 20.0
IDLE_GOAL, HTTP_GOAL, STDIN_GOAL, SLOW_GOAL = 0.95, 0.60, 0.50, 0.90
CALLS = 2_000
MAILS = 20_000
Entry = dict[str, str]


def idle_hooks(port: int = 9) -> list[Entry]:
    """Twenty hooks, each for senders of its own that never write."""
    return [
        {"name": f"idle{n}", "url": f"http://127.0.0.1:{port}/", "sender": f"@(www\\.)?nobody{n}\\.example$"}
        for n in range(HOOKS)
    ]


def chain_us() -> tuple[float, float]:
    """CPU per mail of an empty chain, and of twenty hooks that do not match, in microseconds."""
    with tempfile.TemporaryDirectory() as directory, open_kit(settings_for(Path(directory))) as kit:
        mails = [_asked(one.whole()) for one in read_corpus().messages[:500]]

        async def cost(*hooks: Registered) -> float:
            chain = HookChain(
                kit.storage, MemoryBook(*hooks), lambda _: None, NoCredentials(), NoLog(), 30_000
            )
            await chain.poll()
            best = float("inf")
            for _ in range(5):
                began = time.process_time()
                for number in range(MAILS):
                    await chain.ask(mails[number % len(mails)])
                best = min(best, (time.process_time() - began) / MAILS * 1e6)
            await chain.close()
            return best

        return asyncio.run(cost()), asyncio.run(cost(*map(registered, idle_hooks())))


def _asked(data: bytes) -> Asked:
    envelope = Envelope(
        mail_from="newsletter-bounces+4711@lists.example.com",
        recipients=(Recipient(address="ann@example.org", accounts=(1,)),),
        connection=Connection(road=Road.SMTP, ip="192.0.2.7"),
        received_at=datetime.now(UTC),
    )
    return Asked(
        delivery="1",
        envelope=envelope,
        content=Bytes.of(data),
        description=WholeDescription(describe(data)),
        reached={1: ["ann@example.org"]},
    )


@contextlib.contextmanager
def hook_server() -> Iterator[int]:
    """The port of a hook server."""
    with subprocess.Popen(
        [*DIE_WITH_US, *python("tests.benchmarks.hook_server")],
        env=clean_environment(),
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())["port"]
        finally:
            process.kill()


def ceiling(port: int, connections: int, seconds: float) -> float:
    """Requests a second that the hook server answers to the bare client with a usual payload."""
    data = read_corpus().messages[0].whole()
    rights = registered({"name": "x", "url": "http://127.0.0.1:9/", "sender": "x"}).plugin.permissions
    asking = Asking(
        hook=HookType.PRE_RECEIVE, delivery_id="1", plugin="x", attempt=1, recipient="ann@example.org"
    )
    body = request(asking, rights, MessagePart(data, datetime.now(UTC)).of(rights))

    async def drive() -> float:
        done, ends = 0, time.perf_counter() + seconds

        async def one(session: aiohttp.ClientSession) -> None:
            nonlocal done
            while time.perf_counter() < ends:
                async with session.post(f"http://127.0.0.1:{port}/", data=body) as response:
                    await response.read()
                done += 1

        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=connections)) as session:
            await asyncio.gather(*(one(session) for _ in range(connections)))
        return done / seconds

    return asyncio.run(drive())


class Ingest:
    """MaiRust on a copy of one site, with hooks or without, driven by one load."""

    def __init__(self, options: Any) -> None:
        self.scratch = Path(tempfile.mkdtemp(prefix="mairust-hooks-", dir="/tmp"))
        save_messages(read_corpus().messages, self.scratch / "messages")
        self._load = Load(
            messages=self.scratch / "messages",
            accounts=options.accounts,
            connections=options.connections,
            seconds=options.seconds,
            pipelining="auto",
        )
        self._site = Site(directory=self.scratch / "site")
        make_site(self._site, options.accounts)
        self._rounds = 0

    @contextlib.contextmanager
    def serving(self, hooks: Sequence[Entry]) -> Iterator[Server]:
        """A server with these hooks on a fresh copy."""
        self._rounds += 1
        directory = self.scratch / f"round{self._rounds}"
        copy = copy_site(self._site, directory, None)
        file = self.scratch / f"hooks{self._rounds}.json"
        file.write_text(json.dumps(hooks))
        listeners = ("--smtp", "127.0.0.1:0", "--lmtp", "off", "--http", "off")
        command = python(
            "tests.benchmarks.hooked", file, "--data-dir", copy.directory, "serve", "--json", *listeners
        )
        os.sync()
        with running(command, directory.with_name(f"{directory.name}-run")) as server:
            yield server

    def drive(self, server: Server) -> Sample:
        """One round of load."""
        return self._load.drive(server, Engine(name="sqlite"))

    def run(self, hooks: Sequence[Entry], *, warm: bool = False) -> Sample:
        """One round on a server of its own; `warm`: the second of two, with processes and connections there.

        The first one tells how a server starts, not what it can sustain. Where no connection or process of a
        plugin is needed both sides of a pair start alike.
        """
        with self.serving(hooks) as server:
            if warm:
                self.drive(server)
            return self.drive(server)


def pairs(
    ingest: Ingest, hooks: Sequence[Entry], count: int, *, warm: bool = False
) -> tuple[list[Sample], list[Sample]]:
    """Rounds without and with hooks, interleaved, each pair beginning with the other one."""
    without: list[Sample] = []
    with_hooks: list[Sample] = []
    for number in range(count):
        turns: list[Callable[[], None]] = [
            lambda: without.append(ingest.run([], warm=warm)),
            lambda: with_hooks.append(ingest.run(hooks, warm=warm)),
        ]
        for turn in turns if number % 2 else reversed(turns):
            turn()
    return without, with_hooks


def _ratio(with_hooks: Sequence[Sample], without: Sequence[Sample]) -> float:
    return statistics.median(a.rate / b.rate for a, b in zip(with_hooks, without, strict=True))


def _shown(name: str, samples: Sequence[Sample]) -> None:
    rates = [one.rate for one in samples]
    cpu = statistics.median(one.cpu_us for one in samples)
    middle = statistics.median(rates)
    print(f"{name}: {middle:.0f}/s ({min(rates):.0f}..{max(rates):.0f}), {cpu:.0f} us CPU a mail")


class SlowMail:
    """Connections that bring one mail after another for the slow hooks, each waiting for its 250."""

    def __init__(self, server: Server) -> None:
        self._address = (server.host, server.port)
        self._rcpt = addresses(1)[0]
        self._process = subprocess.Popen(
            [*DIE_WITH_US, *python("tests.benchmarks.hooks", "--bring", server.port, self._rcpt)],
            env=clean_environment(),
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        self._process.stdout.readline()  # every connection waits for a slow hook now

    def stop(self) -> None:
        """End them."""
        self._process.kill()
        self._process.communicate()


async def bring(port: int, rcpt: str) -> None:
    """Be those connections, until killed."""
    begun = 0

    async def one(number: int) -> None:
        nonlocal begun
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await reader.readline()
        writer.write(b"HELO slow.example\r\n")
        await reader.readline()
        for turn in range(1_000_000):
            for line in (f"MAIL FROM:<slow{number}@slow.example>", f"RCPT TO:<{rcpt}>", "DATA"):
                writer.write(f"{line}\r\n".encode())
                await reader.readline()
            writer.write(f"Subject: slow {number} {turn}\r\n\r\nHello.\r\n.\r\n".encode())
            begun += turn == 0
            if begun == SLOW and turn == 0:
                print("begun", flush=True)
            await reader.readline()

    await asyncio.gather(*(one(number) for number in range(SLOW)))


def slow_pairs(ingest: Ingest, port: int, count: int) -> tuple[list[Sample], list[Sample]]:
    """Mail that no hook matches, alone and beside a hundred slow calls, on the same servers."""
    hooks = [
        {"name": f"slow{n}", "url": f"http://127.0.0.1:{port}/slow/{SLOW_MS}", "sender": f"^slow{n}@"}
        for n in range(SLOW)
    ]
    alone, beside = [], []
    for _ in range(count):
        with ingest.serving(hooks) as server:
            alone.append(ingest.drive(server))
        with ingest.serving(hooks) as server:
            slow = SlowMail(server)
            try:
                beside.append(ingest.drive(server))
            finally:
                slow.stop()
    return alone, beside


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.hooks", description=__doc__)
    known = ("chain", "idle", "http", "stdin", "slow")
    parser.add_argument("--figures", nargs="+", choices=known, default=known)
    parser.add_argument("--pairs", type=int, default=11)
    parser.add_argument("--seconds", type=float, default=1.5, help="of load per round")
    parser.add_argument("--connections", type=int, default=50)
    parser.add_argument("--accounts", type=int, default=20)
    parser.add_argument("--bring", nargs=2, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 0 when every goal is met."""
    options: Any = parse_arguments(arguments)
    if options.bring:
        asyncio.run(bring(int(options.bring[0]), options.bring[1]))
    goals: list[Goal] = []
    if "chain" in options.figures:
        empty, passed = chain_us()
        print(
            f"chain alone: {empty:.2f} us CPU without hooks, {passed:.2f} us with {HOOKS} that do not match"
        )
        goals.append(Goal(f"{HOOKS} hooks that do not match", passed - empty, CHAIN_GOAL_US, unit="us"))
    if set(options.figures) & {"idle", "http", "stdin", "slow"}:
        goals += _ingest_goals(options)
    return verdict(goals)


def _ingest_goals(options: Any) -> list[Goal]:
    ingest = Ingest(options)
    goals = []
    with hook_server() as port:
        if "idle" in options.figures:
            without, idle = pairs(ingest, idle_hooks(port), options.pairs)
            _shown("without hooks", without)
            _shown(f"{HOOKS} hooks that do not match", idle)
            goals.append(
                Goal("ingest with idle hooks / without", _ratio(idle, without), IDLE_GOAL, at_least=True)
            )
        if "http" in options.figures:
            limit = ceiling(port, options.connections, options.seconds)
            print(f"ceiling of the hook server: {limit:.0f}/s")
            goals += [_http_goal(ingest, port, sees, limit, options.pairs) for sees in SEEN]
        if "stdin" in options.figures:
            goals += _worker_goals(ingest, options.pairs)
        if "slow" in options.figures:
            alone, beside = slow_pairs(ingest, port, options.pairs)
            _shown("mail that no hook matches", alone)
            _shown(f"beside {SLOW} slow plugins", beside)
            goals.append(
                Goal(f"beside {SLOW} slow plugins / alone", _ratio(beside, alone), SLOW_GOAL, at_least=True)
            )
    return goals


def _http_goal(ingest: Ingest, port: int, sees: str, limit: float, count: int) -> Goal:
    hook = [{"name": "one", "url": f"http://127.0.0.1:{port}/", "sender": ".", "sees": sees}]
    without, asked = pairs(ingest, hook, count, warm=True)
    _shown("without hooks", without)
    _shown(f"one HTTP hook that sees {sees}", asked)
    ratio = _ratio(asked, _at_most(limit, without))
    return Goal(f"ingest with an HTTP hook that sees {sees} / without", ratio, HTTP_GOAL, at_least=True)


def _at_most(limit: float, samples: Sequence[Sample]) -> list[Sample]:
    return [Sample(rate=min(one.rate, limit), cpu_us=one.cpu_us) for one in samples]


def _worker_goals(ingest: Ingest, count: int) -> list[Goal]:
    directory = ingest.scratch / "worker"
    over_ms, limit = uvloop.run(_worker_alone(directory))
    hook = [{"name": "worker", "directory": str(directory), "sender": "."}]
    without, asked = pairs(ingest, hook, count, warm=True)
    print(f"layers: {', '.join(probe().isolation.present)}; ceiling of the workers: {limit:.0f}/s")
    _shown("without hooks", without)
    _shown("one STDIN worker plugin", asked)
    ratio = _ratio(asked, _at_most(limit, without))
    return [
        Goal("ingest with STDIN workers / without", ratio, STDIN_GOAL, at_least=True),
        Goal("a call over the plugin's own time", over_ms, sandbox.GOAL_MS, unit="ms"),
    ]


async def _worker_alone(directory: Path) -> tuple[float, float]:
    """What a call takes beyond the plugin's own time, in milliseconds, and how many a second there can be."""
    plugin = make_plugin(directory, probe(), sandbox.WORKER, limits=Limits())
    try:
        over_ms = statistics.median(await sandbox.one_by_one(plugin, CALLS))
        return over_ms, await sandbox.at_once(plugin, CALLS)
    finally:
        await plugin.transport.close()


if __name__ == "__main__":
    sys.exit(main())
