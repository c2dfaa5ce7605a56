"""An SMTP or LMTP reply (RFC 5321 §4.2, enhanced codes of RFC 3463)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply line: basic code, enhanced code (may be empty), printable ASCII text."""

    code: int
    enhanced: str
    text: str

    @property
    def accepted(self) -> bool:
        """True when the server has taken responsibility (2xx)."""
        return 200 <= self.code < 300

    @property
    def temporary(self) -> bool:
        """True when the sender shall try again (4xx)."""
        return 400 <= self.code < 500

    def __str__(self) -> str:
        return f"{self.code} {self.enhanced} {self.text}" if self.enhanced else f"{self.code} {self.text}"
