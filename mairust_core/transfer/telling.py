"""What a run tells of messages, folders and keywords that did not come through as they are."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from mairust_core.transfer.source import Reason


class Fate(StrEnum):
    """What became of what is told; the word of the report."""

    SKIPPED = "skipped"
    """A message that the ledger counts already."""
    FAILED = "failed"
    """A message, or a source, that was left out."""
    RENAMED = "renamed"
    """A folder that is kept under another name."""
    CHANGED = "changed"
    """A message that came, yet not with every keyword as it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One message, or folder, that was not moved, or not as it was, for the report."""

    path: str
    mailbox: str
    outcome: Fate
    reason: Reason
