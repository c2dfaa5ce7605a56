"""What an account still takes, for a dry run to say what would be refused."""

from __future__ import annotations

from dataclasses import dataclass

from mairust_core.errors import MaiRustError, QuotaExceeded, TooLarge
from mairust_core.transfer.payload import Payload


@dataclass(slots=True, kw_only=True)
class Room:
    """The largest message that is taken, and how much all of them may be; None where nothing is known."""

    address: str = ""
    max_size_bytes: int | None = None
    left_bytes: int | None = None

    def take(self, payload: Payload) -> MaiRustError | None:
        """Count a message, in the form that quotas count; why it would be refused, None if it would not."""
        if self.max_size_bytes is not None and payload.size_bytes > self.max_size_bytes:
            return TooLarge("message", limit=self.max_size_bytes)
        if self.left_bytes is None:
            return None
        size_bytes = payload.crlf_size_bytes()
        if size_bytes > self.left_bytes:
            return QuotaExceeded("account", address=self.address)
        self.left_bytes -= size_bytes
        return None
