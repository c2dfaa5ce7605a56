"""Group commit: what arrived while the last commit was in flight shares the next one.

Under load the cost of a sync and of a transaction is shared; alone, a mail waits for nothing. Blobs become
durable first, then one transaction, then every sender of the batch hears of it at once (rule C3).
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence

from mairust_core.blobs import BlobStore
from mairust_core.errors import Locked, MaiRustError, OutcomeUnknown, StorageDown
from mairust_core.ids import IdSource
from mairust_core.model.delivery import Delivery, Stored
from mairust_core.store import StorageBackend, mailboxes
from mairust_core.store.ingest import Guilty, MissingMailbox, find_stored, write_batch

MAX_BATCH = 512
MAX_BATCH_BYTES = 32 << 20
MAX_QUEUE = 4096
RETRIES = 3
"""How often a batch that lost a deadlock, or found a mailbox missing, is tried again."""

Outcome = Stored | MaiRustError
_Waiting = tuple[Delivery, asyncio.AbstractEventLoop, "asyncio.Future[Outcome]"]
log = logging.getLogger("mairust.receive")


class Committer:
    """Commits deliveries in batches. Thread-safe; owns one thread once something is submitted."""

    def __init__(self, storage: StorageBackend, blobs: BlobStore, ids: Callable[[], IdSource]) -> None:
        self._storage = storage
        self._blobs = blobs
        self._ids = ids
        self._queue: deque[_Waiting] = deque()
        self._wake = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closing = False
        self._committing = threading.Lock()

    async def commit(self, delivery: Delivery) -> Outcome:
        """`Stored` once it is durable, or the error for this delivery alone; never raises."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Outcome] = loop.create_future()
        with self._wake:
            if self._closing or len(self._queue) >= MAX_QUEUE:
                return StorageDown("queue", waiting=len(self._queue))
            self._queue.append((delivery, loop, future))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="committer", daemon=True)
                self._thread.start()
            self._wake.notify()
        return await future

    def commit_many(self, batch: Sequence[Delivery]) -> list[Outcome]:
        """Commit on the calling thread; one outcome per delivery, in order."""
        outcomes: list[Outcome] = []
        start = 0
        while start < len(batch):
            stop = _batch_end(batch, start)
            with self._committing:
                outcomes += self._commit(batch[start:stop])
            start = stop
        return outcomes

    def close(self) -> None:
        """Commit what is queued, then end the thread."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while batch := self._take():
            outcomes = self.commit_many([delivery for delivery, _, _ in batch])
            _tell(batch, outcomes)

    def _take(self) -> list[_Waiting]:
        with self._wake:
            while not self._queue and not self._closing:
                self._wake.wait()
            taken: list[_Waiting] = []
            size_bytes = 0
            while self._queue and len(taken) < MAX_BATCH:
                size_bytes += self._queue[0][0].content.size_bytes
                if taken and size_bytes > MAX_BATCH_BYTES:
                    break
                taken.append(self._queue.popleft())
            return taken

    def _commit(self, batch: Sequence[Delivery]) -> list[Outcome]:
        """One transaction if all goes well; otherwise the batch is split until only the guilty fail (C4)."""
        try:
            return list(self._attempt(batch))
        except Guilty as guilty:
            rest = [one for index, one in enumerate(batch) if index != guilty.index]
            outcomes = self._commit(rest) if rest else []
            return [*outcomes[: guilty.index], guilty.error, *outcomes[guilty.index :]]
        except OutcomeUnknown as error:
            return self._look_up(batch, error)
        except StorageDown as error:
            return [error] * len(batch)
        except Exception as error:
            if len(batch) > 1:
                middle = len(batch) // 2
                return [*self._commit(batch[:middle]), *self._commit(batch[middle:])]
            return [self._as_error(error)]

    def _attempt(self, batch: Sequence[Delivery]) -> list[Stored]:
        locations = self._blobs.put_many([one.content for one in batch])
        for _ in range(RETRIES):
            try:
                return write_batch(self._storage, batch, locations)
            except MissingMailbox as missing:
                self._create_mailboxes(missing)
            except Locked:
                log.info("batch of %d waits for another writer", len(batch))
        return write_batch(self._storage, batch, locations)

    def _create_mailboxes(self, missing: MissingMailbox) -> None:
        with self._storage.write() as tx:
            for tenant_id, account_id, name in missing.wanted:
                if mailboxes.find(tx, account_id, name) is None:
                    mailboxes.create(tx, tenant_id, account_id, self._ids().next(), name)

    def _look_up(self, batch: Sequence[Delivery], error: OutcomeUnknown) -> list[Outcome]:
        log.warning("commit of %d messages without an answer, looking them up: %s", len(batch), error)
        try:
            found = find_stored(self._storage, batch)
        except MaiRustError:
            return [error] * len(batch)
        return [
            Stored(ids=tuple(copy.id for copy in one.copies)) if is_there else error
            for one, is_there in zip(batch, found, strict=True)
        ]

    def _as_error(self, error: Exception) -> MaiRustError:
        if isinstance(error, MaiRustError):
            return error
        log.error("a message could not be stored", exc_info=error)
        return StorageDown("message", why=type(error).__name__)


def _tell(batch: Sequence[_Waiting], outcomes: Sequence[Outcome]) -> None:
    """Wake each event loop once for the whole batch."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Outcome], Outcome]]] = {}
    for (_, loop, future), outcome in zip(batch, outcomes, strict=True):
        by_loop.setdefault(loop, []).append((future, outcome))
    for loop, pairs in by_loop.items():
        loop.call_soon_threadsafe(_resolve, pairs)


def _resolve(pairs: Sequence[tuple[asyncio.Future[Outcome], Outcome]]) -> None:
    for future, outcome in pairs:
        if not future.done():
            future.set_result(outcome)


def _batch_end(batch: Sequence[Delivery], start: int) -> int:
    size_bytes = 0
    for index in range(start, min(len(batch), start + MAX_BATCH)):
        size_bytes += batch[index].content.size_bytes
        if index > start and size_bytes > MAX_BATCH_BYTES:
            return index
    return min(len(batch), start + MAX_BATCH)
