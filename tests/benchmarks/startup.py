"""What it costs to start a command: user and system time beside bare Python doing the unavoidable imports.

``python -m tests.benchmarks.startup [--runs 11]``

Both sides of a ratio take turns; compiled files are there (one unmeasured run each may write them). The
installed console script is measured when the interpreter's directory has one, else ``-m mairust_cli.entry``.
Judged by medians; minima are printed beside them.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.servers import clean_environment
from tests.benchmarks.sites import Site, mairust_exists, make_site
from tests.benchmarks.table import Goal, render, verdict


@dataclass(frozen=True, slots=True)
class Pair:
    """A command of ours, the Python statement it is measured against, and the ratio allowed."""

    arguments: tuple[str, ...]
    statement: str
    bound: float

    @property
    def name(self) -> str:
        """As the table shows it."""
        return f"mairust {' '.join(self.arguments)}"


PAIRS = (
    Pair(("--version",), "pass", 3.0),
    Pair(("--help",), "import typer", 2.5),
    Pair(("domain", "list"), "import typer, rich.table, sqlalchemy", 1.3),
    Pair(("--complete", "accounts", ""), "import typer", 1.3),  # a TAB: no more than reading arguments costs
)


def console_script() -> list[str]:
    """How MaiRust is started here."""
    script = Path(sys.executable).with_name("mairust")
    return [str(script)] if script.exists() else [sys.executable, "-m", "mairust_cli.entry"]


def cpu_ms(command: Sequence[str], environment: dict[str, str], directory: Path) -> float:
    """Run a command to its end; its user and system time.

    Raises: RuntimeError when it fails: a failing command is no measurement.
    """
    process = subprocess.Popen(
        command, env=environment, cwd=directory, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)}: exit {process.returncode}")
    return (usage.ru_utime + usage.ru_stime) * 1000


def measure(pair: Pair, runs: int, site: Site) -> tuple[list[float], list[float]]:
    """CPU milliseconds of our command and of its reference, run by run in turns."""
    environment = clean_environment({"MAIRUST_DATA_DIR": str(site.directory)})
    ours = [*console_script(), *pair.arguments]
    reference = [sys.executable, "-c", pair.statement]
    taken: tuple[list[float], list[float]] = ([], [])
    for number in range(runs + 1):
        for command, figures in zip((ours, reference), taken, strict=True):
            figure = cpu_ms(command, environment, site.directory.parent)
            if number:
                figures.append(figure)
    return taken


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 0 when every goal is met."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.startup", description=__doc__)
    parser.add_argument("--runs", type=int, default=11)
    options = parser.parse_args(arguments)
    if not mairust_exists():
        return verdict([], ["MaiRust is not here yet"])
    site = Site(directory=Path(tempfile.mkdtemp(prefix="mairust-startup-", dir="/tmp")) / "site")
    make_site(site, 1)
    goals, rows = [], []
    for pair in PAIRS:
        ours, reference = measure(pair, options.runs, site)
        figures = (statistics.median(ours), statistics.median(reference), min(ours), min(reference))
        rows.append((pair.name, *(f"{figure:.0f}" for figure in figures), f"{figures[2] / figures[3]:.2f}"))
        goals.append(Goal(f"{pair.name} / python -c '{pair.statement}'", figures[0] / figures[1], pair.bound))
    print(f"CPU of starting, {options.runs} runs in turns, by {' '.join(console_script())}")
    print(
        render(("command", "ours ms", "reference ms", "ours min", "reference min", "ratio of minima"), rows)
    )
    return verdict(goals)


if __name__ == "__main__":
    sys.exit(main())
