"""Rows of one moment in their portable form, in chunks, without ever holding more than one of them.

Everything here is read inside the caller's transaction, which is one snapshot on both databases.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from mairust_core.store import StorageBackend
from mairust_core.store.portable import ACCOUNT, ACCOUNT_STATE, Portable, is_cut

PAGE_ROWS = 1024
LONGEST_ROWS = 8192
"""A chunk ends here even if no key said so."""
SMALL_MESSAGES = 512
"""An account up to this size is one object."""
STATE_CHARACTERS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Rows that follow each other."""

    rows: int
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """An account, with the rows in `data` by which a change is seen."""

    id: int
    address: str
    messages: int
    data: bytes

    @property
    def state(self) -> str:
        """Stays the same as long as nothing of the account changes."""
        return hashlib.sha256(self.data).hexdigest()[:STATE_CHARACTERS]


def chunks(
    storage: StorageBackend, tx: Connection, one: Portable, values: Sequence[Any] = ()
) -> Iterator[Chunk]:
    """All rows of a table, or those of the account in `values`."""
    if one.large:
        for rows in storage.pages(tx, one.select, values, 1):
            yield Chunk(rows=1, data=one.section(rows))
        return
    for rows in _cut(storage.pages(tx, one.select, values, PAGE_ROWS), one.position_of_cut):
        yield Chunk(rows=len(rows), data=one.section(rows))


def _cut(pages: Iterator[list[tuple[Any, ...]]], column: int) -> Iterator[list[tuple[Any, ...]]]:
    held: list[tuple[Any, ...]] = []
    for page in pages:
        start = 0
        for at, row in enumerate(page, 1):
            if is_cut(row[column]) or len(held) + at - start >= LONGEST_ROWS:
                yield held + page[start:at]
                held, start = [], at
        held += page[start:]
    if held:
        yield held


def heads(storage: StorageBackend, tx: Connection) -> Iterator[Head]:
    """Every account that is not being purged, in the order of its id."""
    accounts, *others = ACCOUNT_STATE
    following = [_Following(storage, tx, one) for one in others]
    names = accounts.columns
    id_, address, messages = (names.index(name) for name in ("id", "address", "messages"))
    for page in storage.pages(tx, accounts.select, (), PAGE_ROWS):
        for row in page:
            sections = [accounts.section([row]), *(one.section(row[id_]) for one in following)]
            yield Head(id=row[id_], address=row[address], messages=row[messages], data=b"".join(sections))


class _Following:
    """A table in the order of its accounts, read beside them."""

    def __init__(self, storage: StorageBackend, tx: Connection, one: Portable) -> None:
        self._portable = one
        self._account = one.columns.index("account_id")
        self._rows = (row for page in storage.pages(tx, one.select, (), PAGE_ROWS) for row in page)
        self._next = next(self._rows, None)

    def section(self, account_id: int) -> bytes:
        """The rows of the next account; nothing when it has none."""
        found = []
        while self._next is not None and self._next[self._account] <= account_id:
            if self._next[self._account] == account_id:
                found.append(self._next)
            self._next = next(self._rows, None)
        return self._portable.section(found) if found else b""


def account_objects(
    storage: StorageBackend, tx: Connection, head: Head, note_contents: Callable[[list[bytes]], None]
) -> Iterator[bytes]:
    """The objects of one account: a single one when it is small. Tells the SHA-256 of all its mail."""
    held = [head.data]
    small = head.messages <= SMALL_MESSAGES
    for one in ACCOUNT:
        sha256 = one.columns.index("sha256") if one is ACCOUNT[0] else None
        for rows in _cut(storage.pages(tx, one.select, (head.id,), PAGE_ROWS), one.position_of_cut):
            if sha256 is not None:
                note_contents([bytes(row[sha256]) for row in rows])
            if not small:
                yield b"".join(held)
                held = []
            held.append(one.section(rows))
    yield b"".join(held)
