"""Files in memory, for tests that prove nothing about disks: there each sync costs time and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

MEMORY = Path("/dev/shm")


def place(needed_bytes: int) -> Path | None:
    """A directory in memory where there is so much room; None where there is not."""
    try:
        found = os.statvfs(MEMORY)
    except FileNotFoundError:
        return None
    return MEMORY if min(found.f_bavail * found.f_frsize, _available()) >= needed_bytes else None


def _available() -> int:
    """Memory that programs can still have."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:"))
