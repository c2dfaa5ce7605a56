"""What processes cost and hold, read from ``/proc`` (Linux): for tests and benchmarks."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def process_tree(pid: int) -> list[int]:
    """The process and all its living descendants, parents first; empty when it is gone."""
    if not Path(f"/proc/{pid}").exists():
        return []
    return [pid, *(below for child in _children(pid) for below in process_tree(child))]


def children(pid: int) -> list[int]:
    """The living children of a process, without theirs."""
    return _children(pid)


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system time of these processes and of those children of theirs that ended."""
    return sum(sum(_stat(pid)[11:15]) for pid in pids) / _TICKS_PER_S


def pss_bytes(pids: Iterable[int]) -> int:
    """Proportional set size of these processes together: a shared page counts once."""
    return sum(_pss_bytes(pid) for pid in pids)


def state(pid: int) -> str:
    """The state letter of a process (R, S, D, T stopped, Z zombie), empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def gone(pid: int) -> bool:
    """Whether a process has ended."""
    return state(pid) in {"", "Z"}


def name_of(pid: int) -> str:
    """What the system calls a process, empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _children(pid: int) -> list[int]:
    """Children of every thread; one that ends meanwhile is left out."""
    found: list[int] = []
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                found += map(int, Path(f"/proc/{pid}/task/{task}/children").read_text().split())
    return found


def _stat(pid: int) -> list[int]:
    """Fields 3 and on of ``/proc/PID/stat`` as numbers, the state as 0; all 0 when the process is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return [0] * 50
    return [0, *map(int, fields[1:])]


def _pss_bytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
