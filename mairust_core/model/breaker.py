"""The breaker of a hook: closed while it answers, open for a while after failures that were its own fault."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from mairust_core.model.hook import HookType

OPEN_MS = 60_000
"""After this one call is let through."""
PROBING_MS = 10_000
"""How long one process may take to find out whether a hook fails or only some mails do."""
POISON_MS = 3_600_000
"""For so long a mail that makes a hook fail is not shown to it again."""


class BreakerState(StrEnum):
    """How a breaker stands."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"
    """Its time is over: the next call decides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """What is known of the failures of one hook, all processes together (rule E5).

    `failures` are the distinct mails, by hash, that failed one after another. `open_until_ms` None: closed.
    """

    failures: tuple[str, ...] = ()
    open_until_ms: int | None = None
    probing_until_ms: int = 0
    last_error: str = ""

    def state(self, now_ms: int) -> BreakerState:
        """How it stands at a moment."""
        if self.open_until_ms is None:
            return BreakerState.CLOSED
        return BreakerState.OPEN if now_ms < self.open_until_ms else BreakerState.HALF_OPEN


CLOSED = Breaker()
THRESHOLDS = {HookType.PRE_RECEIVE: 3, HookType.PRE_DELIVERY: 3, HookType.POST_RECEIVE: 10}


def after_failure(before: Breaker, mail: str, why: str, threshold: int, now_ms: int) -> tuple[Breaker, bool]:
    """The breaker after one more failure, and whether whoever saw it is to send the probe (rule E5).

    The same mail counts once. An open one that let a call through is probed at once.
    """
    failures = tuple(dict.fromkeys((*before.failures, mail)))[-threshold:]
    due = len(failures) >= threshold or before.open_until_ms is not None
    probe = due and now_ms >= before.probing_until_ms
    found = replace(before, failures=failures, last_error=why)
    return (replace(found, probing_until_ms=now_ms + PROBING_MS) if probe else found), probe


def after_failed_probe(before: Breaker, now_ms: int) -> Breaker:
    """Open: the hook fails whatever it is asked."""
    return replace(before, open_until_ms=now_ms + OPEN_MS, probing_until_ms=0)
