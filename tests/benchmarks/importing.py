"""Import of a Maildir beside one core that parses the same files with the standard library.

``python -m tests.benchmarks.importing [--messages 20000] [--rounds 5] [--database sqlite|postgresql|both]``

The reference parses with ``BytesParser(policy=default)``, walks, and takes the content of each text part; its
errors are caught and counted. A classic parser (``compat32``) that does the same stands beside it. They take
every ``--stride``-th file, in turns with the imports. An import is the whole command, its start included,
into a fresh copy of a site; the second run finds nothing new. Memory is the PSS of the whole process tree.
"""

from __future__ import annotations

import argparse
import email.policy
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from email.parser import BytesParser
from pathlib import Path
from typing import Any

from tests.benchmarks.contenders import Engine, engines
from tests.benchmarks.corpus import read_corpus
from tests.benchmarks.servers import CHECKOUT, clean_environment
from tests.benchmarks.sites import Site, addresses, copy_site, mairust, mairust_exists, make_site
from tests.benchmarks.table import Goal, render, verdict
from tests.support.processes import process_tree, pss_bytes

RATE_GOAL, SECOND_GOAL, MEMORY_GOAL_MB = 4.0, 0.15, 300.0
SAMPLE_EVERY_S = 0.5
FIRST_S, EVERY_S = 1_700_000_000, 60
"""Dates of the messages: one each minute."""


@dataclass
class Runs:
    """The figures of one engine, round by round: messages per second, a share, megabytes."""

    first: list[float] = field(default_factory=list)
    second: list[float] = field(default_factory=list)
    peak_mb: list[float] = field(default_factory=list)
    default: list[float] = field(default_factory=list)
    compat32: list[float] = field(default_factory=list)


def write_maildir(root: Path, count: int) -> str:
    """Write ``count`` different messages of the corpus into a fresh Maildir; says what they are."""
    corpus = read_corpus()
    for part in ("cur", "new", "tmp"):
        (root / part).mkdir(parents=True)
    chance = random.Random(count)
    for number in range(count):
        message = corpus.messages[number % len(corpus.messages)].whole(b"%d." % number)
        at_s = FIRST_S + number * EVERY_S
        path = root / "cur" / f"{at_s}.M{number}.host:2,{'S' if chance.random() < 0.8 else ''}"
        path.write_bytes(message)
        os.utime(path, (at_s, at_s))
    os.sync()
    return str(corpus)


def parsing_rate(files: Sequence[Path], policy: Any) -> float:
    """Messages per second that one core parses, walks and takes the text of."""
    parser = BytesParser(policy=policy)
    errors = 0
    began_s = time.perf_counter()
    for path in files:
        try:
            with open(path, "rb") as file:
                message = parser.parse(file)
            for part in message.walk():
                if part.get_content_maintype() == "text":
                    _text_of(part)
        except Exception:
            errors += 1
    seconds = time.perf_counter() - began_s
    if errors:
        print(f"  {errors} of {len(files)} messages made the standard library raise")
    return len(files) / seconds


def _text_of(part: Any) -> None:
    if hasattr(part, "get_content"):
        part.get_content()
    else:
        part.get_payload(decode=True)


def command(site: Site, *arguments: object) -> tuple[float, float]:
    """Run a command of ours; its seconds and the peak PSS of its processes in MB.

    Raises: RuntimeError when it fails.
    """
    began_s = time.perf_counter()
    process = subprocess.Popen(
        mairust(site, *arguments),
        env=clean_environment(site.environment()),
        cwd=CHECKOUT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    peak, over = [0], threading.Event()

    def sample() -> None:
        while not over.wait(SAMPLE_EVERY_S):
            peak[0] = max(peak[0], pss_bytes(process_tree(process.pid)))

    thread = threading.Thread(target=sample)
    thread.start()
    code = process.wait()
    seconds = time.perf_counter() - began_s
    over.set()
    thread.join()
    if code:
        raise RuntimeError(f"{' '.join(map(str, arguments))}: exit {code}")
    return seconds, peak[0] / 1e6


def measure(engine: Engine, maildir: Path, options: Any, scratch: Path) -> Runs:
    """All rounds of one engine, imports and references in turns."""
    template = engine.server.create_database() if engine.server else None
    database = engine.server.dsn(template) if engine.server and template else None
    site = Site(directory=scratch / f"site-{engine.name}", database=database)
    make_site(site, 1)
    files = sorted((maildir / "cur").iterdir())[:: options.stride]
    runs = Runs()
    for number in range(options.rounds):
        copy = copy_site(site, scratch / f"{engine.name}-{number}", engine.fresh(template))
        _round(copy, maildir, options.messages, runs)
        for rates, policy in (
            (runs.default, email.policy.default),
            (runs.compat32, email.policy.compat32),
        ):
            rates.append(parsing_rate(files, policy))
    return runs


def _round(site: Site, maildir: Path, count: int, runs: Runs) -> None:
    os.sync()
    arguments = ("import", "maildir", maildir, "--account", addresses(1)[0], "--json")
    first_s, peak_mb = command(site, *arguments)
    second_s, _ = command(site, *arguments)
    runs.first.append(count / first_s)
    runs.second.append(second_s / first_s)
    runs.peak_mb.append(peak_mb)


def report(engine: Engine, runs: Runs) -> int:
    """Print the table and ratios of one engine; 0 when every goal is met."""
    middle: Callable[[list[float]], float] = statistics.median
    rows = [
        ("import", runs.first),
        ("parse, policy default, one core", runs.default),
        ("parse, compat32, one core", runs.compat32),
    ]
    print(f"\n{engine.name}")
    table = [(name, f"{middle(r):.0f}", f"{min(r):.0f}..{max(r):.0f}") for name, r in rows]
    print(render(("what", "msg/s", "min..max"), table))
    rate = middle([ours / theirs for ours, theirs in zip(runs.first, runs.default, strict=True)])
    return verdict(
        [
            Goal("import / parse, policy default", rate, RATE_GOAL, at_least=True),
            Goal("unchanged second run / first", middle(runs.second), SECOND_GOAL),
            Goal("peak PSS", max(runs.peak_mb), MEMORY_GOAL_MB, unit="MB"),
        ]
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 0 when every goal is met."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.importing", description=__doc__)
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--stride", type=int, default=20)
    parser.add_argument("--database", choices=("sqlite", "postgresql", "both"), default="both")
    options = parser.parse_args(arguments)
    if not mairust_exists():
        return verdict([], ["MaiRust is not here yet"])
    # Left behind on purpose: removing thousands of files slows the creates of whoever measures next.
    scratch = Path(tempfile.mkdtemp(prefix="mairust-import-", dir="/tmp"))
    print(f"{options.messages} of {write_maildir(scratch / 'Maildir', options.messages)}, in {scratch}")
    failed = 0
    with engines(options.database) as chosen:
        for engine in chosen:
            failed |= report(engine, measure(engine, scratch / "Maildir", options, scratch))
    return failed


if __name__ == "__main__":
    sys.exit(main())
