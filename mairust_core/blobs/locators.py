"""Names and locators of the local driver: time and chance, so that none ever comes twice (rule C1)."""

from __future__ import annotations

import re
import secrets
import time
from dataclasses import dataclass

from mairust_core.model.blob import Locator

NAME = re.compile(r"[0-9a-f]{27}", re.ASCII)
_SEGMENT = re.compile(rf"s:({NAME.pattern}):(\d{{1,12}}):(\d{{1,8}})", re.ASCII)
_FILE = re.compile(rf"f:([0-9a-f]{{2}}):({NAME.pattern})", re.ASCII)


def new_name() -> str:
    """A name nobody ever had: 11 hex digits of milliseconds, so that names sort by age, 16 of chance."""
    return f"{time.time_ns() // 1_000_000:011x}{secrets.randbits(64):016x}"


@dataclass(frozen=True, slots=True)
class InSegment:
    """A record of a segment: where it begins and how long it is, header included."""

    name: str
    offset: int
    length: int

    @property
    def locator(self) -> Locator:
        """How the rest of the system calls it."""
        return Locator(f"s:{self.name}:{self.offset}:{self.length}")


@dataclass(frozen=True, slots=True)
class OwnFile:
    """A blob with a file of its own, in the shard directory `shard`."""

    shard: str
    name: str

    @property
    def locator(self) -> Locator:
        """How the rest of the system calls it."""
        return Locator(f"f:{self.shard}:{self.name}")


def place_of(locator: Locator) -> InSegment | OwnFile | None:
    """What `locator` points at; None when this driver never made it."""
    if found := _SEGMENT.fullmatch(locator):
        return InSegment(found[1], int(found[2]), int(found[3]))
    if found := _FILE.fullmatch(locator):
        return OwnFile(found[1], found[2])
    return None
