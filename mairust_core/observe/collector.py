"""How often a process of ours looks for cyclic garbage."""

from __future__ import annotations

import gc

THRESHOLDS = (50_000, 20, 50)


def calm_collector() -> None:
    """Look seldom: a mail makes hundreds of objects and no cycle.

    Looking as often as usual costs 0.71 of the 5.1 s of processor that an import's own process takes.
    """
    gc.set_threshold(*THRESHOLDS)
