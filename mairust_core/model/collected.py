"""What one run of collection did (rule C2)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """Counts of one run: what nobody needed any more, and what was moved to free its room."""

    accounts: int
    """Removed accounts whose last row is gone."""
    messages: int
    """Messages of removed accounts."""
    deleted: int
    """Deleted messages whose time in the trash was over."""
    condemned: int
    """Contents no message refers to any more; their bytes go an hour later."""
    blobs: int
    """Condemned blobs that are gone, row and bytes."""
    files: int
    """Files a crash left behind."""
    moved: int
    """Blobs copied out of segments that were mostly dead."""
    segments: int
    """Segments deleted."""
    expired: int
    """Entries of the trace, the audit and the pipe's memory, and tombstones, whose time was over."""
