"""The entry points of extensions, as they are installed beside MaiRust."""

from __future__ import annotations

import os
import sys
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "mairust"
_HEADING = f"[{GROUP}]".encode()
_INFO = (".dist-info", ".egg-info")


@cache
def entry_points() -> tuple[EntryPoint, ...]:
    """Every entry point of our group, in no order."""
    if not any(map(may_hold, dict.fromkeys(sys.path))):
        return ()  # as nearly everywhere: looking costs a tenth of what loading importlib.metadata does
    from importlib.metadata import entry_points as read

    return tuple(read(group=GROUP))


def may_hold(place: str) -> bool:
    """Whether a place where modules are looked for has an entry point of ours; in doubt it may."""
    try:
        with os.scandir(place or ".") as entries:
            found = [entry.path for entry in entries if entry.name.endswith(_INFO)]
    except NotADirectoryError:
        return True  # an archive
    except OSError:
        return False
    return any(_HEADING in _text(path) for path in found)


def _text(directory: str) -> bytes:
    try:
        with open(f"{directory}/entry_points.txt", "rb") as file:
            return file.read()
    except OSError:
        return b""
