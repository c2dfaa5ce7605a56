"""Group commit: what arrived while the last commit was in flight shares the next one.

Under load the cost of a sync and of a transaction is shared; alone, a mail waits for nothing. Blobs become
durable first, then one transaction, then every sender of the batch hears of it at once (rule C3).
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple, Protocol

from sqlalchemy.exc import IntegrityError

from mairust_core.blobs import BlobStore
from mairust_core.errors import Locked, MaiRustError, NotFound, OutcomeUnknown, StorageDown, TooMany
from mairust_core.ids import IdSource
from mairust_core.model.blob import Content, Locator
from mairust_core.model.delivery import NO_CALLS, CallRows, Delivery, Stored
from mairust_core.receive.describing import with_facts
from mairust_core.store import StorageBackend, mailboxes
from mairust_core.store.guilt import Guilty, Located, MissingMailbox
from mairust_core.store.ingest import boot_clock, find_stored, ids_taken, write_batch

MAX_BATCH = 512
MAX_BATCH_BYTES = 32 << 20
MAX_QUEUE = 4096
PATIENCE_S = 10.0
"""How long a batch is tried again while another writer is in the way; beyond it senders get 4xx."""
RETRIES = 3
"""How often a batch that lost a deadlock, or found a mailbox missing, is tried again."""

Outcome = Stored | MaiRustError
_Waiting = tuple[Delivery, asyncio.AbstractEventLoop, "asyncio.Future[Outcome]"]
log = logging.getLogger("mairust.receive")


class Commits(Protocol):
    """What takes the deliveries of an event loop."""

    def expect(self) -> None:
        """Hear that a mail is about to come; it may still be refused."""
        ...

    async def commit(self, delivery: Delivery) -> Outcome:
        """`Stored` once it is durable, or the error for this delivery alone; never raises."""
        ...


class Written(NamedTuple):
    """Where bytes lie durably, and since when by `boot_clock`."""

    locations: Sequence[Locator]
    at_s: float

    def part(self, start: int, stop: int) -> Written:
        """That of some of them."""
        return Written(self.locations[start:stop], self.at_s)


class Committer:
    """Commits deliveries in batches. Thread-safe; owns one thread once something is submitted."""

    def __init__(
        self, storage: StorageBackend, blobs: BlobStore, ids: Callable[[], IdSource], *, gap_s: float = 0.0
    ) -> None:
        """`gap_s` is how long the database is left to other writers between two transactions (rule D2)."""
        self._storage = storage
        self._gap_s = gap_s
        self._free_since_s = 0.0
        self.last_write_s = 0.0
        """How long the last transaction took."""
        self.blobs = blobs
        self._ids = ids
        self._queue: deque[_Waiting] = deque()
        self._wake = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closing = False
        self._committing = threading.Lock()

    def expect(self) -> None:
        """Nothing to do: a thread wakes fast enough."""

    async def commit(self, delivery: Delivery) -> Outcome:
        """`Stored` once it is durable, or the error for this delivery alone; never raises."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Outcome] = loop.create_future()
        with self._wake:
            if self._closing or len(self._queue) >= MAX_QUEUE:
                return TooMany("queue", waiting=len(self._queue))
            self._queue.append((delivery, loop, future))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="committer", daemon=True)
                self._thread.start()
            self._wake.notify()
        return await future

    def commit_many(self, batch: Sequence[Delivery]) -> list[Outcome]:
        """Commit on the calling thread; one outcome per delivery, in order."""
        batch = [with_facts(one) for one in batch]
        outcomes: list[Outcome] = []
        start = 0
        while start < len(batch):
            stop = _batch_end(batch, start)
            with self._committing:
                outcomes += self._commit(batch[start:stop])
            start = stop
        return outcomes

    def put(self, contents: Sequence[Content]) -> Written:
        """Make bytes durable ahead of their rows; `store` is to follow soon. Raises what the store raises."""
        written_s = boot_clock()
        return Written(self.blobs.put_many(contents), written_s)

    def store(self, batch: Sequence[Delivery], written: Written) -> list[Outcome]:
        """The rows of deliveries whose bytes `put` wrote, as one transaction; one outcome each, in order."""
        with self._committing:
            return self._store(batch, written.locations, written.at_s)

    def close(self) -> None:
        """Commit what is queued, then end the thread."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while batch := self._take():
            _tell(batch, self.settle([delivery for delivery, _, _ in batch]))

    def settle(self, batch: Sequence[Delivery]) -> list[Outcome]:
        """`commit_many` for those who must go on: whatever it is, every sender hears a 4xx."""
        try:
            return self.commit_many(batch)
        except Exception as error:
            return [_as_error(error)] * len(batch)

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
        """Bytes first, once; then the rows, as one transaction if all goes well."""
        written_s = boot_clock()
        try:
            locations = self.blobs.put_many([one.content for one in batch])
        except MaiRustError as error:
            return [error] * len(batch)
        except Exception as error:
            if len(batch) > 1:
                middle = len(batch) // 2
                return [*self._commit(batch[:middle]), *self._commit(batch[middle:])]
            return [_as_error(error)]
        return self._store(batch, locations, written_s)

    def _store(
        self, batch: Sequence[Delivery], locations: Sequence[Locator], written_s: float
    ) -> list[Outcome]:
        """The rows of a batch: without the guilty, and split where it is not known who they are (C4)."""
        outcomes: dict[int, Outcome] = {}
        left = list(range(len(batch)))
        while left:
            part = [Located(at, batch[index], locations[index]) for at, index in enumerate(left)]
            try:
                found: Sequence[Outcome] = self._attempt(part, written_s)
            except Guilty as guilty:
                outcomes |= {left[at]: error for at, error in guilty.errors.items()}
                left = [index for index in left if index not in outcomes]
                continue
            except Exception as error:
                found = self._after_failure(part, error, written_s)
            outcomes |= zip(left, found, strict=True)
            break
        return [outcomes[index] for index in range(len(batch))]

    def _attempt(self, part: Sequence[Located], written_s: float) -> list[Stored]:
        deadline_s = time.monotonic() + PATIENCE_S
        for _ in range(RETRIES):
            try:
                return self._write(part, written_s)
            except MissingMailbox as missing:
                self._create_mailboxes(missing)
            except Locked:
                if time.monotonic() >= deadline_s:
                    raise
                log.info("batch of %d waits for another writer", len(part))
        return self._write(part, written_s)

    def _write(self, part: Sequence[Located], written_s: float) -> list[Stored]:
        if self._gap_s:
            time.sleep(max(0.0, self._free_since_s + self._gap_s - time.monotonic()))
        began_s = time.monotonic()
        try:
            return write_batch(self._storage, part, written_s)
        finally:
            self._free_since_s = time.monotonic()
            self.last_write_s = self._free_since_s - began_s

    def _after_failure(self, part: Sequence[Located], error: Exception, written_s: float) -> list[Outcome]:
        deliveries = [one.delivery for one in part]
        if isinstance(error, OutcomeUnknown):
            return self._look_up(deliveries, error)
        if isinstance(error, MaiRustError):
            return [error] * len(part)
        if len(part) == 1:
            return [self._rescue(part[0], error, written_s)]
        middle = len(part) // 2
        locations = [one.location for one in part]
        return [
            *self._store(deliveries[:middle], locations[:middle], written_s),
            *self._store(deliveries[middle:], locations[middle:], written_s),
        ]

    def _rescue(self, one: Located, error: Exception, written_s: float) -> Outcome:
        """More tries for a message the database would not take: under new ids, or with less (A4, C4)."""
        delivery = one.delivery
        try:
            collided = isinstance(error, IntegrityError) and ids_taken(self._storage, delivery)
        except MaiRustError as down:
            return down
        if collided:
            log.warning("an id was there already, message %s gets a new one", delivery.content.sha256.hex())
            return self._store([self._with_new_ids(delivery)], [one.location], written_s)[0]
        for less in _with_less(delivery):
            part = [one._replace(at=0, delivery=less)]
            try:
                stored = self._attempt(part, written_s)[0]
            except Guilty as guilty:
                return guilty.errors[0]
            except MaiRustError as down:
                return self._after_failure(part, down, written_s)[0]
            except Exception as again:
                error = again
                continue
            return _note_less(delivery, less, stored, error)
        return _as_error(error)

    def _with_new_ids(self, delivery: Delivery) -> Delivery:
        ids = self._ids()
        new = {copy.id: ids.next() for copy in delivery.copies}
        trace = None if delivery.trace is None else delivery.trace._replace(id=ids.next())
        trace_id = None if trace is None else int(trace.id)
        return delivery._replace(
            copies=tuple(copy._replace(id=new[copy.id]) for copy in delivery.copies),
            later=tuple(
                replace(one, id=ids.next(), copy=new[one.copy]) for one in delivery.later if one.copy in new
            ),
            trace=trace,
            calls=CallRows(
                log=[(int(ids.next()), *row[1:-3], trace_id, *row[-2:]) for row in delivery.calls.log],
                accesses=[(int(ids.next()), *row[1:-2], trace_id, None) for row in delivery.calls.accesses],
            ),
        )

    def _create_mailboxes(self, missing: MissingMailbox) -> None:
        ids = self._ids()  # not within the transaction: the first use leases a process number
        with self._storage.write() as tx:
            for tenant_id, account_id, name in missing.wanted:
                with suppress(NotFound):  # the next attempt says whose mail that is
                    mailboxes.ensure(tx, tenant_id, account_id, ids.next(), name)

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


def _with_less(delivery: Delivery) -> Iterator[Delivery]:
    """The same mail with less beside it, for a database that does not take it whole."""
    if delivery.calls.log:
        yield delivery._replace(calls=NO_CALLS)
    if delivery.kept is not None:
        yield delivery._replace(kept=None)
        if delivery.calls.log:
            yield delivery._replace(kept=None, calls=NO_CALLS)


def _note_less(delivery: Delivery, less: Delivery, stored: Stored, error: Exception) -> Stored:
    message = delivery.content.sha256.hex()
    if delivery.kept is not None and less.kept is None:
        log.error("message %s is stored undescribed", message, exc_info=error)
    if delivery.calls.log and not less.calls.log:
        log.error("message %s is stored without what hooks were asked", message, exc_info=error)
        return replace(stored, without_calls=True)
    return stored


def _as_error(error: Exception) -> MaiRustError:
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
        with suppress(RuntimeError):  # the loop is closed: nobody waits there any more
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
