"""Collection: giving back what nobody needs any more (rules C2, J3; traps D1, D2).

In the order in which one thing lets go of the next:

    purge      removed accounts: messages, keys, mailboxes, at last the account
    condemn    contents no message refers to: the row of facts goes, the blob is marked
    delete     blobs condemned an hour ago, unless a backup pins them: the row first, then the bytes
    sweep      files that no row names, left behind by a crash
    expire     trace, audit and the pipe's memory after their time
    compact    segments that are mostly dead (`compaction`)

A crash anywhere leaves something to collect the next time, never a row without its bytes. Every step is a
small transaction, and after each one collection rests as long as it took, so that mail goes first.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from mairust_core.blobs import BlobStore, Segmented, SegmentName
from mairust_core.errors import Locked
from mairust_core.ids import now_ms
from mairust_core.model.blob import Locator
from mairust_core.model.collected import Collected
from mairust_core.observe.faults import crash_point
from mairust_core.receive import compaction
from mairust_core.store import StorageBackend, backups, collecting
from mairust_core.store.tables import audit, pipe_delivery, trace

if TYPE_CHECKING:
    from mairust_core.app import Site

TASK = "gc"
MAX_ROWS = 200
MIN_ROWS = 20
LONGEST_S = 0.05
"""A step that took longer makes the next ones smaller (rule D2)."""
SCAN_ROWS = 5000
DAY_MS = 86_400_000

log = logging.getLogger("mairust.collection")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ages:
    """How old things must be before they go.

    `leftover_s` and `sealed_s` must exceed `ingest.BYTES_GOOD_S`: until then a batch whose bytes lie there
    may still be committed.
    """

    condemned_s: float = 3600.0
    leftover_s: float = 3600.0
    sealed_s: float = 3600.0
    trace_days: int = 14
    audit_days: int = 365
    pipe_days: int = 1


def collect(site: Site, stopping: threading.Event | None = None) -> Collected:
    """One run on a site, given up between two steps with `Stopped` once `stopping` is set.

    Raises `Locked` while another process does it, `StorageDown`, `DiskFull`.
    """
    kept = site.settings.telemetry
    ages = Ages(trace_days=kept.trace_days, audit_days=kept.audit_days)
    with closing(site.open_blobs()) as blobs:
        return Collection(site.storage, blobs, ages, stopping=stopping).run()


def collect_once(site: Site, stopping: threading.Event | None = None) -> Collected | None:
    """`collect` for a timer: None when another process is at it, or when `stopping` was set meanwhile."""
    try:
        return collect(site, stopping)
    except (Locked, Stopped):
        return None


class Stopped(Exception):
    """The process is about to end; what is left is for the next run."""


class Collection:
    """One run. With a `blobs` of its own, what it copies never waits for mail, nor mail for it."""

    def __init__(
        self,
        storage: StorageBackend,
        blobs: BlobStore,
        ages: Ages,
        *,
        clock: Callable[[], int] = now_ms,
        rest: Callable[[float], None] = time.sleep,
        stopping: threading.Event | None = None,
    ) -> None:
        self._storage = storage
        self._blobs = blobs
        self._ages = ages
        self._clock = clock
        self._rest = rest
        self._stopping = stopping or threading.Event()
        self._rows = MAX_ROWS

    def run(self) -> Collected:
        """Do all of it, alone on the site."""
        with self._storage.alone(TASK):
            accounts, messages = self._purge()
            condemned = self._condemn()
            blobs = self._delete()
            expired = self._expire()
            files, moved, segments = self._free_room()
        done = Collected(
            accounts=accounts, messages=messages, condemned=condemned, blobs=blobs, files=files,
            moved=moved, segments=segments, expired=expired,
        )  # fmt: skip
        log.info("collected: %s", done)
        return done

    @contextmanager
    def step(self) -> Iterator[Connection]:
        """One small transaction, then a rest as long as it took."""
        began = time.monotonic()
        with self._storage.write() as tx:
            yield tx
        took_s = time.monotonic() - began
        if took_s > LONGEST_S:
            self._rows = max(self._rows // 2, MIN_ROWS)
        self._rest(min(took_s, LONGEST_S))
        self._go_on()

    def _go_on(self) -> None:
        if self._stopping.is_set():
            raise Stopped

    def _purge(self) -> tuple[int, int]:
        with self._storage.read() as tx:
            accounts = collecting.removed_accounts(tx)
        return len(accounts), sum(self._purge_account(one) for one in accounts)

    def _purge_account(self, account_id: int) -> int:
        purged = 0
        while True:
            with self.step() as tx:
                gone = collecting.purge_messages(tx, account_id, self._rows // 2)  # each has its placement
            if not gone:
                break
            purged += gone
        while True:
            with self.step() as tx:
                if not collecting.purge_keys(tx, account_id, self._rows // 2):
                    break
        with self.step() as tx:
            collecting.purge_account(tx, account_id)
        return purged

    def _condemn(self) -> int:
        found = 0
        after: collecting.Key | None = collecting.FIRST
        while after is not None:
            self._go_on()
            with self._storage.read() as tx:
                free, after = collecting.unreferenced(tx, after, SCAN_ROWS)
            for keys in self._small(free):
                with self.step() as tx:
                    found += collecting.condemn(tx, keys, self._clock())
                crash_point("gc.condemned")
        return found

    def _delete(self) -> int:
        before_ms = self._clock() - round(self._ages.condemned_s * 1000)
        found = 0
        while True:
            with self._storage.read() as tx:
                keys = [] if self._pinned(tx) else collecting.condemned(tx, before_ms, self._rows)
            if not keys:
                return found
            with self.step() as tx:
                if self._pinned(tx):
                    return found
                gone = collecting.delete_condemned(tx, keys, before_ms)
            crash_point("gc.row_deleted")
            self._blobs.delete_many(gone)
            crash_point("gc.bytes_deleted")
            found += len(gone)

    def _pinned(self, tx: Connection) -> bool:
        """Whether a backup that runs may still read what was condemned since it began (rule C2)."""
        return backups.pinned(tx, self._clock())

    def _small(self, keys: list[collecting.Key]) -> Iterator[list[collecting.Key]]:
        start = 0
        while start < len(keys):
            stop = start + self._rows // 2  # a content and its blob each
            yield keys[start:stop]
            start = stop

    def _expire(self) -> int:
        ages, now = self._ages, self._clock()
        found = 0
        for table, days in (
            (trace, ages.trace_days),
            (audit, ages.audit_days),
            (pipe_delivery, ages.pipe_days),
        ):
            while True:
                with self.step() as tx:
                    gone = collecting.expire(tx, table, now - days * DAY_MS, self._rows)
                found += gone
                if not gone:
                    break
        return found

    def _free_room(self) -> tuple[int, int, int]:
        """Files deleted, blobs moved, segments deleted."""
        if not isinstance(self._blobs, Segmented):
            return 0, 0, 0
        sealed = self._blobs.sealed(self._ages.sealed_s)
        files = set(self._blobs.locators_of_files(self._ages.leftover_s))
        discarded = self._blobs.discard_abandoned(self._ages.leftover_s)
        with self._storage.write():
            pass  # whoever was about to commit what lies there has done so: from here on it is too old
        usage = self._scan(self._blobs, sealed, files)
        self._blobs.delete_many(sorted(files))
        unlinked = compaction.unlink_empty(self._blobs, usage)
        moved = compaction.compact(self._storage, self._blobs, usage, self.step)
        return len(files) + discarded, moved, unlinked

    def _scan(
        self, blobs: Segmented, sealed: list[SegmentName], files: set[Locator]
    ) -> dict[SegmentName, compaction.Usage]:
        """What each sealed segment still holds; takes every file that a row names out of `files`."""
        usage = {name: compaction.Usage() for name in sealed}
        after: collecting.Key | None = collecting.FIRST if usage or files else None
        while after is not None:
            self._go_on()
            with self._storage.read() as tx:
                found, after = collecting.places(tx, after, SCAN_ROWS)
            for place in found:
                extent = blobs.extent(place.location)
                if extent is None:
                    files.discard(place.location)
                elif held := usage.get(extent[0]):
                    held.count(extent[1], place.live)
        return usage
