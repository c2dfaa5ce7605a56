"""Ids that sort by birth: 41 bits of milliseconds, 10 of process, 12 of sequence (rule A4)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from mairust_core.model.ids import Id

EPOCH_MS = 1_735_689_600_000  # 2025-01-01T00:00:00Z: 41 bits last until 2094
PROCESSES = 1 << 10
SEQUENCES = 1 << 12
_MAX_ID = (1 << 63) - 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EARLIEST_MS, LATEST_MS = -62_135_596_800_000, 253_402_300_799_999
"""The first millisecond of the year 1 and the last of 9999, in UTC."""


def now_ms() -> int:
    """Milliseconds since 1970 by the wall clock."""
    return time.time_ns() // 1_000_000


def to_time(ms: int) -> datetime:
    """The UTC-aware datetime of milliseconds since 1970, the nearest where there is none."""
    return _EPOCH + timedelta(milliseconds=nearest_ms(ms))  # exact, also where a float of seconds is not


def nearest_ms(ms: int) -> int:
    """The nearest time that a datetime holds: one row beyond shall not keep all others from being read."""
    return min(max(ms, EARLIEST_MS), LATEST_MS)


def to_ms(at: datetime) -> int:
    """Milliseconds since 1970 of an aware datetime."""
    return round(at.timestamp() * 1000)


def first_id(ms: int) -> int:
    """The least id that was made at that time or later (rule A4), within what a database has for it."""
    return min(max(ms - EPOCH_MS, 0) * PROCESSES * SEQUENCES, _MAX_ID)


class IdSource:
    """Ids of one process: never twice, never backwards, also when the clock goes back. Thread-safe.

    `process` is the number leased from the database, `last_ms` the last millisecond its previous holder used.
    """

    def __init__(self, process: int, last_ms: int = 0, clock: Callable[[], int] = now_ms) -> None:
        if not 0 <= process < PROCESSES:
            raise ValueError(f"process number {process} is outside 0..{PROCESSES - 1}")
        self.process = process
        self.clock = clock
        self._lock = threading.Lock()
        self._ms = last_ms
        self._sequence = SEQUENCES - 1

    def move(self, process: int, last_ms: int) -> None:
        """Go on under another process number, whose previous holder used `last_ms` last."""
        with self._lock:
            self.process = process
            self._ms, self._sequence = max(self._ms, last_ms), SEQUENCES - 1

    @property
    def last_ms(self) -> int:
        """The last millisecond used; returned to the database with the lease."""
        return self._ms

    def next(self) -> Id:
        """One more id. When a millisecond is used up the next one begins early rather than waiting."""
        with self._lock:
            self._sequence += 1
            at_ms = self.clock()
            if at_ms > self._ms:
                self._ms, self._sequence = at_ms, 0
            elif self._sequence >= SEQUENCES:
                self._ms, self._sequence = self._ms + 1, 0
            return Id(((self._ms - EPOCH_MS) << 22) | (self.process << 12) | self._sequence)
