"""Rest between the steps of a long job, as long as somebody else wants the processors."""

from __future__ import annotations

import threading
from pathlib import Path

CROWDED = 0.03
"""Of its working time: a thread that waited longer than that for a processor is in somebody's way."""
_SCHEDSTAT = Path("/proc/thread-self/schedstat")


class Resting:
    """Called after each step with the processor time it took, in seconds, by the thread that made this.

    It rests `ratio` times as long, or until `stopping` is set. `always` also where the processors are free:
    for threads of a process whose event loop waits for the same interpreter, which no processor shows.
    """

    def __init__(self, stopping: threading.Event, ratio: float, *, always: bool) -> None:
        self._stopping = stopping
        self._ratio = ratio
        self._always = always
        self._waited_s = waited_s()

    def __call__(self, took_s: float) -> None:
        """Rest if that is called for."""
        before_s, self._waited_s = self._waited_s, waited_s()
        if self._always or before_s is None or self._waited_s is None:
            crowded = True
        else:
            crowded = self._waited_s - before_s > CROWDED * took_s
        if crowded:
            self._stopping.wait(self._ratio * took_s)
            self._waited_s = waited_s()


def waited_s() -> float | None:
    """How long this thread could have worked and had no processor, since it began; None if nobody counts.

    Source: Linux, Documentation/scheduler/sched-stats.rst, `/proc/<pid>/schedstat`.
    """
    try:
        worked_ns, waited_ns, _ = map(int, _SCHEDSTAT.read_bytes().split())
    except (OSError, ValueError):
        return None
    return waited_ns / 1e9 if worked_ns else None  # a kernel that does not count shows zeros
