"""Durable ingest over SMTP: MaiRust beside the naive server, with the ceilings N and B that judge the run.

``python -m tests.benchmarks.ingest [--database sqlite|postgresql|both] [--rounds 5] [--seconds 4]``

Each round starts every contender anew in fresh directories, in rotating order, and drives it with the same
mail over kept connections. CPU is that of the server's whole process tree, with PostgreSQL's. A row is the
median of its rounds. The run is void when the naive server is below 0.6 × 1/(1/N + 1/B): then it was
hindered, and a ratio to it says nothing.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.benchmarks.contenders import (
    BARE,
    NAIVE,
    NOOP,
    Contender,
    Engine,
    Load,
    Sample,
    contenders,
    engines,
)
from tests.benchmarks.corpus import read_corpus, save_messages
from tests.benchmarks.sites import mairust_exists
from tests.benchmarks.table import Goal, render, verdict

RATE_GOALS = {"sqlite": 5.0, "postgresql": 4.0}
CPU_GOAL = 0.22
VOID_BELOW = 0.6

HEADING = ("server", "driven", "msg/s", "min..max", "CPU us/msg", "p50 ms", "p99 ms", "load us", "refused")


def measure(rows: dict[str, Contender], rounds: int, scratch: Path) -> dict[str, list[Sample]]:
    """Run all rows ``rounds`` times, interleaved, each round starting with another."""
    samples: dict[str, list[Sample]] = {name: [] for name in rows}
    names = list(rows)
    for number in range(rounds):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            # Dirty pages of the run before would be charged to this one's fsync.
            os.sync()
            samples[name].append(rows[name](scratch / f"{number}-{names.index(name)}"))
    return samples


def median(samples: Sequence[Sample], figure: str) -> float:
    """The median of one figure over the rounds."""
    return float(statistics.median(getattr(sample, figure) for sample in samples))


def report(engine: Engine, samples: dict[str, list[Sample]]) -> int:
    """Print the table and ratios of one engine; 0 when every goal is met and the run is not void."""
    print(f"\n{engine.name}")
    print(render(HEADING, [row(name, rounds) for name, rounds in samples.items()]))
    rate = {name: median(rounds, "rate") for name, rounds in samples.items()}
    cpu = {name: median(rounds, "cpu_us") for name, rounds in samples.items()}
    goals = []
    for name in (name for name in samples if name.startswith("MaiRust")):
        wanted = RATE_GOALS[engine.name]
        goals.append(Goal(f"{name} rate / naive", rate[name] / rate[NAIVE], wanted, at_least=True))
        goals.append(Goal(f"{name} CPU / naive", cpu[name] / cpu[NAIVE], CPU_GOAL))
    return verdict(goals, _void(rate, samples))


def row(name: str, rounds: Sequence[Sample]) -> tuple[object, ...]:
    """A contender's line of the table."""
    rates = [sample.rate for sample in rounds]
    figures = [f"{median(rounds, figure):.1f}" for figure in ("p50_ms", "p99_ms", "load_cpu_us")]
    spread = f"{min(rates):.0f}..{max(rates):.0f}"
    cpu = f"{median(rounds, 'cpu_us'):.0f}"
    refused = sum(sample.refused for sample in rounds)
    return (name, rounds[0].mode, f"{median(rounds, 'rate'):.0f}", spread, cpu, *figures, refused)


def _void(rate: dict[str, float], samples: dict[str, list[Sample]]) -> list[str]:
    floor = VOID_BELOW / (1 / rate[NOOP] + 1 / rate[BARE])
    print(f"naive {rate[NAIVE]:.0f}/s, void below {VOID_BELOW} / (1/N + 1/B) = {floor:.0f}/s")
    hindered = ["the naive server was hindered, ratios to it say nothing"] if rate[NAIVE] < floor else []
    refusing = [name for name, rounds in samples.items() if any(sample.refused for sample in rounds)]
    return hindered + [f"{name} refused mail: what it kept is not the same work" for name in refusing]


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.ingest", description=__doc__)
    parser.add_argument("--database", choices=("sqlite", "postgresql", "both"), default="both")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="of load per round")
    parser.add_argument("--connections", type=int, default=50)
    parser.add_argument("--accounts", type=int, default=100)
    parser.add_argument("--workers", type=int, nargs="+", default=[1], help="one MaiRust row per number")
    parser.add_argument("--pipelining", choices=("auto", "off"), default="auto")
    parser.add_argument("--only", choices=("reference",), help="no MaiRust rows")
    return parser.parse_args(arguments)


def _prepare(options: Any) -> tuple[Load, Path]:
    """The load, its messages written to a scratch directory; says what is driven."""
    # Left behind on purpose: removing thousands of files slows the creates of whoever measures next.
    scratch = Path(tempfile.mkdtemp(prefix="mairust-ingest-", dir="/tmp"))
    corpus = read_corpus()
    save_messages(corpus.messages, scratch / "messages")
    print(corpus)
    print(
        f"{options.connections} connections, {options.rounds} rounds of {options.seconds:g} s, in {scratch}"
    )
    load = Load(
        messages=scratch / "messages",
        accounts=options.accounts,
        connections=options.connections,
        seconds=options.seconds,
        pipelining=options.pipelining,
    )
    return load, scratch


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 0 when every goal is met, 1 when one is missed or the run is void."""
    options: Any = parse_arguments(arguments)
    workers = [] if options.only == "reference" else options.workers
    if workers and not mairust_exists():
        print("MaiRust is not here yet: reference rows only", file=sys.stderr)
        workers = []
    load, scratch = _prepare(options)
    failed = 0
    with engines(options.database) as chosen:
        for engine in chosen:
            rows = contenders(load, engine, scratch, workers)
            failed |= report(engine, measure(rows, options.rounds, scratch / engine.name))
    return failed


if __name__ == "__main__":
    sys.exit(main())
