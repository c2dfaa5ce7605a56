"""One run of an import: which messages of a source to send, and what became of each (rule I1, trap M3).

A message is known by its bytes. The run counts how often it has met the same bytes for the same mailbox, and
sends a message when the ledger counts fewer. What was sent is answered in order, so the run holds only what
is on its way, and may be broken off anywhere: the next one sends what is missing.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from mairust_core.errors import Invalid, MaiRustError, Temporary
from mairust_core.model.copies import ImportedCopy, NewCopy, Outcome, Tally
from mairust_core.model.flags import MAX_KEYWORDS
from mairust_core.observe.faults import crash_point
from mairust_core.operations import BytesIn, Item
from mairust_core.transfer.cache import HashCache
from mairust_core.transfer.fitting import fitted
from mairust_core.transfer.names import Mapping, is_renamed
from mairust_core.transfer.payload import Payload
from mairust_core.transfer.room import Room
from mairust_core.transfer.source import Aside, Broken, Fate, Folder, Found, Reason, Source, Unusable
from mairust_core.transfer.telling import Told

ASKED_AT_ONCE = 500
AHEAD_BYTES = 8 << 20
"""So much is read before the ledger is asked about it."""
BATCH_ITEMS = 2000
BATCH_BYTES = 16 << 20
RETRIES_S = (0.5, 1.0, 2.0, 4.0, 8.0)


class Target(Protocol):
    """Where an import goes: one account, here or on a server."""

    def prepare(self, mailboxes: Sequence[str], subscribed: Sequence[str]) -> None:
        """Make the mailboxes that are not there yet, and subscribe."""
        ...

    def known(self, mailbox: str, hashes: Sequence[bytes]) -> Sequence[int]:
        """How many copies of each content the ledger counts."""
        ...

    def limits(self) -> Room:
        """What it still takes."""
        ...

    def send(self, items: Iterator[Item[NewCopy]]) -> Iterator[ImportedCopy]:
        """Store messages; what became of each, in order. May read ahead."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """How a run goes about it."""

    mapping: Mapping = field(default_factory=Mapping)
    again: bool = False
    """Send everything, whatever the ledger says."""
    verify: bool = False
    """Read every file, whatever the cache says."""
    dry_run: bool = False
    received: Callable[[bytes], datetime | None] | None = None
    """Finds the date in the beginning of a message; without it, or where it finds none, the source's."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A message whose bytes are known by now."""

    found: Found
    key: bytes
    sha256: bytes
    payload: Payload | None


class ImportRun:
    """One source into one account. `tell` hears what was not imported, `progress` how far it is."""

    def __init__(
        self,
        target: Target,
        wishes: Wishes,
        cache: HashCache,
        *,
        tell: Callable[[Told], None],
        progress: Callable[[Tally], None],
        tally: Tally | None = None,
    ) -> None:
        self.tally = tally or Tally()
        self._target = target
        self._wishes = wishes
        self._cache = cache
        self._tell = tell
        self._progress = progress
        self._met: dict[tuple[str, bytes], int] = {}
        self._sent: deque[tuple[str, _Wanted]] = deque()
        self._refitted: set[tuple[str, str]] = set()
        self._room = Room()

    def run(self, source: Source) -> Tally:
        """Import everything. Raises what concerns all messages, such as `DiskFull`; the next run goes on."""
        folders = list(source.folders())
        for one in source.left():
            self._told_only(one, "")
        targets = [self._wishes.mapping(folder.mailbox) for folder in folders]
        self._tell_renamed(folders, targets)
        if self._wishes.dry_run:
            self._room = self._target.limits()
        else:
            subscribed = [self._wishes.mapping(name) for name in source.subscribed()]
            self._target.prepare(list(dict.fromkeys(targets)), subscribed)
            crash_point("import.prepared")
        items = self._items(zip(folders, targets, strict=True))
        try:
            with closing(items):
                for answer in self._target.send(items):
                    self._answered(*self._sent.popleft(), answer)
        finally:
            self._cache.flush()
            _close(one for _, one in self._sent)
        return self.tally

    def _tell_renamed(self, folders: Iterable[Folder], targets: Iterable[str]) -> None:
        for folder, mailbox in zip(folders, targets, strict=True):
            wished = self._wishes.mapping.wished(folder.called, folder.mailbox)
            if is_renamed(wished, mailbox):
                reason = Reason.of("renamed", called=folder.called, wished=wished, mailbox=mailbox)
                self._tell(Told(path=folder.path, mailbox=mailbox, outcome=Fate.RENAMED, reason=reason))

    def _items(self, folders: Iterable[tuple[Folder, str]]) -> Generator[Item[NewCopy]]:
        for folder, mailbox in folders:
            self.tally.mailbox = mailbox
            for group in self._groups(folder, mailbox):
                try:
                    yield from self._unknown(mailbox, group)
                except BaseException:
                    _close(group)
                    raise

    def _groups(self, folder: Folder, mailbox: str) -> Iterator[list[_Wanted]]:
        """Some messages at a time, as many as one question to the ledger takes."""
        group: list[_Wanted] = []
        held_bytes = 0
        for found in folder.messages():
            if (one := self._identified(found, mailbox)) is None:
                continue
            group.append(one)
            held_bytes += one.payload.size_bytes if one.payload is not None else 0
            if len(group) >= ASKED_AT_ONCE or held_bytes >= AHEAD_BYTES:
                yield group
                group, held_bytes = [], 0
        if group:
            yield group

    def _told_only(self, one: Broken | Aside, mailbox: str) -> None:
        if isinstance(one, Broken):
            self._failed(one.path, mailbox, one.reason)
        else:
            self._tell(Told(path=one.path, mailbox=mailbox, outcome=one.fate, reason=one.reason))

    def _identified(self, found: Found | Broken | Aside, mailbox: str) -> _Wanted | None:
        """The message with its hash, read unless the cache knows it; None when that fails, which is told."""
        if isinstance(found, Broken | Aside):
            self._told_only(found, mailbox)
            return None
        key = found.key
        sha256 = None if self._wishes.verify or self._wishes.again else self._cache.get(key)
        payload = None
        if sha256 is None:
            try:
                payload = found.load()
            except Unusable as error:
                self._failed(found.path, mailbox, error.reason)
                return None
            sha256 = payload.sha256
        return _Wanted(found, key, sha256, payload)

    def _nth(self, mailbox: str, sha256: bytes) -> int:
        key = (mailbox, sha256[:12])
        nth = self._met.get(key, 0) + 1
        self._met[key] = nth
        return nth

    def _unknown(self, mailbox: str, group: list[_Wanted]) -> Iterator[Item[NewCopy]]:
        """What the ledger does not count yet; the rest is skipped."""
        counted = self._counted(mailbox, group)
        for one in group:
            nth = self._nth(mailbox, one.sha256)
            if nth <= counted[one.sha256]:
                self._skipped(mailbox, one)
            elif (read := self._read(mailbox, one)) is None:
                continue
            elif self._wishes.dry_run:
                self._would_import(mailbox, read)
            else:
                if read.sha256 != one.sha256:  # it changed since it was cached
                    nth = self._nth(mailbox, read.sha256)
                try:
                    item = self._item(mailbox, read, nth)
                except Invalid as error:
                    self._failed(one.found.path, mailbox, Reason.refused(error))
                    continue
                self._sent.append((mailbox, read))
                yield item

    def _counted(self, mailbox: str, group: list[_Wanted]) -> dict[bytes, int]:
        distinct = list(dict.fromkeys(one.sha256 for one in group))
        if self._wishes.again:
            return dict.fromkeys(distinct, 0)
        return dict(zip(distinct, self._target.known(mailbox, distinct), strict=True))

    def _read(self, mailbox: str, one: _Wanted) -> _Wanted | None:
        """The message with its bytes; of a file whose hash came from the cache they are read now."""
        if one.payload is not None:
            return one
        try:
            payload = one.found.load()
        except Unusable as error:
            self._failed(one.found.path, mailbox, error.reason)
            return None
        return _Wanted(one.found, one.key, payload.sha256, payload)

    def _item(self, mailbox: str, one: _Wanted, nth: int) -> Item[NewCopy]:
        payload = one.payload
        assert payload is not None
        at = self._wishes.received(payload.head(1 << 16)) if self._wishes.received else None
        new = NewCopy(
            mailbox=mailbox,
            sha256=one.sha256.hex(),
            received_at=at or one.found.received_at(),
            copy=nth,
            flags=self._flags(mailbox, one.found),
        )
        return Item(value=new, content=BytesIn(chunks=_Again(payload), size_bytes=payload.size_bytes))

    def _flags(self, mailbox: str, found: Found) -> tuple[str, ...]:
        """Its flags as they are kept; each keyword that becomes another one is told once in a mailbox."""
        kept = fitted(found.flags())
        for old, new in kept.renamed:
            if (mailbox, old) not in self._refitted:
                self._refitted.add((mailbox, old))
                self._changed(found.path, mailbox, Reason.of("keyword", old=old, new=new))
        if kept.left_out:
            left_out = " ".join(kept.left_out)
            self._changed(found.path, mailbox, Reason.of("keywords_left", limit=MAX_KEYWORDS, left=left_out))
        return kept.flags

    def _changed(self, path: str, mailbox: str, reason: Reason) -> None:
        self._tell(Told(path=path, mailbox=mailbox, outcome=Fate.CHANGED, reason=reason))

    def _answered(self, mailbox: str, one: _Wanted, answer: ImportedCopy) -> None:
        assert one.payload is not None
        crash_point("import.answered")
        if answer.outcome is Outcome.IMPORTED:
            self.tally.done += 1
            self.tally.size_bytes += one.payload.size_bytes
            self._cache.put(one.key, one.sha256)
        elif answer.outcome is Outcome.SKIPPED:
            self._skipped(mailbox, one)
        else:
            self._failed(one.found.path, mailbox, refusal_of(answer))
        one.payload.close()
        self._progress(self.tally)

    def _would_import(self, mailbox: str, one: _Wanted) -> None:
        assert one.payload is not None
        refusal = self._room.take(one.payload)
        one.payload.close()
        if refusal is not None:
            self._failed(one.found.path, mailbox, Reason.refused(refusal))
            return
        self._flags(mailbox, one.found)
        self.tally.done += 1
        self.tally.size_bytes += one.payload.size_bytes
        self._progress(self.tally)

    def _skipped(self, mailbox: str, one: _Wanted) -> None:
        self.tally.skipped += 1
        self._cache.put(one.key, one.sha256)
        if one.payload is not None:
            one.payload.close()
        self._tell(
            Told(
                path=one.found.path, mailbox=mailbox, outcome=Fate.SKIPPED, reason=Reason.of("known")
            )
        )  # fmt: skip
        self._progress(self.tally)

    def _failed(self, path: str, mailbox: str, reason: Reason) -> None:
        self.tally.failed += 1
        self._tell(Told(path=path, mailbox=mailbox, outcome=Fate.FAILED, reason=reason))
        self._progress(self.tally)


def refusal_of(answer: ImportedCopy) -> Reason:
    """Why a message was refused; the text is ours where the server says which, else the server's."""
    if answer.detail:
        return Reason.refused(MaiRustError.again(answer.code, answer.detail, answer.values or {}))
    return Reason.refused(MaiRustError.from_wire(answer.code, answer.why, ""))


def _close(messages: Iterable[_Wanted]) -> None:
    for one in messages:
        if one.payload is not None:
            one.payload.close()


class _Again:
    """The chunks of a payload, from the beginning each time they are asked for."""

    def __init__(self, payload: Payload) -> None:
        self._payload = payload

    def __iter__(self) -> Iterator[bytes]:
        return self._payload.chunks()


class Batches:
    """Sends items to a server: some at a time, each batch again while the server is busy or away.

    Sending one again is safe (rule I1), except with `again`, when the first answer may have been lost.
    """

    def __init__(
        self,
        call: Callable[[list[Item[NewCopy]]], Iterable[ImportedCopy]],
        *,
        retries_s: Sequence[float] = RETRIES_S,
        rest: Callable[[float], None] = time.sleep,
    ) -> None:
        self._call = call
        self._retries_s = retries_s
        self._rest = rest

    def send(self, items: Iterator[Item[NewCopy]]) -> Iterator[ImportedCopy]:
        """What became of each, in order; raises the server's last word when it stays away."""
        batch: list[Item[NewCopy]] = []
        size_bytes = 0
        for item in items:
            batch.append(item)
            size_bytes += item.content.size_bytes or 0
            if len(batch) >= BATCH_ITEMS or size_bytes >= BATCH_BYTES:
                yield from self._sent(batch)
                batch, size_bytes = [], 0
        if batch:
            yield from self._sent(batch)

    def _sent(self, batch: list[Item[NewCopy]]) -> list[ImportedCopy]:
        for pause_s in self._retries_s:
            try:
                return list(self._call(batch))
            except Temporary:
                self._rest(pause_s)
        return list(self._call(batch))
