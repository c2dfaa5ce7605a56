"""How fast two processes run empty jobs, beside a plain loop of statements; then with a kill every second.

``python -m tests.benchmarks.jobs [--jobs 10000] [--rounds 3] [--database both]``

A job is empty: what is measured is the queue. Time runs from the word to begin, both processes being ready,
until no job is left; everything is committed durably. The second run has jobs of 2 ms, kills one of two
processes every second, and proves from a log of beginnings and ends that none is lost and none runs twice at
the same time. Its rate is printed, not judged.
"""

from __future__ import annotations

import argparse
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mairust_core.model.job import NewJob
from mairust_core.store import jobs
from tests.benchmarks import job_loop
from tests.benchmarks.table import Goal, render, verdict
from tests.support.job_process import ROOT, Node, overlaps, runs
from tests.support.jobs import states
from tests.support.postgres import start_server
from tests.support.stores import Kit, open_kit, settings_for

GOAL_PER_S = 1500
PROCESSES = 2
LOOP_JOBS = 2000
KILL_EVERY_S = 1.0
KILL_JOB_MS = 2
LEASE_S = 2.0
PATIENCE_S = 300.0

NewUrl = Callable[[], str | None]


@contextmanager
def databases(wanted: str) -> Iterator[dict[str, NewUrl]]:
    """For each database a function that gives the URL of a fresh one, None for the embedded one."""
    found: dict[str, NewUrl] = {}
    if wanted != "postgresql":
        found["sqlite"] = lambda: None
    if wanted == "sqlite":
        yield found
        return
    server = start_server(durable=True, outside=False)
    try:
        yield found | {"postgresql": lambda: server.dsn(server.create_database())}
    finally:
        server.stop()


@contextmanager
def filled(scratch: Path, url: str | None, kind: str, count: int, ms: int = 0) -> Iterator[Kit]:
    """A site with that many jobs."""
    directory = Path(tempfile.mkdtemp(dir=scratch)) / "site"
    with open_kit(settings_for(directory, url)) as kit:
        new = NewJob(kind=kind, payload={"ms": ms}, max_attempts=1000)
        for start in range(0, count, 1000):
            with kit.storage.write() as tx:
                jobs.enqueue(kit.storage, tx, kit.ids, [new] * min(1000, count - start))
        yield kit


def ours(scratch: Path, url: str | None, count: int) -> float:
    """Jobs per second of two nodes."""
    with filled(scratch, url, "bare", count) as kit:
        nodes = [Node(kit.settings, scratch / "log", lease_s=30.0) for _ in range(PROCESSES)]
        began = time.monotonic()
        for node in nodes:
            node.go()
        _wait_until_done(kit)
        took_s = time.monotonic() - began
        for node in nodes:
            node.stop()
        assert states(kit.storage) == {"done": count}
    return count / took_s


def _wait_until_done(kit: Kit) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while kit.rows("SELECT id FROM job WHERE state <> 'done' LIMIT 1"):
        assert time.monotonic() < deadline, f"not done in time: {dict(states(kit.storage))}"
        time.sleep(0.005)


def loop(scratch: Path, url: str | None, count: int) -> float:
    """Jobs per second of two plain loops."""
    where = url or f"sqlite:///{Path(tempfile.mkdtemp(dir=scratch)) / 'loop.db'}"
    job_loop.fill(where, count)
    pipe = subprocess.PIPE
    command = [sys.executable, "-m", "tests.benchmarks.job_loop", where]
    processes = [
        subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) for _ in range(PROCESSES)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    began = time.monotonic()
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0
    return count / (time.monotonic() - began)


def with_kills(scratch: Path, url: str | None, count: int) -> tuple[float, int, list[str]]:
    """Jobs per second, kills, and what was wrong: jobs lost, or run twice at the same time."""
    log = Path(tempfile.mkdtemp(dir=scratch)) / "runs"
    deaths: dict[int, int] = {}
    with filled(scratch, url, "note", count, KILL_JOB_MS) as kit:
        nodes = [Node(kit.settings, log, lease_s=LEASE_S).go() for _ in range(PROCESSES)]
        began = time.monotonic()
        while kit.rows("SELECT id FROM job WHERE state <> 'done' LIMIT 1"):
            assert time.monotonic() < began + PATIENCE_S, dict(states(kit.storage))
            if time.monotonic() >= began + KILL_EVERY_S * (len(deaths) + 1):
                victim = nodes.pop(random.randrange(len(nodes)))
                deaths[victim.pid] = victim.kill()
                nodes.append(Node(kit.settings, log, lease_s=LEASE_S).go())
            time.sleep(0.01)
        took_s = time.monotonic() - began
        for node in nodes:
            node.stop()
        found = runs(log)
        ended = sum(any(run.ended is not None for run in mine) for mine in found.values())
        lost = (
            [f"{count - ended} jobs lost"] if ended != count or states(kit.storage) != {"done": count} else []
        )
    return count / took_s, len(deaths), lost + overlaps(found, deaths)


def measure(name: str, new_url: NewUrl, options: Any, scratch: Path) -> int:
    """Measure one database and print; 0 when its goal is met and nothing is wrong."""
    mine, plain = [], []
    for _ in range(options.rounds):
        plain.append(loop(scratch, new_url(), min(options.jobs, LOOP_JOBS)))
        mine.append(ours(scratch, new_url(), options.jobs))
    rate, kills, wrong = with_kills(scratch, new_url(), options.jobs)
    print(f"\n{name}: {options.jobs} jobs, {PROCESSES} processes, {options.rounds} rounds in turns")
    rows = [
        (title, f"{statistics.median(rates):.0f}", f"{min(rates):.0f}..{max(rates):.0f}")
        for title, rates in (("plain loop", plain), ("MaiRust", mine))
    ]
    rows.append((f"MaiRust, jobs of {KILL_JOB_MS} ms, {kills} kills", f"{rate:.0f}", "-"))
    print(render(("", "jobs/s", "spread"), rows))
    print(f"MaiRust / plain loop: {statistics.median(mine) / statistics.median(plain):.1f}")
    goal = Goal(f"{name} jobs", statistics.median(mine), options.goal, at_least=True, unit="jobs/s")
    return verdict([goal], wrong)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 0 when both goals are met, no job was lost and none ran twice at the same time."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.jobs", description=__doc__)
    parser.add_argument("--database", choices=("sqlite", "postgresql", "both"), default="both")
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--goal", type=float, default=GOAL_PER_S, help="jobs per second")
    options: Any = parser.parse_args(arguments)
    with (
        tempfile.TemporaryDirectory(prefix="mairust-jobs-", dir="/tmp") as scratch,
        databases(options.database) as found,
    ):
        return max([measure(name, new_url, options, Path(scratch)) for name, new_url in found.items()])


if __name__ == "__main__":
    sys.exit(main())
