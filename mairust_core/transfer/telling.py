"""What a run tells of messages, folders and keywords that did not come through as they are."""

from __future__ import annotations

from dataclasses import dataclass

from mairust_core.transfer.source import Fate, Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One message, or folder, that was not moved, or not as it was, for the report."""

    path: str
    mailbox: str
    outcome: Fate
    reason: Reason
