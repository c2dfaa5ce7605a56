"""Failed log-ins are counted in the database, by where they come from and whom they aim at (trap A4).

Each subject has a number of tries at once, and gets one back after every pause; the count is the same for
every process and node. Addresses of this machine and of trusted networks are not counted (rule J2).
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mairust_core.errors import TooMany
from mairust_core.ids import now_ms
from mairust_core.networks import Network, counted
from mairust_core.store import failures
from mairust_core.store.failures import Weight

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from mairust_core.store import StorageBackend

MAX_REMEMBERED = 10_000

log = logging.getLogger("mairust.access")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tries:
    """How many wrong tries at once, and the pause in milliseconds after which one more is granted."""

    at_once: int
    pause_ms: int


PER_ADDRESS = Tries(at_once=20, pause_ms=6_000)
PER_SUBJECT = Tries(at_once=10, pause_ms=30_000)


class Throttle:
    """Counts failed log-ins. Thread-safe; `trusted` are networks whose clients are not counted."""

    def __init__(
        self,
        storage: StorageBackend,
        trusted: Sequence[Network] = (),
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self._storage = storage
        self._trusted = trusted
        self._clock = clock
        self._closed: dict[str, int] = {}

    def weights(self, ip: str | None, subject: str | None) -> list[Weight]:
        """What a failure counts for: the subject, if there is one, and the address when it is counted."""
        found = [] if subject is None else [_weight(f"to:{_short(subject)}", PER_SUBJECT)]
        address = counted(ip, self._trusted)
        if address is not None:
            found.append(_weight(f"from:{address}", PER_ADDRESS))
        return found

    def require_address(self, ip: str | None) -> None:
        """Raise `TooMany` when this process knows that the address is out of tries; reads nothing."""
        address, now = counted(ip, self._trusted), self._clock()
        until = self._closed.get(f"from:{address}", 0)
        if now < until <= now + PER_ADDRESS.pause_ms:  # beyond that it is from before the clock went back
            raise _too_many(until - now)

    def require(self, tx: Connection, weights: Sequence[Weight]) -> None:
        """Raise `TooMany` while one of these is out of tries."""
        now = self._clock()
        found = failures.until(tx, [one.subject for one in weights])
        for one in weights:
            until = found.get(one.subject, 0)
            opens = until - one.most_ms + one.each_ms
            if until > now + one.most_ms:
                # the clock went back, and the row stays as it is until a failure is counted again
                pause_ends = now + one.each_ms
                opens = min(pause_ends, self._closed.get(one.subject, pause_ends))
            if opens > now:
                self._remember(one.subject, opens)
                raise _too_many(opens - now)

    def count(self, weights: Sequence[Weight]) -> None:
        """Count one failure."""
        if not weights:
            return
        with self._storage.write() as tx:
            failures.record(tx, weights, self._clock())

    def _remember(self, subject: str, until_ms: int) -> None:
        if self._closed.get(subject) == until_ms:
            return
        if len(self._closed) >= MAX_REMEMBERED:
            self._closed.clear()
        self._closed[subject] = until_ms
        log.warning("%s is out of tries to log in", subject)


def _weight(subject: str, tries: Tries) -> Weight:
    return Weight(subject=subject, each_ms=tries.pause_ms, most_ms=tries.at_once * tries.pause_ms)


def _short(subject: str) -> str:
    """The subject itself, or its hash when it is longer than any of ours."""
    if len(subject) <= 100 and subject.isprintable():
        return subject
    return "#" + hashlib.sha256(subject.encode("utf-8", "surrogatepass")).hexdigest()


def _too_many(ms: int) -> TooMany:
    return TooMany("failures", retry_after_s=max(1, -(-ms // 1000)))
