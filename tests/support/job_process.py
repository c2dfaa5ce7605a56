"""A node that runs jobs: `python -m tests.support.job_process DATA_DIR URL LOG THREADS LEASE_S`.

    note    begins, sleeps `ms`, ends; both moments go into LOG, whatever becomes of the process
    empty   nothing but these two lines
    bare    nothing at all
    poison  begins and kills its own process

It prints `ready`, waits for a line, runs until its input ends, stops in good order, and dies with its parent.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mairust_core.app import Site
from mairust_core.config import Settings
from mairust_core.jobs import Kind, Timing
from mairust_core.jobs.lease import Lease
from mairust_core.jobs.runner import Runner
from mairust_core.store import open_storage
from tests.support import forks
from tests.support.stores import settings_for

ROOT = Path(__file__).parents[2]
_PR_SET_PDEATHSIG = 1


class Log:
    """Lines of several processes in one file: each is one `write`, which the kernel keeps when they die."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)

    def write(self, what: str, lease: Lease) -> None:
        """A moment in the life of a job, by the clock that all processes of this machine share."""
        line = {
            "what": what, "job": int(lease.job.id), "fence": lease.job.fence,
            "pid": os.getpid(), "at": time.monotonic_ns(),
        }  # fmt: skip
        os.write(self._fd, json.dumps(line).encode() + b"\n")


@dataclass(frozen=True, slots=True, order=True)
class Run:
    """One run of one job's handler: times in nanoseconds; `ended` None when its process died meanwhile."""

    began: int
    ended: int | None
    pid: int
    fence: int


def runs(log: Path) -> dict[int, list[Run]]:
    """What the log tells of each job, in the order of beginning."""
    begins: dict[tuple[int, int], dict[str, int]] = {}
    ends: dict[tuple[int, int], int] = {}
    for line in log.read_text().splitlines() if log.exists() else ():
        one = json.loads(line)
        key = (one["job"], one["fence"])
        if one["what"] == "begin":
            assert key not in begins, f"job {key[0]} began twice under one lease"
            begins[key] = one
        else:
            ends[key] = one["at"]
    found: dict[int, list[Run]] = defaultdict(list)
    for (job, fence), one in begins.items():
        found[job].append(Run(one["at"], ends.get((job, fence)), one["pid"], fence))
    return {job: sorted(mine) for job, mine in found.items()}


def overlaps(found: Mapping[int, Iterable[Run]], deaths: Mapping[int, int]) -> list[str]:
    """Jobs that ran twice at the same time; `deaths` says when each killed process was gone."""
    wrong = []
    for job, mine in found.items():
        until = 0
        for run in mine:
            if run.began < until:
                wrong.append(f"job {job} began under lease {run.fence} while it still ran")
            until = max(until, run.ended if run.ended is not None else deaths[run.pid])
    return wrong


class Node:
    """One such process."""

    def __init__(self, settings: Settings, log: Path, *, threads: int = 2, lease_s: float = 2.0) -> None:
        command = [sys.executable, "-m", "tests.support.job_process", str(settings.data_dir)]
        more = [settings.database.url, str(log), str(threads), str(lease_s)]
        pipe = subprocess.PIPE
        self.process = forks.Popen[bytes]([*command, *more], cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"ready\n", self.process.communicate()[1].decode()

    def go(self) -> Node:
        """Let it begin."""
        assert self.process.stdin is not None
        self.process.stdin.write(b"go\n")
        self.process.stdin.flush()
        return self

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def kill(self) -> int:
        """SIGKILL; when it was gone for certain, in nanoseconds."""
        self.process.kill()
        self.process.communicate()
        return time.monotonic_ns()

    def stop(self) -> str:
        """Let it end in good order; what it logged."""
        return self.process.communicate(timeout=120)[1].decode()


def kinds(log: Log) -> list[Kind]:
    """What these nodes can do."""

    def note(_: Site, payload: Mapping[str, Any], lease: Lease) -> None:
        log.write("begin", lease)
        time.sleep(payload.get("ms", 0) / 1000)
        log.write("end", lease)

    def empty(_: Site, __: Mapping[str, Any], lease: Lease) -> None:
        log.write("begin", lease)
        log.write("end", lease)

    def poison(_: Site, __: Mapping[str, Any], lease: Lease) -> None:
        log.write("begin", lease)
        os.kill(os.getpid(), signal.SIGKILL)

    return [
        Kind(name="note", handler=note),
        Kind(name="empty", handler=empty),
        Kind(name="bare", handler=lambda *_: None),
        Kind(name="poison", handler=poison, concurrency=1),
    ]


def main(data_dir: str, url: str, log: str, threads: str, lease_s: str) -> None:
    """Run jobs until standard input ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    settings = settings_for(Path(data_dir), url)
    lease = float(lease_s)
    timing = Timing(lease_s=lease, renew_s=lease / 5, watch_s=lease / 10, longest_pause_s=0.2)
    with closing(open_storage(settings.database.url)) as storage:
        site = Site(settings, storage)
        runner = Runner(site, kinds(Log(Path(log))), threads=int(threads), timing=timing)
        print("ready", flush=True)
        sys.stdin.readline()
        runner.start()
        sys.stdin.read()
        runner.stop(60)


if __name__ == "__main__":
    main(*sys.argv[1:])
