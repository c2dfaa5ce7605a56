"""Collection: giving back what nobody needs any more (rules C2, J3; traps D1, D2).

In the order in which one thing lets go of the next:

    purge      removed accounts: messages, keys, mailboxes, at last the account; deleted messages whose time
               in the trash is over
    condemn    contents no message refers to: the row of facts goes, the blob is marked
    delete     blobs condemned an hour ago, unless a backup pins them: the row first, then the bytes
    sweep      files that no row names, left behind by a crash
    expire     trace, audit, tombstones, what plugins saw and said, the memory of the pipe, of repeated
               requests and of failed log-ins; packages that no plugin has
    compact    segments that are mostly dead (`compaction`)
    shorten    SQLite's log, where it grew long and nobody reads from it

A crash anywhere leaves something to collect the next time, never a row without its bytes. Every step is a
small transaction, and after each one collection rests as long as it took, so that mail goes first.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Table

from mairust_core.blobs import BlobStore, Segmented, SegmentName
from mairust_core.ids import now_ms
from mairust_core.model.blob import Locator
from mairust_core.model.breaker import POISON_MS
from mairust_core.model.collected import Collected
from mairust_core.observe.faults import crash_point
from mairust_core.receive import compaction
from mairust_core.store import (
    StorageBackend,
    backups,
    breakers,
    collecting,
    failures,
    packages,
    plugin_accesses,
    plugin_tokens,
    plugin_usage,
    secrets,
    tombstones,
    trash,
    upkeeps,
)
from mairust_core.store.sqlite import Sqlite
from mairust_core.store.tables import (
    audit,
    hook_log,
    hook_poison,
    idempotency,
    pipe_delivery,
    plugin_callback,
    plugin_log,
    plugin_worker,
    trace,
)

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
    access_days: int = 365
    pipe_days: int = 1
    trash_days: int = 30
    tombstone_days: int = 90
    """How long a client may have been away and still learn what left a mailbox (RFC 7162 §3.2.10)."""
    idempotency_days: int = 1
    callback_days: int = 1


def collect(site: Site, stopping: threading.Event | None = None) -> Collected:
    """One run on a site, given up between two steps with `Stopped` once `stopping` is set.

    Raises `Locked` while another process does it, `StorageDown`, `DiskFull`.
    """
    site.make_room()
    kept = site.settings.telemetry
    ages = Ages(
        trace_days=kept.trace_days,
        audit_days=kept.audit_days,
        access_days=kept.access_days,
        trash_days=site.settings.database.trash_days,
    )
    with closing(site.open_blobs()) as blobs:
        done = Collection(site.storage, blobs, ages, stopping=stopping).run()
    if isinstance(site.storage, Sqlite):
        site.storage.shorten_log()
    return done


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
        self._still_alone: Callable[[], None] = lambda: None

    def run(self) -> Collected:
        """Do all of it, alone on the site."""
        began = time.monotonic()
        with self._storage.alone(TASK) as self._still_alone:
            accounts, messages = self._purge()
            deleted = self._empty_trash()
            condemned = self._condemn()
            blobs = self._delete()
            expired = self._expire()
            files, moved, segments = self._free_room()
        done = Collected(
            accounts=accounts, messages=messages, deleted=deleted, condemned=condemned, blobs=blobs,
            files=files, moved=moved, segments=segments, expired=expired,
        )  # fmt: skip
        with self._storage.write() as tx:
            upkeeps.record(tx, TASK, time.monotonic() - began, asdict(done))
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
        self._still_alone()

    def _purge(self) -> tuple[int, int]:
        with self._storage.read() as tx:
            accounts = collecting.removed_accounts(tx)
        return len(accounts), sum(self._purge_account(one) for one in accounts)

    def _purge_account(self, account_id: int) -> int:
        # each message has its placement
        purged = self._repeat(lambda tx, limit: collecting.purge_messages(tx, account_id, limit // 2))
        self._repeat(lambda tx, limit: collecting.purge_keys(tx, account_id, limit // 2))
        with self.step() as tx:
            collecting.purge_account(tx, account_id)
        return purged

    def _empty_trash(self) -> int:
        before_ms = self._before_ms(self._ages.trash_days)
        return self._repeat(lambda tx, limit: trash.purge_expired(tx, before_ms, limit // 2))

    def _before_ms(self, days: int) -> int:
        return self._clock() - days * DAY_MS

    def _repeat(self, step: Callable[[Connection, int], int]) -> int:
        """Do a step, given its transaction and so many rows, until it finds nothing; how many it found."""
        found = 0
        while True:
            with self.step() as tx:
                gone = step(tx, self._rows)
            if not gone:
                return found
            found += gone

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
        ages = self._ages
        found = 0
        for table, days in (
            (trace, ages.trace_days),
            (audit, ages.audit_days),
            (pipe_delivery, ages.pipe_days),
            (idempotency, ages.idempotency_days),
            (hook_log, ages.trace_days),
            (plugin_callback, ages.callback_days),
            (plugin_log, ages.trace_days),
            (plugin_worker, ages.callback_days),
        ):
            found += self._repeat(self._expiry(table, self._before_ms(days)))
        now, before_ms = self._clock(), self._before_ms(ages.tombstone_days)
        found += self._repeat(lambda tx, limit: tombstones.expire(tx, before_ms, limit))
        seen_ms, over_ms = self._before_ms(ages.access_days), self._before_ms(ages.trace_days)
        found += self._repeat(lambda tx, limit: plugin_accesses.expire(tx, seen_ms, limit))
        found += self._repeat(lambda tx, limit: plugin_usage.expire(tx, seen_ms, limit))
        found += self._repeat(lambda tx, limit: plugin_tokens.expire(tx, over_ms, limit))
        found += self._repeat(lambda tx, limit: secrets.expire(tx, now, limit))
        found += self._repeat(self._expiry(hook_poison, now - POISON_MS))
        unused_ms = now - round(self._ages.leftover_s * 1000)
        found += self._repeat(lambda tx, limit: packages.collect(self._storage, tx, unused_ms, limit))
        found += self._repeat(breakers.sweep)
        return found + self._repeat(lambda tx, limit: failures.expire(tx, now, limit))

    @staticmethod
    def _expiry(table: Table, before_ms: int) -> Callable[[Connection, int], int]:
        return lambda tx, limit: collecting.expire(tx, table, before_ms, limit)

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
        self._go_on()
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
