"""Refused tokens that wait to be written down, so that no plugin makes a transaction with each of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

WRITES_A_MINUTE = 10
"""Transactions for the refused tokens of one plugin, in one process."""
MAX_TOKENS = 32
"""So many tokens are counted each in one transaction (rule D2); of more only their sum."""
MAX_PLUGINS = 1000
_MINUTE_S = 60


@dataclass(slots=True)
class Refused:
    """Refusals of one plugin's tokens: `times` of all, `tokens` those of some of them by their ids."""

    times: int = 0
    tokens: dict[str, int] = field(default_factory=dict)

    def note(self, token: str) -> None:
        """One more."""
        self.times += 1
        if token in self.tokens or len(self.tokens) < MAX_TOKENS:
            self.tokens[token] = self.tokens.get(token, 0) + 1


@dataclass(slots=True)
class _Kept:
    minute: int
    writes: int = 0
    waiting: Refused = field(default_factory=Refused)


class Refusals:
    """Counts refusals of this process until they are written. Thread-safe.

    What waits is written with the next refusal of the same plugin in a later minute; it is lost with the
    process.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` gives seconds."""
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: dict[str, _Kept] = {}

    def to_write(self, plugin: str, token: str) -> Refused | None:
        """What is to be written now, with this refusal; None when it waits."""
        minute = int(self._clock() // _MINUTE_S)
        with self._lock:
            kept = self._of(plugin, minute)
            kept.waiting.note(token)
            if kept.writes >= WRITES_A_MINUTE:
                return None
            kept.writes += 1
            found, kept.waiting = kept.waiting, Refused()
            return found

    def _of(self, plugin: str, minute: int) -> _Kept:
        kept = self._kept.get(plugin)
        if kept is None:
            if len(self._kept) >= MAX_PLUGINS:
                del self._kept[next(iter(self._kept))]
            kept = self._kept[plugin] = _Kept(minute)
        if kept.minute != minute:
            kept.minute, kept.writes = minute, 0
        return kept
