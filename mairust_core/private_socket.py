"""The private socket of `deliver`: where it lies, under a name the kernel takes (rule D4)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MAX_UNIX_PATH = 100
"""The kernel's limit is 107 bytes; longer paths go through the directory's descriptor."""


def deliver_path(data_dir: Path) -> Path:
    """Where the private socket of `deliver` lies."""
    return data_dir / "run" / "deliver.sock"


@contextmanager
def reachable(path: Path) -> Iterator[Path]:
    """A name for the path that is short enough for the socket calls."""
    if len(os.fsencode(path)) <= MAX_UNIX_PATH:
        yield path
        return
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield Path(f"/proc/self/fd/{directory}") / path.name
    finally:
        os.close(directory)
