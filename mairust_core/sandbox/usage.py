"""What a process and all that descend from it use, where no control group counts it (proc(5))."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_TICK_US = 1_000_000 // os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_UTIME, _CUTIME, _THREADS, _STARTED, _RSS = 11, 13, 17, 19, 21
"""Fields of /proc/PID/stat, counted behind the name: utime, stime; cutime, cstime; threads; start; rss."""


_DEAD_SHARE = 16
"""So many times as many may be there, dead ones counted: most programs wait for no stranger's end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """CPU time so far; memory now, what processes share in each; processes and threads now."""

    cpu_us: int = 0
    memory_bytes: int = 0
    tasks: int = 0


class Tree:
    """A process and its living descendants, looked at again and again.

    Where no process namespace collects what lost its parent, its first process does (`launch.py`).
    """

    def __init__(self, pid: int, most_tasks: int) -> None:
        self._pid = pid
        self._most_tasks = most_tasks
        self._seen: dict[tuple[int, int], int] = {}
        self._gone_ticks = 0
        self._ticks = 0

    def look(self) -> Usage:
        """What they use together; of more tasks than the most, who may be a bomb, no more than their number.

        Children whose end nobody waits for are in no parent's account: what was seen of them counts.
        """
        pids = _tree(self._pid, self._most_tasks * _DEAD_SHARE)
        if len(pids) > self._most_tasks * _DEAD_SHARE:
            return Usage(cpu_us=self._ticks * _TICK_US, tasks=len(pids))
        found: dict[tuple[int, int], int] = {}
        waited = pages = tasks = 0
        for one in pids:
            with suppress(OSError, IndexError):  # it ended meanwhile
                fields = Path(f"/proc/{one}/stat").read_bytes().rpartition(b")")[2].split()
                found[one, int(fields[_STARTED])] = sum(map(int, fields[_UTIME:_CUTIME]))
                waited += sum(map(int, fields[_CUTIME : _CUTIME + 2]))
                pages += int(fields[_RSS])
                tasks += 0 if fields[0] == b"Z" else int(fields[_THREADS])
                if tasks > self._most_tasks:
                    return Usage(cpu_us=self._ticks * _TICK_US, tasks=tasks)
        self._gone_ticks += sum(ticks for key, ticks in self._seen.items() if key not in found)
        self._seen = found
        self._ticks = max(self._ticks, sum(found.values()) + max(waited, self._gone_ticks))
        return Usage(cpu_us=self._ticks * _TICK_US, memory_bytes=pages * _PAGE_BYTES, tasks=tasks)


def fair_memory_bytes(pid: int, most_tasks: int) -> int:
    """The memory of this process and its descendants, what they share counted once; slow.

    All of it for a process that does not let itself be looked at.
    """
    return sum(_fair_bytes(one) for one in _tree(pid, most_tasks * _DEAD_SHARE))


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


def _tree(pid: int, most: int) -> list[int]:
    """A process and its living descendants, or as many of them as there are more than the most."""
    found = [pid]
    for one in found:
        found += _children(one, most)
        if len(found) > most:
            break
    return found


def _children(pid: int, most: int) -> list[int]:
    """Those of each thread; of more threads than the most nothing needs to be known."""
    found: list[int] = []
    with suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task")[: most + 1]:
            with suppress(OSError):
                found += map(int, Path(f"/proc/{pid}/task/{thread}/children").read_bytes().split())
    return found
