"""What a process and all that descend from it use, where no control group counts it (proc(5))."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_TICK_US = 1_000_000 // os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_UTIME, _CSTIME, _RSS = 11, 14, 21
"""Fields of /proc/PID/stat, counted behind the name: utime, stime, cutime, cstime; rss."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """CPU time so far, children that were waited for included; memory now, what processes share in each."""

    cpu_us: int = 0
    memory_bytes: int = 0


def of_tree(pid: int) -> Usage:
    """What this process and its living descendants use together."""
    cpu_ticks = pages = 0
    for one in _tree(pid):
        with suppress(OSError, IndexError):  # it ended meanwhile
            fields = Path(f"/proc/{one}/stat").read_bytes().rpartition(b")")[2].split()
            cpu_ticks += sum(map(int, fields[_UTIME : _CSTIME + 1]))
            pages += int(fields[_RSS])
    return Usage(cpu_us=cpu_ticks * _TICK_US, memory_bytes=pages * _PAGE_BYTES)


def fair_memory_bytes(pid: int) -> int:
    """The memory of this process and its descendants, what they share counted once; slow.

    All of it for a process that does not let itself be looked at.
    """
    return sum(_fair_bytes(one) for one in _tree(pid))


def _fair_bytes(pid: int) -> int:
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii")
    except PermissionError:
        return _resident_bytes(pid)
    except OSError:
        return 0
    found = next((line for line in rollup.splitlines() if line.startswith("Pss:")), "Pss: 0")
    return int(found.split()[1]) << 10


def _resident_bytes(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_bytes().split()[1]) * _PAGE_BYTES
    except OSError:
        return 0


def _tree(pid: int) -> Iterator[int]:
    yield pid
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return
    for thread in threads:
        with suppress(OSError):
            for child in Path(f"/proc/{pid}/task/{thread}/children").read_bytes().split():
                yield from _tree(int(child))
