"""Import: many messages at once on the road's last steps, counted by the ledger (rules B1, D2, E3, I1).

Messages are taken in, described on other cores while earlier ones are committed, and committed in the order
they came. A transaction is small, and after each the database is left to other writers for a moment, so
that mail goes first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mairust_core.errors import MaiRustError, NotFound, Refused, Temporary, TooLarge
from mairust_core.ids import to_ms
from mairust_core.model.blob import Content
from mairust_core.model.content import Facts
from mairust_core.model.copies import ImportedCopy, NewCopy, Outcome, split_flags
from mairust_core.model.delivery import Copy, Counted, Delivery
from mairust_core.operations import Item
from mairust_core.receive.append import collect
from mairust_core.receive.describers import Described, Describers
from mairust_core.receive.describing import describe_safely

if TYPE_CHECKING:
    from mairust_core.app import Site

GAP_S = 0.006
"""Longer than anybody pauses who waits for SQLite's lock."""
GROUP_MESSAGES = 250
GROUP_BYTES = 8 << 20
FEWEST_ROWS = 16
LONGEST_WRITE_S = 0.04
LATEST_MS = 253_402_300_799_999
"""The last millisecond of the year 9999."""

_Slot = ImportedCopy | tuple[NewCopy, Content]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    """Some messages in order; those that failed already have their answer."""

    slots: list[_Slot]
    described: Future[list[Described]] | None

    def contents(self) -> list[Content]:
        """What is to be stored."""
        return [slot[1] for slot in self.slots if isinstance(slot, tuple)]


class Importing:
    """One batch of an import into one account. What it yields is durable, and `Temporary` errors end it."""

    def __init__(self, site: Site, tenant_id: int, account_id: int, *, again: bool) -> None:
        self._site = site
        self._tenant_id = tenant_id
        self._account_id = account_id
        self._again = again
        self._describers: Describers | None = None
        self._rows = GROUP_MESSAGES

    def run(self, items: Iterable[Item[NewCopy]]) -> Iterator[ImportedCopy]:
        """What became of each item, in order.

        Raises `DiskFull`, `StorageDown`, `Locked`, `TooMany`, `OutcomeUnknown`, and `NotFound` for an account
        that is gone; giving the same items again is safe (rule I1).
        """
        waiting: deque[_Group] = deque()
        try:
            for group in self._groups(items):
                waiting.append(group)
                while len(waiting) > (self._describers.ahead if self._describers else 0):
                    yield from self._commit(waiting.popleft())
            while waiting:
                yield from self._commit(waiting.popleft())
        finally:
            if self._describers is not None:
                self._describers.close()
            for group in waiting:
                for content in group.contents():
                    content.close()

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
        try:
            content = collect(self._site, item.content)
        except TooLarge as error:
            return failed(error)
        if content.sha256.hex() != item.value.sha256:
            content.close()
            return failed(Refused("other_bytes", sha256=item.value.sha256))
        return item.value, content

    def _commit(self, group: _Group) -> Iterator[ImportedCopy]:
        contents = group.contents()
        try:
            described = (
                group.described.result()
                if group.described is not None
                else [(one, describe_safely(one)) for one in contents]
            )
            copies = [slot[0] for slot in group.slots if isinstance(slot, tuple)]
            deliveries = [
                self._delivery(copy, content, facts)
                for copy, (content, facts) in zip(copies, described, strict=True)
            ]
            stored = self._store(deliveries)
            for slot in group.slots:
                yield slot if isinstance(slot, ImportedCopy) else next(stored)
        finally:
            for content in contents:
                content.close()

    def _delivery(self, new: NewCopy, content: Content, facts: Facts | None) -> Delivery:
        flags, keywords = split_flags(new.flags)
        copy = Copy(
            id=self._site.ids.next(),
            account_id=self._account_id,
            mailbox=new.mailbox,
            size_bytes=facts.crlf_size_bytes if facts else content.size_bytes,
            flags=flags,
            keywords=keywords,
        )
        return Delivery(
            tenant_id=self._tenant_id,
            content=content,
            facts=facts,
            copies=(copy,),
            received_ms=min(max(to_ms(new.received_at), 0), LATEST_MS),
            counted=Counted(copy=new.copy, again=self._again),
        )

    def _store(self, deliveries: list[Delivery]) -> Iterator[ImportedCopy]:
        """Commit in transactions that stay short on this machine, as it is now (rule D2)."""
        start = 0
        committer = self._site.import_committer
        while start < len(deliveries):
            part = deliveries[start : start + self._rows]
            start += len(part)
            for outcome in committer.commit_many(part):
                if isinstance(outcome, MaiRustError):
                    yield _refusal(outcome)
                elif outcome.ids:
                    yield ImportedCopy(outcome=Outcome.IMPORTED, id=outcome.ids[0])
                else:
                    yield ImportedCopy(outcome=Outcome.SKIPPED)
            if committer.last_write_s > LONGEST_WRITE_S:
                self._rows = max(self._rows // 2, FEWEST_ROWS)
            else:
                self._rows = min(self._rows * 2, GROUP_MESSAGES)


def _refusal(error: MaiRustError) -> ImportedCopy:
    """What a message heard; raises what concerns all of them."""
    by_itself = error.key == "storage_down.message"  # the database takes others, and never this one
    if isinstance(error, (Temporary, NotFound)) and not by_itself:
        raise error
    return failed(error)


def failed(error: MaiRustError) -> ImportedCopy:
    """The answer for a message that cannot be stored."""
    return ImportedCopy(outcome=Outcome.FAILED, code=error.code, why=str(error))
