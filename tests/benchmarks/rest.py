"""A page of 50 messages over REST, beside a bare FastAPI route that runs the same SQL.

``python -m tests.benchmarks.rest [--database sqlite|postgresql|both] [--rounds 5] [--seconds 3]``

Both servers are up all the time on copies of one site and are driven in turn, so that each is idle while the
other works; a row is the median of its rounds. CPU is that of the server's own processes, which a busy
machine changes less than the rates. The reference (`rest_reference`) returns ready bytes and has neither
authentication nor models nor headers of ours. Neither logs requests. wrk drives where it is installed.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import make_url

from mairust_core.app import opened
from mairust_core.config import load_settings
from mairust_core.model.principal import Principal
from mairust_core.operations import BytesIn
from mairust_core.services.messages import Messages
from tests.benchmarks.contenders import Engine, engines
from tests.benchmarks.corpus import read_corpus
from tests.benchmarks.servers import Server, output_of, python, running
from tests.benchmarks.sites import Site, addresses, copy_site, mairust, make_site
from tests.benchmarks.table import Goal, render, verdict
from tests.support.processes import cpu_seconds

LIMIT = 50
PATH = "/api/v1/accounts/{address:path}/messages"
RATE_GOAL, TAIL_GOAL = 0.6, 3.0
OURS, BARE = "MaiRust", "bare route"
HEADING = ("server", "pages/s", "min..max", "CPU us/page", "p50 ms", "p99 ms", "p99/p50", "failed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Contestant:
    """A server and the options of its load."""

    server: Server
    load: list[str]


def fill(site: Site, messages: int) -> None:
    """Put mail into the first account."""
    settings = load_settings(
        data_dir=site.directory, env={}, overrides={"database.url": site.database or None}
    )
    corpus = read_corpus().messages
    with opened(settings) as here:
        service = here.service(Messages, Principal.local("benchmark"))
        for number in range(messages):
            content = corpus[number % len(corpus)].whole(b"%d" % number)
            service.append(addresses(1)[0], BytesIn(chunks=[content]))


@contextmanager
def contestants(engine: Engine, scratch: Path, messages: int) -> Iterator[dict[str, Contestant]]:
    """Both servers on sites alike."""
    site = Site(directory=scratch / "site", database=engine.fresh())
    make_site(site, 1)
    fill(site, messages)
    copy = copy_site(site, scratch / "copy", _copied(engine, site))
    listeners = ("--smtp", "off", "--lmtp", "off", "--http", "127.0.0.1:0")
    unlimited = {"MAIRUST_HTTP__KEY_REQUESTS_PER_MINUTE": "0", "MAIRUST_TELEMETRY__LOG_LEVEL": "warning"}
    bare = python(
        "tests.benchmarks.rest_reference", "--data-dir", copy.directory, "--address", addresses(1)[0],
        *(("--database", copy.database) if copy.database else ()),
    )  # fmt: skip
    with ExitStack() as stack:
        ours = stack.enter_context(
            running(
                mairust(site, "serve", "--json", *listeners), scratch / "ours", site.environment() | unlimited
            )
        )
        reference = stack.enter_context(running(bare, scratch / "bare"))
        token = ("--token-file", str(site.directory / "admin.token"))
        yield {
            OURS: Contestant(server=ours, load=[*_url(ours), *token]),
            BARE: Contestant(server=reference, load=_url(reference)),
        }


def _copied(engine: Engine, site: Site) -> str | None:
    return engine.fresh(template=make_url(site.database).database) if site.database else None


def _url(server: Server) -> list[str]:
    path = PATH.replace("{address:path}", addresses(1)[0])
    return ["--url", f"http://{server.ready['http']}{path}?limit={LIMIT}"]


def measure(servers: dict[str, Contestant], options: Any) -> dict[str, list[dict[str, Any]]]:
    """Drive both in turn, after a moment to warm up."""
    samples: dict[str, list[dict[str, Any]]] = {name: [] for name in servers}
    names = list(servers)
    for number in range(options.rounds + 1):
        for name in names if number % 2 else names[::-1]:
            seconds = options.seconds if number else 1.0
            more = ("--connections", options.connections, "--seconds", seconds)
            before = cpu_seconds(servers[name].server.processes())
            found = output_of(python("tests.benchmarks.http_load", *servers[name].load, *more))
            used = cpu_seconds(servers[name].server.processes()) - before
            if number:
                samples[name].append(found | {"cpu_us": used * 1e6 / (found["rate"] * seconds)})
    return samples


def median(samples: Sequence[dict[str, Any]], figure: str) -> float:
    """The median of one figure over the rounds."""
    return float(statistics.median(sample[figure] for sample in samples))


def report(engine: Engine, samples: dict[str, list[dict[str, Any]]]) -> int:
    """Print the table and ratios of one engine; 0 when every goal is met."""
    print(f"\n{engine.name}, driven by {samples[OURS][0]['by']}")
    print(render(HEADING, [_row(name, rounds) for name, rounds in samples.items()]))
    rate = {name: median(rounds, "rate") for name, rounds in samples.items()}
    tail = statistics.median(sample["p99_ms"] / sample["p50_ms"] for sample in samples[OURS])
    goals = [
        Goal("MaiRust pages / bare route", rate[OURS] / rate[BARE], RATE_GOAL, at_least=True),
        Goal("MaiRust p99 / p50", tail, TAIL_GOAL),
    ]
    failing = [name for name, rounds in samples.items() if any(sample["failed"] for sample in rounds)]
    return verdict(goals, [f"{name} refused requests" for name in failing])


def _row(name: str, rounds: Sequence[dict[str, Any]]) -> tuple[object, ...]:
    rates = [sample["rate"] for sample in rounds]
    p50, p99 = median(rounds, "p50_ms"), median(rounds, "p99_ms")
    spread = f"{min(rates):.0f}..{max(rates):.0f}"
    failed = sum(sample["failed"] for sample in rounds)
    times = (f"{p50:.2f}", f"{p99:.2f}", f"{p99 / p50:.2f}")
    cpu = f"{median(rounds, 'cpu_us'):.0f}"
    return (name, f"{median(rounds, 'rate'):.0f}", spread, cpu, *times, failed)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 0 when every goal is met."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.rest", description=__doc__)
    parser.add_argument("--database", choices=("sqlite", "postgresql", "both"), default="both")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="of load per round")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--messages", type=int, default=500)
    options: Any = parser.parse_args(arguments)
    scratch = Path(tempfile.mkdtemp(prefix="mairust-rest-", dir="/tmp"))
    print(f"a page of {LIMIT} of {options.messages} messages, {options.connections} connections")
    failed = 0
    with engines(options.database) as chosen:
        for engine in chosen:
            with contestants(engine, scratch / engine.name, options.messages) as loads:
                failed |= report(engine, measure(loads, options))
    return failed


if __name__ == "__main__":
    sys.exit(main())
