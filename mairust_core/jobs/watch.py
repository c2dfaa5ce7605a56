"""When a job is to be taken from a worker that has died; a pure decision.

By the database's clock alone a leap of that clock would end the leases of workers that live. So a lease is
over when the database's clock says so *and* its holder let us watch for longer than a renewal takes without
renewing it. A clock that went back would keep it for too long: it then ends one lease's length from now.
Of a worker whose process is known to have ended, all leases are over.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mairust_core.model.ids import Id
from mairust_core.model.job import Held

RENEWALS = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What one look at the leases of others leads to."""

    ended: list[Held]
    """Leases of workers that are known to have ended."""
    overdue: list[Held]
    beyond: list[Held]
    """Leases that end later than any given now would."""


class Watch:
    """What one process remembers of the leases it has seen; belongs to one thread."""

    def __init__(self, lease_ms: int, renew_s: float) -> None:
        self._lease_ms = lease_ms
        self._patience_s = renew_s * RENEWALS
        self._since: dict[tuple[Id, int, int], float] = {}
        self._ended: set[str] = set()

    def end(self, worker: str) -> None:
        """Know that the process of a worker has ended; also of leases that its database writes after that."""
        self._ended.add(worker)

    def look(self, leases: Iterable[Held], now_ms: int, at_s: float) -> Seen:
        """Judge all leases of others; `at_s` is this process's own clock, which never leaps."""
        before, self._since = self._since, {}
        ended, overdue, beyond = [], [], []
        for one in leases:
            key = (one.id, one.fence, one.leased_until_ms)
            since = self._since[key] = before.get(key, at_s)
            if one.worker in self._ended:
                ended.append(one)
            elif one.leased_until_ms > now_ms + self._lease_ms:
                beyond.append(one)
            elif one.leased_until_ms < now_ms and at_s - since > self._patience_s:
                overdue.append(one)
        return Seen(ended=ended, overdue=overdue, beyond=beyond)
