"""How many connections are let in: in all, and from one address (trap S4, rule J2)."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from mairust_core.networks import plain_address
from mairust_core.observe.counters import MailCounters
from mairust_core.smtp import replies
from mairust_core.smtp.trusted import TrustedNetworks

if TYPE_CHECKING:
    from mairust_core.model.reply import Reply
    from mairust_core.smtp.limits import Limits


class Gate:
    """Counts the open connections of one listener in one process."""

    def __init__(self, limits: Limits, trusted: TrustedNetworks, counters: MailCounters) -> None:
        self._limits = limits
        self._trusted = trusted
        self.counters = counters
        self._addresses: Counter[str] = Counter()
        self.open = 0

    def enter(self) -> Reply | None:
        """Count a connection in; the refusal, uncounted, when there are too many."""
        self.counters.came()
        if self.open >= self._limits.max_connections:
            self.counters.sent_away()
            self.counters.went()
            return replies.TOO_MANY_CONNECTIONS
        self.open += 1
        return None

    def leave(self) -> None:
        """Count a connection out."""
        self.open -= 1
        self.counters.went()

    def enter_address(self, ip: str) -> Reply | None:
        """Count a client address in; the refusal, uncounted, when it has too many."""
        if self._is_free(ip):
            return None
        if self._addresses[ip] >= self._limits.connections_per_address:
            self.counters.sent_away()
            return replies.TOO_MANY_FROM_ADDRESS
        self._addresses[ip] += 1
        return None

    def leave_address(self, ip: str) -> None:
        """Count a client address out."""
        if self._addresses[ip] <= 1:
            del self._addresses[ip]
        else:
            self._addresses[ip] -= 1

    def _is_free(self, ip: str) -> bool:
        address = plain_address(ip)
        return address is None or address.is_loopback or self._trusted.contains(ip)
