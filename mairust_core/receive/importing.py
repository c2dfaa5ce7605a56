"""Import: many messages at once on the road's last steps, counted by the ledger (rules B1, D2, E3, I1).

Three things go on beside each other: this thread takes messages in and writes rows, other cores describe
and compress, and one thread makes bytes durable. Rows are written in the order the messages came. A
transaction is small, and after each the database is left to other writers for a moment, so that mail goes
first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from mairust_core.errors import Damaged, MaiRustError, NotFound, Refused, Temporary, TooLarge
from mairust_core.ids import LATEST_MS, to_ms
from mairust_core.model.blob import MEMORY_LIMIT_BYTES, Bytes, Content
from mairust_core.model.content import KeptFacts
from mairust_core.model.copies import ImportedCopy, NewCopy, Outcome
from mairust_core.model.delivery import Copy, Counted, Delivery, Stored
from mairust_core.model.flags import split
from mairust_core.operations import Item
from mairust_core.receive.append import collect
from mairust_core.receive.committer import Outcome as Committed
from mairust_core.receive.committer import Written
from mairust_core.receive.describers import Described, Describers, describe_here

if TYPE_CHECKING:
    from mairust_core.app import Site

GAP_S = 0.006
"""Longer than anybody pauses who waits for SQLite's lock."""
GROUP_MESSAGES = 250
GROUP_BYTES = 8 << 20
FEWEST_ROWS = 100
LONGEST_WRITE_S = 0.04

_Slot = ImportedCopy | tuple[NewCopy, Content]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    """Some messages in order; those that failed already have their answer."""

    slots: list[_Slot]
    described: Future[list[Described]] | None

    def contents(self) -> list[Content]:
        """What is to be stored."""
        return [slot[1] for slot in self.slots if isinstance(slot, tuple)]

    def close(self) -> None:
        """Let go of the bytes."""
        for content in self.contents():
            content.close()


_Described = ImportedCopy | tuple[NewCopy, Content, KeptFacts | None]


class _Ready(NamedTuple):
    """A group that is described, and whose bytes are durable."""

    slots: list[_Described]
    written: Written


class Importing:
    """One batch of an import into one account. What it yields is durable, and `Temporary` errors end it."""

    def __init__(self, site: Site, tenant_id: int, account_id: int, *, again: bool) -> None:
        self._site = site
        self._tenant_id = tenant_id
        self._account_id = account_id
        self._again = again
        self._describers: Describers | None = None
        self._rows = GROUP_MESSAGES
        self._committer = site.import_committer

    def run(self, items: Iterable[Item[NewCopy]]) -> Iterator[ImportedCopy]:
        """What became of each item, in order.

        Raises `DiskFull`, `StorageDown`, `Locked`, `TooMany`, `OutcomeUnknown`, and `NotFound` for an account
        that is gone; giving the same items again is safe (rule I1).
        """
        waiting: deque[tuple[_Group, Future[_Ready]]] = deque()
        lane = ThreadPoolExecutor(1, "import-bytes")
        try:
            for group in self._groups(items):
                waiting.append((group, lane.submit(self._prepare, group)))
                while len(waiting) > self._ahead:
                    yield from self._commit(waiting)
            while waiting:
                yield from self._commit(waiting)
        finally:
            lane.shutdown(cancel_futures=True)
            if self._describers is not None:
                self._describers.close()
            for group, _ in waiting:
                group.close()

    @property
    def _ahead(self) -> int:
        """How many groups are under way at most, so that no core waits."""
        return 0 if self._describers is None else self._describers.ahead + 1

    def _groups(self, items: Iterable[Item[NewCopy]]) -> Iterator[_Group]:
        slots: list[_Slot] = []
        size_bytes = 0
        try:
            for item in items:
                slots.append(self._taken(item))
                size_bytes += item.content.size_bytes or 0
                if len(slots) >= GROUP_MESSAGES or size_bytes >= GROUP_BYTES:
                    group, slots, size_bytes = self._group(slots, more=True), [], 0
                    yield group
            if slots:
                group, slots = self._group(slots, more=False), []
                yield group
        finally:
            for slot in slots:
                if isinstance(slot, tuple):
                    slot[1].close()

    def _group(self, slots: list[_Slot], *, more: bool) -> _Group:
        if more and self._describers is None:  # a few messages are done before a process has started
            self._describers = Describers()
        group = _Group(slots=slots, described=None)
        contents = group.contents()
        if self._describers is None or not contents:
            return group
        return _Group(slots=slots, described=self._describers.submit(contents))

    def _taken(self, item: Item[NewCopy]) -> _Slot:
        """The bytes of an item: small ones in memory, as many as a group has; large ones on disk (B4)."""
        size_bytes = item.content.size_bytes or 0
        try:
            if size_bytes > MEMORY_LIMIT_BYTES:
                return item.value, collect(self._site, item.content)
            if size_bytes > self._site.settings.smtp.max_size:
                raise TooLarge("message", limit=self._site.settings.smtp.max_size)
        except TooLarge as error:
            return failed(error)
        data = b"".join(item.content.chunks)
        return item.value, Bytes(data=data, sha256=b"", size_bytes=len(data))  # hashed where it is described

    def _prepare(self, group: _Group) -> _Ready:
        """Describe a group and make its bytes durable; runs beside everything else."""
        if group.described is None:
            described = iter([describe_here(one) for one in group.contents()])
        else:
            described = iter(group.described.result())
        slots: list[_Described] = [
            slot if isinstance(slot, ImportedCopy) else _checked(slot[0], *next(described))
            for slot in group.slots
        ]
        contents = [slot[1] for slot in slots if isinstance(slot, tuple)]
        return _Ready(slots, self._committer.put(contents))

    def _commit(self, waiting: deque[tuple[_Group, Future[_Ready]]]) -> Iterator[ImportedCopy]:
        """Write the rows of the next group."""
        group, future = waiting[0]
        ready = future.result()
        deliveries = [self._delivery(*slot) for slot in ready.slots if isinstance(slot, tuple)]
        stored = iter(self._store(deliveries, ready.written))
        waiting.popleft()
        group.close()
        for slot in ready.slots:
            yield slot if isinstance(slot, ImportedCopy) else next(stored)

    def _delivery(self, new: NewCopy, content: Content, kept: KeptFacts | None) -> Delivery:
        flags, keywords = split(new.flags)
        copy = Copy(
            id=self._site.ids.next(),
            account_id=self._account_id,
            mailbox=new.mailbox,
            size_bytes=kept.crlf_size_bytes if kept else content.size_bytes,
            flags=flags,
            keywords=keywords,
        )
        return Delivery(
            tenant_id=self._tenant_id,
            content=content,
            kept=kept,
            copies=(copy,),
            received_ms=min(max(to_ms(new.received_at), 0), LATEST_MS),
            counted=Counted(copy=new.copy, again=self._again),
        )

    def _store(self, deliveries: list[Delivery], written: Written) -> list[ImportedCopy]:
        """Commit in transactions that stay short on this machine, as it is now (rule D2)."""
        start = 0
        answers: list[ImportedCopy] = []
        while start < len(deliveries):
            stop = min(start + self._rows, len(deliveries))
            outcomes = self._committer.store(deliveries[start:stop], written.part(start, stop))
            answers += map(_answer, outcomes)
            start = stop
            if self._committer.last_write_s > LONGEST_WRITE_S:
                self._rows = max(self._rows // 2, FEWEST_ROWS)
            else:
                self._rows = min(self._rows * 2, GROUP_MESSAGES)
        return answers


def _answer(outcome: Committed) -> ImportedCopy:
    """What a message hears; raises what concerns all of them."""
    if isinstance(outcome, Stored):
        if outcome.ids:
            return ImportedCopy(outcome=Outcome.IMPORTED, id=outcome.ids[0])
        return ImportedCopy(outcome=Outcome.SKIPPED)
    by_itself = outcome.key == "storage_down.message"  # the database takes others, and never this one
    if isinstance(outcome, (Temporary, NotFound, Damaged)) and not by_itself:
        raise outcome
    return failed(outcome)


def _checked(new: NewCopy, content: Content, kept: KeptFacts | None) -> _Described:
    """The message, unless its bytes are not those that were announced."""
    if content.sha256.hex() != new.sha256:
        return failed(Refused("other_bytes", sha256=new.sha256))
    return new, content, kept


def failed(error: MaiRustError) -> ImportedCopy:
    """The answer for a message that cannot be stored."""
    values = {name: str(value) for name, value in error.values.items()}
    return ImportedCopy(
        outcome=Outcome.FAILED, code=error.code, why=str(error), detail=error.detail, values=values
    )
