"""What calls of each plugin came to and took, added up in this process until it is written down."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace

from mairust_core.hooks.calls import Outcome
from mairust_core.hooks.transport import NOTHING_USED
from mairust_core.model.plugin import Protocol, Runnable

WITH_SECRET = (Protocol.HTTP, Protocol.UNIX)


@dataclass(slots=True, kw_only=True)
class Figure:
    """Sums over some calls of one plugin; `peak_bytes` is the most that one process used.

    `failures` hold those that were too late, which are counted in `timeouts` as well; `signed` are calls made
    under its secret.
    """

    calls: int = 0
    failures: int = 0
    timeouts: int = 0
    skipped: int = 0
    signed: int = 0
    wall_us: int = 0
    cpu_us: int = 0
    peak_bytes: int = 0
    last_ms: int = 0

    def add(self, other: Figure) -> None:
        """Count those of another one, too."""
        self.calls += other.calls
        self.failures += other.failures
        self.timeouts += other.timeouts
        self.skipped += other.skipped
        self.signed += other.signed
        self.wall_us += other.wall_us
        self.cpu_us += other.cpu_us
        self.peak_bytes = max(self.peak_bytes, other.peak_bytes)
        self.last_ms = max(self.last_ms, other.last_ms)


class Figures:
    """The sums of one process. Thread-safe."""

    def __init__(self) -> None:
        self._sums: dict[str, Figure] = {}
        self._lock = threading.Lock()

    def add(self, plugin: Runnable, outcome: Outcome, at_ms: int) -> None:
        """Count one call, which was made then."""
        with self._lock:
            known = self._sums.get(plugin.id)
            if known is None:
                known = self._sums[plugin.id] = Figure()
            if not outcome.called:
                known.skipped += 1
                return
            known.calls += 1
            known.wall_us += int(outcome.ms * 1000)
            known.last_ms = at_ms
            if plugin.entry.protocol in WITH_SECRET:
                known.signed += 1
            if outcome.error is not None:
                known.failures += 1
                known.timeouts += outcome.late
            if (used := outcome.used) is not NOTHING_USED:
                known.cpu_us += used.cpu_us
                known.peak_bytes = max(known.peak_bytes, used.memory_bytes)

    def take(self) -> dict[str, Figure]:
        """What was counted since this was last asked, by plugin."""
        with self._lock:
            taken, self._sums = self._sums, {}
        return taken

    def put_back(self, taken: Mapping[str, Figure]) -> None:
        """What could not be written counts the next time."""
        with self._lock:
            for plugin, figure in taken.items():
                if (known := self._sums.get(plugin)) is None:
                    self._sums[plugin] = replace(figure)
                else:
                    known.add(figure)
