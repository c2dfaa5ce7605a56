"""What the sandbox adds to a plugin: one STDIN worker in every layer that this machine has.

``python -m tests.benchmarks.sandbox [--calls 2000] [--rounds 3]``

The plugin reads a question of 4 KB, answers with one line and tells in it how long it took from one to the
other; what a call takes beyond that is ours. The same plugin without a sandbox, on two plain pipes in
blocking calls, is the floor. Oneshot processes are timed, not judged: most of that is the start of a program.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import uvloop

from mairust_core.model.plugin import Limits, ProcessMode
from mairust_core.sandbox.machine import Machine
from mairust_core.sandbox.probing import probe
from tests.benchmarks.table import Goal, render, verdict
from tests.support.plugins import Plugin, make_plugin

GOAL_MS = 1.5
AT_A_TIME = 16
ONESHOTS = 20
QUESTION = json.dumps({"protocol": 1, "message": {"headers": [["Subject", "x" * 64]] * 48}}).encode()
WORKER = """
    import json, sys, time
    for line in sys.stdin:
        began = time.perf_counter_ns()
        json.loads(line)
        print('{"action": "deliver", "ns": %d}' % (time.perf_counter_ns() - began), flush=True)
"""
SHELL = ("sh", "-c", 'read -r question; echo \'{"action": "deliver"}\'')


def over_ms(answer: bytes, took_ns: int) -> float:
    """What a call took beyond the plugin's own time."""
    return float(took_ns - int(json.loads(answer)["ns"])) / 1e6


async def one_by_one(plugin: Plugin, calls: int) -> list[float]:
    """What each call took beyond the plugin's own time, milliseconds."""
    await plugin.ask(QUESTION)
    found = []
    for _ in range(calls):
        began = time.perf_counter_ns()
        answer = await plugin.ask(QUESTION)
        found.append(over_ms(answer.body, time.perf_counter_ns() - began))
    return found


async def at_once(plugin: Plugin, calls: int) -> float:
    """Calls a second when some are always waiting."""
    left = iter(range(calls))

    async def ask() -> None:
        for _ in left:
            await plugin.ask(QUESTION)

    began = time.perf_counter()
    await asyncio.gather(*(ask() for _ in range(AT_A_TIME)))
    return calls / (time.perf_counter() - began)


def on_plain_pipes(directory: Path, calls: int) -> list[float]:
    """The same program, asked by blocking calls, without anything around it."""
    command = [sys.executable, str(directory / "plugin.py")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        found = []
        for _ in range(calls):
            began = time.perf_counter_ns()
            process.stdin.write(QUESTION + b"\n")
            answer = process.stdout.readline()
            found.append(over_ms(answer, time.perf_counter_ns() - began))
        process.stdin.close()
    return found


async def oneshots(directory: Path, machine: Machine) -> list[float]:
    """What a call of a shell script takes, from its start to its end, milliseconds."""
    plugin = make_plugin(directory, machine, "", mode=ProcessMode.ONESHOT, command=SHELL)
    found = []
    for _ in range(ONESHOTS):
        began = time.perf_counter()
        await plugin.ask(QUESTION)
        found.append((time.perf_counter() - began) * 1e3)
    await plugin.transport.close()
    return found


async def measured(scratch: Path, machine: Machine, calls: int) -> tuple[list[float], float, list[float]]:
    """One worker asked one by one, then many times at once; then oneshots."""
    plugin = make_plugin(scratch / "worker", machine, WORKER, limits=Limits(), max_calls=10**9)
    alone = await one_by_one(plugin, calls)
    rate = await at_once(plugin, calls)
    await plugin.transport.close()
    return alone, rate, await oneshots(scratch / "oneshot", machine)


def main(args: Sequence[str] | None = None) -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--goal", type=float, default=GOAL_MS)
    given = parser.parse_args(args)
    machine = probe()
    print(f"layers: {', '.join(machine.isolation.present)}")
    rows, medians = [], []
    for _ in range(given.rounds):
        with tempfile.TemporaryDirectory(prefix="mairust-bench-") as directory:
            alone, rate, shots = uvloop.run(measured(Path(directory), machine, given.calls))
            floor = on_plain_pipes(Path(directory) / "worker", given.calls)
        medians.append(statistics.median(alone))
        rows.append(
            (
                "one worker",
                f"{medians[-1]:.3f}",
                f"{statistics.quantiles(alone, n=100)[98]:.3f}",
                f"{statistics.median(floor):.3f}",
                f"{rate:,.0f}",
                f"{statistics.median(shots):.1f}",
            )
        )
    heading = ("", "over, ms", "p99", "plain pipes, ms", f"calls/s, {AT_A_TIME} at once", "oneshot sh, ms")
    print(render(heading, rows))
    goal = Goal("over the plugin's own time", statistics.median(medians), given.goal, unit="ms")
    return verdict([goal])


if __name__ == "__main__":
    sys.exit(main())
