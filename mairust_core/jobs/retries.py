"""What an outcome means for its job; pure decisions."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from random import Random

from mairust_core.errors import MaiRustError
from mairust_core.jobs import Kind
from mairust_core.jobs.lease import Lease
from mairust_core.model.job import Settlement, State

JITTER = 0.1
"""Pauses vary by this share, so that what failed together does not come back together."""
MAX_ERROR_LENGTH = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one attempt ended: neither an error nor returned means done."""

    lease: Lease
    error: str | None = None
    returned: bool = False
    """Given back: it was not begun, or stopped in good order."""
    waits_s: float = 0.0
    """It was given back because it has to wait for so long, and `error` says for what."""


def settlement(outcome: Outcome, kind: Kind, chance: Random) -> Settlement:
    """Done, once more later, or dead when it was the last attempt."""
    job = outcome.lease.job
    error = outcome.error
    if outcome.returned and outcome.lease.timed_out:
        error = f"stopped after {kind.timeout_s:g} seconds" if kind.timeout_s else "stopped"
    elif outcome.returned:
        delay_ms_ = round(outcome.waits_s * 1000 * chance.uniform(1 - JITTER, 1 + JITTER))
        return Settlement(lease=job, state=State.READY, error=error, delay_ms=delay_ms_, counted=False)
    if error is None:
        return Settlement(lease=job, state=State.DONE)
    if job.attempts >= job.max_attempts:
        return Settlement(lease=job, state=State.DEAD, error=error)
    return Settlement(
        lease=job, state=State.READY, error=error, delay_ms=delay_ms(kind, job.attempts, chance)
    )


def delay_ms(kind: Kind, attempts: int, chance: Random) -> int:
    """The pause after that many attempts."""
    if not kind.retry_after_s:
        return 0
    pause_s = kind.retry_after_s[min(attempts, len(kind.retry_after_s)) - 1]
    return round(pause_s * 1000 * chance.uniform(1 - JITTER, 1 + JITTER))


def longest_delay_ms(kinds: list[Kind]) -> int:
    """No retry of these kinds waits longer."""
    return round(max((p for kind in kinds for p in kind.retry_after_s), default=0) * 1000 * (1 + JITTER)) + 1


def one_line(error: BaseException) -> str:
    """What is kept of an error: our own words; of a foreign one, whose text may hold mail or secrets, only
    its class, the system's word for it, and where it was raised."""
    if isinstance(error, MaiRustError):
        return " ".join(f"{error.code}: {error}".split())[:MAX_ERROR_LENGTH]
    why = f": {error.strerror}" if isinstance(error, OSError) and error.strerror else ""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{why}{where}"[:MAX_ERROR_LENGTH]
