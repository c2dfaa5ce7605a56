"""Indexing: what is queued becomes part of the index, in small steps, after the 250 and beside it.

    fill     after a drop, queue all mail again
    look     after a rebuild was asked for, queue what is in neither a segment nor the queue
    texts    make the text of each content that has none, from the message itself
    index    a segment of an account's queued messages, which leave the queue in the same transaction
    merge    when an account has several small segments, one in place of them
    remake   segments that a rebuild or the sweep has marked, from their messages

A crash anywhere leaves a whole index, and the next round goes on. A large segment is written in several
transactions and seen once it is whole; what it replaces is hidden then, and deleted after. One process of a
site does it at a time, and looks within each transaction whether it still is. Every write is a small one
(rule D2), and after each step the indexer rests, so that mail goes first.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from mairust_core.errors import Locked
from mairust_core.ids import now_ms
from mairust_core.model.job import NewJob, Priority
from mairust_core.model.principal import DEFAULT_TENANT
from mairust_core.model.search import IndexMode
from mairust_core.search.database import MAX_TEXT_BYTES
from mairust_core.search.documents import Document, Extent, pack
from mairust_core.search.engine import Step
from mairust_core.search.postings import MAX_DOCUMENTS
from mairust_core.search.texts import read_text, stored_text
from mairust_core.store import indexing, jobs
from mairust_core.store import searching as queries
from mairust_core.store.indexing import Size, Waiting

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from mairust_core.app import Site

TASK = "index"
FILL_ROWS = 1000
TEXT_ROWS = 128
"""Texts read, or made and written, between two rests."""
MERGE_FROM = 8
"""So many segments of one size class become one."""
CLASS_BITS = 3
"""A class holds sizes up to about eight times its smallest."""

BEHIND, FAR_BEHIND = 10_000, 50_000
"""Of messages that wait for the index, searches read every text: with so many that is felt, and much so."""

Rest = Callable[[float], object]


def rests(waiting: int) -> float:
    """For each second of work so many of rest: mail goes first, but searches must not be left behind."""
    return 2.0 if waiting < BEHIND else 1.0 if waiting < FAR_BEHIND else 0.5


def index_some(site: Site, stopping: threading.Event | None = None, rest: Rest = time.sleep) -> int:
    """One round over all accounts that have something to do; how many messages were indexed.

    0 also while another process is at it, or while the index is dropped. Ends between two steps once
    `stopping` is set. `rest` is called after each step with the processor time it took, in seconds.
    Raises `StorageDown`, `DiskFull`.
    """
    try:
        with site.storage.alone(TASK) as still:
            return _Round(site, stopping or threading.Event(), rest, still).run()
    except Locked:
        return 0


def has_work(site: Site) -> bool:
    """Whether a round would find something to do; some cheap reads."""
    with site.storage.read() as tx:
        state = indexing.state(tx, DEFAULT_TENANT)
        if state.mode is not IndexMode.ON or state.look_asked_ms:
            return state.mode is not IndexMode.OFF
        return indexing.next_account(tx, 0) is not None or indexing.stale_account(tx, 0) is not None


def call_indexer(site: Site) -> None:
    """Make a job of what there is to do, unless one waits already."""
    if has_work(site):
        ids = site.ids
        with site.storage.write() as tx:
            jobs.enqueue(site.storage, tx, ids, [NewJob(kind=TASK, dedupe=TASK, priority=Priority.LOW)])
        site.job_bell.set()


class _Round:
    def __init__(
        self, site: Site, stopping: threading.Event, rest: Rest, still_alone: Callable[[], None]
    ) -> None:
        self._site = site
        self._storage = site.storage
        self._engine = site.engine
        self._tenant_id = DEFAULT_TENANT
        self._stopping = stopping
        self._rest = rest
        self._still_alone = still_alone
        self._worked_from = time.thread_time()
        self._epoch = self._texts_ms = 0

    def run(self) -> int:
        with self._storage.read() as tx:
            state = indexing.state(tx, self._tenant_id)
        self._epoch, self._texts_ms = state.epoch, state.texts_ms
        if state.mode is IndexMode.OFF or (state.mode is IndexMode.FILLING and not self._fill()):
            return 0
        with self._storage.read() as tx:
            left = indexing.hidden_segments(tx, self._tenant_id)
        self._delete(left)
        if state.look_asked_ms:
            self._look(state.look_asked_ms)
        done = sum(map(self._index_account, self._accounts(indexing.next_account)))
        return done + sum(map(self._remake_stale, self._accounts(indexing.stale_account)))

    def _pause(self) -> None:
        """Rest from what was done since the last time; waiting for others to be done is no work."""
        self._rest(time.thread_time() - self._worked_from)
        self._worked_from = time.thread_time()

    def _begin(self, tx: Connection) -> None:
        self._storage.serialise(tx, indexing.LOCK)
        self._still_alone()

    def _is_current(self, tx: Connection) -> bool:
        """Whether the index was neither dropped nor begun anew since the round began."""
        return indexing.state(tx, self._tenant_id).epoch == self._epoch

    def _accounts(self, following: Callable[..., int | None]) -> Iterator[int]:
        account_id: int | None = 0
        while account_id is not None and not self._stopping.is_set():
            with self._storage.read() as tx:
                account_id = following(tx, account_id)
            if account_id is not None:
                yield account_id

    def _fill(self) -> bool:
        """Queue all mail; False when it was stopped."""
        while not self._stopping.is_set():
            with self._storage.write() as tx:
                self._begin(tx)
                if not self._is_current(tx):
                    return False
                if not indexing.fill(tx, self._tenant_id, FILL_ROWS):
                    self._epoch = indexing.state(tx, self._tenant_id).epoch
                    return True
            self._pause()
        return False

    def _look(self, asked_ms: int) -> None:
        """Queue what is missing, account by account; a look that was stopped begins anew, with less to do."""
        for account_id in self._accounts(indexing.account_with_mail):
            with self._storage.read() as tx:
                ids = indexing.missing(tx, account_id)
            for start in range(0, len(ids), FILL_ROWS):
                if not self._do(partial(_queue, ids[start : start + FILL_ROWS])):
                    return
        self._do(lambda tx: indexing.end_look(tx, self._tenant_id, asked_ms))

    def _index_account(self, account_id: int) -> int:
        with self._storage.read() as tx:
            waiting = _fitting(indexing.queued(tx, account_id, MAX_DOCUMENTS))
        done = self._replace(account_id, waiting, self._texts_ms, [])
        if done is None:
            return 0
        self._merge(account_id)
        return done

    def _merge(self, account_id: int) -> None:
        """Make one segment of several that are about as small."""
        classes: defaultdict[int, list[Size]] = defaultdict(list)
        with self._storage.read() as tx:
            for size in indexing.sizes(tx, account_id):
                if size.stale_ms is None and _is_small(size):
                    classes[size.documents.bit_length() // CLASS_BITS].append(size)
        for sizes in classes.values():
            ids = worth_merging(sizes)
            if ids and not self._stopping.is_set():
                self._remake(account_id, ids, 0)

    def _remake_stale(self, account_id: int) -> int:
        with self._storage.read() as tx:
            found = [(size.id, size.stale_ms) for size in indexing.sizes(tx, account_id)]
        done = 0
        for segment_id, stale_ms in found:
            if stale_ms is not None and not self._stopping.is_set():
                done += self._remake(account_id, [segment_id], stale_ms)
        return done

    def _remake(self, account_id: int, segment_ids: Sequence[int], stale_ms: int) -> int:
        with self._storage.read() as tx:
            waiting = indexing.members(tx, segment_ids)
        return self._replace(account_id, waiting, stale_ms, segment_ids) or 0

    def _replace(
        self, account_id: int, waiting: Sequence[Waiting], stale_ms: int, segment_ids: Sequence[int]
    ) -> int | None:
        """Put messages into the index, out of these segments or else of the queue; how many are still there.

        None, and nothing is changed: the index was dropped or begun anew meanwhile, these segments are to be
        made anew with later texts, or the round is to end.
        """
        documents = _Counted(self._documents(waiting, stale_ms))
        prepared = self._engine.prepare(self._tenant_id, account_id, documents)
        if not all(map(self._do, self._engine.steps(prepared))):
            return None
        with self._storage.write() as tx:
            self._begin(tx)
            if self._stopping.is_set() or not self._is_current(tx):
                return None
            if indexing.latest_stale_ms(tx, segment_ids) > stale_ms:
                return None
            if segment_ids:
                moved = indexing.hide_segments(tx, segment_ids) == len(segment_ids)
            else:
                moved = indexing.unqueue(tx, account_id, [one.message_id for one in waiting]) == len(waiting)
            if not moved:  # by another process that came when this one lost its lock
                raise Locked("task", name=TASK)
            self._engine.write(tx, prepared)
        self._pause()
        self._delete(segment_ids)
        return documents.count

    def _do(self, step: Step) -> bool:
        """Write a part, in a transaction of its own; False when it is in vain."""
        with self._storage.write() as tx:
            self._begin(tx)
            if self._stopping.is_set() or not self._is_current(tx):
                return False
            step(tx)
        self._pause()
        return True

    def _delete(self, segment_ids: Sequence[int]) -> None:
        """Delete segments that nobody sees, one by one."""
        for one in segment_ids:
            with self._storage.write() as tx:
                self._begin(tx)
                indexing.delete_segments(tx, [one])
            self._pause()

    def _documents(self, waiting: Sequence[Waiting], stale_ms: int) -> Iterator[Document]:
        """The documents of messages that are still there, in their order; fewer once the round is to end.

        Texts made before `stale_ms` are made again. Between some and the next it rests.
        """
        for start in range(0, len(waiting), TEXT_ROWS):
            if self._stopping.is_set():
                return
            yield from self._some_documents(waiting[start : start + TEXT_ROWS], stale_ms)
            self._pause()

    def _some_documents(self, waiting: Sequence[Waiting], stale_ms: int) -> Iterator[Document]:
        there = [(one, one.sha256) for one in waiting if one.sha256 is not None]
        lacking = {h: one for one, h in there if one.made_ms is None or one.made_ms < stale_ms}
        found: dict[bytes, tuple[Extent, str]] = {}
        with self._storage.read() as tx:
            kept = indexing.texts(tx, self._tenant_id, {h for _, h in there} - lacking.keys())
        for one, sha256 in there:
            if (text := kept.get(sha256)) and (known := stored_text(*text)):
                found[sha256] = known
            else:
                lacking[sha256] = one
        found |= self._make_texts([one.message_id for one in lacking.values()])
        for one, h in there:
            if h in found:
                yield Document(key=(one.received_ms, one.message_id), text=found[h][1], extent=found[h][0])

    def _make_texts(self, message_ids: Sequence[int]) -> dict[bytes, tuple[Extent, str]]:
        if not message_ids:
            return {}
        with self._storage.read() as tx:
            originals = queries.originals(tx, message_ids)
        made = {one.sha256: read_text(self._site, one) for one in originals.values()}
        rows = [_row(sha256, self._tenant_id, *one) for sha256, one in made.items()]
        with self._storage.write() as tx:
            indexing.keep_texts(self._storage, tx, rows)
        return made


class _Counted:
    """Documents as they are taken, and how many were."""

    def __init__(self, documents: Iterator[Document]) -> None:
        self._documents = documents
        self.count = 0

    def __iter__(self) -> Iterator[Document]:
        for one in self._documents:
            self.count += 1
            yield one


def _is_small(size: Size) -> bool:
    return size.documents <= MAX_DOCUMENTS // 2 and size.text_bytes <= MAX_TEXT_BYTES // 2


def worth_merging(sizes: Sequence[Size]) -> list[int]:
    """The ids of segments of one class to be made one: many, or as much as one holds; else none."""
    documents = text_bytes = 0
    ids: list[int] = []
    for size in sizes:
        documents += size.documents
        text_bytes += size.text_bytes
        if documents > MAX_DOCUMENTS or text_bytes > MAX_TEXT_BYTES:
            return ids if len(ids) > 1 else []
        ids.append(size.id)
    return ids if len(ids) >= MERGE_FROM else []


def _fitting(waiting: Sequence[Waiting]) -> Sequence[Waiting]:
    """As many of the first messages as one segment may hold."""
    size = 0
    for at, one in enumerate(waiting):
        size += one.text_bytes
        if at and size > MAX_TEXT_BYTES:
            return waiting[:at]
    return waiting


def _queue(ids: Sequence[int], tx: Connection) -> None:
    indexing.queue(tx, ids)


def _row(sha256: bytes, tenant_id: int, extent: Extent, text: str) -> tuple[object, ...]:
    return (sha256, tenant_id, extent, now_ms(), len(text.encode()), pack(text))
