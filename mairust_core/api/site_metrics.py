"""The numbers of a site that nobody counts in memory: what its database and its disks say."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from mairust_core import store
from mairust_core.errors import MaiRustError
from mairust_core.observe.series import Family, gauge

if TYPE_CHECKING:
    from mairust_core.app import Site

MAX_QUEUED = 100_000
"""Of the messages that wait for the index so many are counted: all of a site do after some repairs."""


def of_database(site: Site, tx: Connection) -> list[Family]:
    """Jobs, and what waits for the index; each statement reads what waits and nothing that is done."""
    jobs = store.jobs.counts(site.storage, tx)
    late_ms = 0 if jobs.oldest_due_ms is None else site.storage.now_ms(tx) - jobs.oldest_due_ms
    states = {
        "waiting": jobs.ready - jobs.due,
        "due": jobs.due,
        "running": jobs.running,
        "held": jobs.held,
        "dead": jobs.dead,
    }
    return [
        Family("mairust_jobs", "gauge", "Jobs of the site that are not done.",
               [({"state": state}, number) for state, number in states.items()]),
        gauge("mairust_jobs_oldest_due_seconds", "For how long the oldest job that is due waits.",
              late_ms / 1000),
        gauge("mairust_index_waiting", f"Messages that wait for the index of searches, {MAX_QUEUED} at most.",
              store.indexing.count_queued(tx, MAX_QUEUED)),
    ]  # fmt: skip


def of_disks(site: Site) -> list[Family]:
    """The room of each disk that can be seen; several names may stand for one disk."""
    rooms: dict[str, tuple[int, int]] = {}
    with contextlib.suppress(MaiRustError):
        rooms["blobs"] = site.free_bytes()
    paths = {"data": site.settings.data_dir}
    if site.settings.database.sqlite_path is not None:
        paths["database"] = site.settings.database.sqlite_path.parent
    for name, path in paths.items():
        with contextlib.suppress(OSError):
            disk = os.statvfs(path)
            rooms[name] = disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize
    return [
        Family("mairust_disk_free_bytes", "gauge", "Room that is free.",
               [({"of": name}, free) for name, (free, _) in rooms.items()]),
        Family("mairust_disk_size_bytes", "gauge", "Room in all.",
               [({"of": name}, total) for name, (_, total) in rooms.items()]),
    ]  # fmt: skip
