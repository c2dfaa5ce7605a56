"""How many requests a client may make: a bucket for each key and for each address, in this process.

A bucket holds as many requests as ten seconds bring, and fills again at the rate granted (the generic cell
rate algorithm, ITU-T I.371: one number for each bucket). `limits` has no such bucket; its moving windows
remember every request.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from math import ceil

from mairust_core.errors import TooMany

BURST_S = 10.0
MAX_BUCKETS = 20_000
_SPARE_BUCKETS = MAX_BUCKETS // 16
"""Freed at once, so that a flood of new names does not have all buckets looked through for each of them."""
_ROUNDING_S = 1e-6


class Rates:
    """Buckets of one size. Belongs to one event loop; `per_minute` 0 grants everything."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._pause_s = 60.0 / per_minute if per_minute else 0.0
        self._clock = clock
        self._full_at: dict[str, float] = {}

    def take(self, name: str) -> None:
        """Take one request out of a bucket; raises `TooMany`, with the seconds to wait, when it is empty."""
        if not self._pause_s:
            return
        now = self._clock()
        full_at = max(self._full_at.get(name, now), now) + self._pause_s
        wait_s = full_at - now - max(BURST_S, self._pause_s)
        if wait_s > _ROUNDING_S:
            raise TooMany("rate", retry_after_s=max(1, ceil(wait_s)))
        if len(self._full_at) >= MAX_BUCKETS and name not in self._full_at:
            self._forget_full(now)
        self._full_at[name] = full_at

    def _forget_full(self, now: float) -> None:
        self._full_at = {name: at for name, at in self._full_at.items() if at > now}
        while len(self._full_at) > MAX_BUCKETS - _SPARE_BUCKETS:
            self._full_at.pop(next(iter(self._full_at)))
