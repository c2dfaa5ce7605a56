"""The servers of the ingest benchmark, each runnable for one round, and how all of them are driven alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.servers import Server, output_of, python, running
from tests.benchmarks.sites import Site, addresses, copy_site, make_site, serving
from tests.support.postgres import PostgresServer, start_server
from tests.support.processes import cpu_seconds

LOCK_STEP, PIPELINED = "lock-step", "PIPELINING"

NAIVE, NOOP, BARE = "naive", "N: stock no-op", "B: bare loop"
"""Names of the reference rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One round of one contender: ``rate`` accepted per second, CPU per message in µs, MAIL-to-250 in ms."""

    rate: float
    cpu_us: float
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    mode: str = "one thread"
    load_cpu_us: float = 0.0
    refused: int = 0
    accepted: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """A database under measurement; for SQLite there is nothing to run."""

    name: str
    server: PostgresServer | None = None

    def fresh(self, template: str | None = None) -> str | None:
        """The URL of a new database, a copy of ``template`` if given; None for SQLite."""
        return self.server.dsn(self.server.create_database(template=template)) if self.server else None

    def processes(self) -> list[int]:
        """The database's own processes."""
        return self.server.processes() if self.server else []


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How every server is driven; ``messages`` is a file of ``corpus.save_messages``."""

    messages: Path
    accounts: int
    connections: int
    seconds: float
    pipelining: str
    lmtp: bool = False

    def drive(self, server: Server, engine: Engine) -> Sample:
        """Drive a running server and read what it cost."""
        before = cpu_seconds([*server.processes(), *engine.processes()])
        result = output_of(python("tests.benchmarks.load", *self._arguments(server)))
        cpu_s = cpu_seconds([*server.processes(), *engine.processes()]) - before
        return Sample(
            rate=result["rate"],
            cpu_us=cpu_s / max(result["accepted"], 1) * 1e6,
            p50_ms=result["p50_ms"],
            p99_ms=result["p99_ms"],
            mode=PIPELINED if result["pipelining"] else LOCK_STEP,
            load_cpu_us=result["cpu_us"],
            refused=sum(result["refused"].values()),
            accepted=result["accepted"],
        )

    def _arguments(self, server: Server) -> list[object]:
        much = ("--connections", self.connections, "--seconds", self.seconds, "--pipelining", self.pipelining)
        return [
            "--port",
            server.port,
            "--messages",
            self.messages,
            *much,
            *(["--lmtp"] if self.lmtp else []),
            "--rcpt",
            *addresses(self.accounts),
        ]


Contender = Callable[[Path], Sample]
"""Runs one round in a directory that does not exist yet."""


def naive(load: Load, engine: Engine, *options: str) -> Contender:
    """The reference server, or with ``--noop`` the bare stock front (N)."""

    def run(directory: Path) -> Sample:
        database = None if "--noop" in options else engine.fresh()
        chosen = [*options, *(["--database", database] if database else [])]
        with running(
            python("tests.benchmarks.naive", "--data", directory / "data", *chosen), directory
        ) as server:
            return load.drive(server, engine)

    return run


def bare(load: Load, engine: Engine) -> Contender:
    """The loop of file and commit on one thread, without SMTP (B)."""

    def run(directory: Path) -> Sample:
        database = engine.fresh()
        chosen = ["--data", directory, "--bare", load.messages, "--seconds", load.seconds]
        before = cpu_seconds(engine.processes())
        result = output_of(
            python("tests.benchmarks.naive", *chosen, *(["--database", database] if database else []))
        )
        served_us = (cpu_seconds(engine.processes()) - before) / result["messages"] * 1e6
        return Sample(rate=result["messages"] / result["seconds"], cpu_us=result["cpu_us"] + served_us)

    return run


def ours(load: Load, engine: Engine, site: Site, template: str | None, workers: int) -> Contender:
    """MaiRust on a copy of a site made beforehand."""

    def run(directory: Path) -> Sample:
        copy = copy_site(site, directory, engine.fresh(template))
        with serving(copy, workers) as server:
            return load.drive(server, engine)

    return run


def contenders(load: Load, engine: Engine, scratch: Path, workers: Sequence[int]) -> dict[str, Contender]:
    """All rows of one engine by name; ours only for the given numbers of workers."""
    rows: dict[str, Contender] = {
        NAIVE: naive(load, engine),
        NOOP: naive(load, engine, "--noop"),
        BARE: bare(load, engine),
    }
    if workers:
        template = engine.server.create_database() if engine.server else None
        database = engine.server.dsn(template) if engine.server and template else None
        site = Site(directory=scratch / f"site-{engine.name}", database=database)
        make_site(site, load.accounts)
        rows |= {f"MaiRust x{number}": ours(load, engine, site, template, number) for number in workers}
    return rows


@contextmanager
def engines(chosen: str) -> Iterator[list[Engine]]:
    """The engines to measure; PostgreSQL is our own server with its durable defaults."""
    found = [Engine(name="sqlite")] if chosen in ("sqlite", "both") else []
    if chosen == "sqlite":
        yield found
        return
    server = start_server(durable=True, outside=False)
    try:
        yield [*found, Engine(name="postgresql", server=server)]
    finally:
        server.stop()
