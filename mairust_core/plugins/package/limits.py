"""How much an archive may be: what is beyond is refused before it takes memory, disk or time."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveLimits:
    """What a reader takes; a writer makes nothing that these do not let in."""

    archive_bytes: int = 64 * MIB
    """Of the archive as it came."""
    unpacked_bytes: int = 256 * MIB
    """Of what is in it, headers and padding counted."""
    ratio: int = 100
    """So many times the archive's size its content may be, once it is over `ratio_from_bytes`."""
    ratio_from_bytes: int = 4 * MIB
    """Sources of a small plugin may shrink to anything."""
    files: int = 4096
    """And directories, those that have no entry of their own counted."""
    path_bytes: int = 240
    """What the two name fields of a ustar header hold, less what they cannot always use."""
    depth: int = 16
    """Parts of a path."""
    listing_bytes: int = 1 * MIB
    """Of `manifest.json`."""
    signature_bytes: int = 16 * 1024
    """Of each file below `signatures/`."""
