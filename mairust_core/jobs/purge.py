"""Forgetting jobs that were done long ago (rule J3)."""

from __future__ import annotations

import time
from collections.abc import Callable

from mairust_core.jobs.lease import Lease
from mairust_core.store import StorageBackend, jobs

ROWS = 500
DAY_MS = 86_400_000


def purge(
    storage: StorageBackend, days: int, lease: Lease, rest: Callable[[float], None] = time.sleep
) -> int:
    """Delete what was done that many days ago, in small steps that let mail go first; how many.

    Dead jobs stay until somebody retries or discards them.
    """
    gone = 0
    while True:
        lease.check()
        began = time.monotonic()
        with storage.write() as tx:
            step = jobs.purge(tx, storage.now_ms(tx) - days * DAY_MS, ROWS)
        gone += step
        if step < ROWS:
            return gone
        rest(min(time.monotonic() - began, 0.05))
