"""Compaction: segments that are mostly dead are copied out and deleted (rule C2).

Only sealed segments are touched. What lives is copied, durably; then each row is pointed to its copy, unless
it changed meanwhile; a segment that no row names is deleted by a later run, so that readers have had their
time. Who comes later still reads the row again (`Site.read_blob`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass

from sqlalchemy import Connection

from mairust_core.blobs import Record, Segmented, SegmentName
from mairust_core.errors import DiskFull
from mairust_core.observe.faults import crash_point
from mairust_core.store import StorageBackend, collecting

GROUP_BYTES = 4 << 20
GROUP_ROWS = 200
MAX_SEGMENTS = 16
"""Segments copied in one run."""

log = logging.getLogger("mairust.collection")
Step = Callable[[], AbstractContextManager[Connection]]


@dataclass
class Usage:
    """How much of a segment is named by rows."""

    named: int = 0
    """Rows that name it, condemned ones too."""
    live_bytes: int = 0

    def count(self, size_bytes: int, live: bool) -> None:
        """Add one row."""
        self.named += 1
        if live:
            self.live_bytes += size_bytes


def unlink_empty(blobs: Segmented, usage: Mapping[SegmentName, Usage]) -> int:
    """Delete the segments that no row names; how many."""
    empty = [name for name, held in usage.items() if not held.named]
    for name in empty:
        blobs.unlink(name)
        crash_point("compact.unlinked")
    return len(empty)


def compact(storage: StorageBackend, blobs: Segmented, usage: Mapping[SegmentName, Usage], step: Step) -> int:
    """Copy what lives out of segments less than half alive; how many blobs were copied."""
    worth = [
        name
        for name, held in usage.items()
        if held.live_bytes and held.live_bytes * 2 < blobs.size_bytes(name)
    ]
    try:
        return sum(_empty(storage, blobs, name, step) for name in worth[:MAX_SEGMENTS])
    except DiskFull as error:
        log.warning("compaction needs room for its copies, it goes on when there is some: %s", error)
        return 0


def _empty(storage: StorageBackend, blobs: Segmented, name: SegmentName, step: Step) -> int:
    done = wanted = 0
    for group in _groups(blobs.records(name)):
        lying = {record.locator for record in group}
        with storage.read() as tx:
            found = collecting.living(tx, sorted({record.sha256 for record in group}))
        here = {place.location: place for place in found if place.location in lying}
        moved = blobs.copy_live(name, list(here)) if here else {}
        crash_point("compact.copied")
        if moved:
            with step() as tx:
                collecting.relocate(storage, tx, [(here[old], new) for old, new in moved.items()])
            crash_point("compact.updated")
        wanted += len(here)
        done += len(moved)
    if done < wanted:
        log.error("segment %s keeps %d blobs that are damaged and cannot be copied", name, wanted - done)
    return done


def _groups(records: Iterator[Record]) -> Iterator[list[Record]]:
    group: list[Record] = []
    size_bytes = 0
    for record in records:
        group.append(record)
        size_bytes += record.stored_bytes
        if len(group) >= GROUP_ROWS or size_bytes >= GROUP_BYTES:
            yield group
            group, size_bytes = [], 0
    if group:
        yield group
