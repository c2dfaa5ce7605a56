"""The index in the site's own database: segments of postings, alike on SQLite and PostgreSQL.

A segment holds up to some thousand messages of one account in the order of their keys, and is never changed,
only made anew. A search goes through an account's segments from the newest on, asks each for the rows of the
terms it needs, a few segments at a time, and stops when it has enough.
"""

from __future__ import annotations

import heapq
import sys
from array import array
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from zstandard import ZstdError

from mairust_core.errors import Damaged
from mairust_core.search.documents import Document, Extent, Key
from mairust_core.search.engine import Asked, Step
from mairust_core.search.postings import MAX_DOCUMENTS, MOST_BUCKET_BITS, build, hashes, place, positions
from mairust_core.search.query import All, Node, Some, Text
from mairust_core.search.terms import document_terms, query_terms
from mairust_core.store import StorageBackend, indexing, searching
from mairust_core.store.indexing import Segment
from mairust_core.store.searching import Part

if TYPE_CHECKING:
    from sqlalchemy import Connection

MAX_TEXT_BYTES = 12 << 20
"""Of the texts of one segment, unless it is of a single message: bounds what building it takes of memory."""
STEP_ROWS = 2048
"""Documents and as many buckets written in one transaction (rule D2)."""
FIRST_DOCUMENTS, GROWTH, MOST_PARTS = 4096, 8, 256
"""How many documents the first look covers, how many times more each later one at least, in what segments."""
MOST_KEYS = 64
"""Of one segment, read together."""

Having = Callable[[str], set[int]]


class DatabaseEngine:
    """The engine `database`."""

    name = "database"

    def __init__(self, storage: StorageBackend) -> None:
        self._storage = storage

    def narrows(self, query: Node) -> bool:
        return superset(query, lambda _: set()) is not None

    def prepare(self, tenant_id: int, account_id: int, documents: Iterable[Document]) -> Sequence[_Written]:
        return [_Written(_segment(tenant_id, account_id, group)) for group in _groups(documents)]

    def steps(self, prepared: Sequence[_Written]) -> Iterator[Step]:
        for one in prepared:
            if one.rows > STEP_ROWS:
                for start in range(0, one.rows, STEP_ROWS):
                    yield partial(self._write_some, one, start)

    def write(self, tx: Connection, prepared: Sequence[_Written]) -> None:
        for one in prepared:
            if not one.id:
                self._write_some(one, 0, tx)
            indexing.show_segment(tx, one.id, one.made)

    def _write_some(self, one: _Written, start: int, tx: Connection) -> None:
        if not start:
            one.id = indexing.begin_segment(tx, one.made)
        indexing.write_rows(self._storage, tx, one.id, one.made, start, STEP_ROWS)

    def candidates(self, tx: Connection, asked: Asked) -> Iterator[Key]:
        return _Walk(self._storage, tx, asked).keys()


@dataclass(slots=True)
class _Written:
    """A segment and, once it is begun, its id."""

    made: Segment
    id: int = 0

    @property
    def rows(self) -> int:
        """Of documents or of buckets, whichever are more."""
        return max(len(self.made.documents), len(self.made.buckets))


@dataclass(slots=True)
class _Group:
    """Documents of one segment to be, in the order of their keys; of their texts only what is kept."""

    keys: list[Key] = field(default_factory=list)
    hashed: list[array[int]] = field(default_factory=list)
    partial: array[int] = field(default_factory=lambda: array("H"))
    text_bytes: int = 0

    def has_room(self, text_bytes: int) -> bool:
        return not self.keys or (
            len(self.keys) < MAX_DOCUMENTS and self.text_bytes + text_bytes <= MAX_TEXT_BYTES
        )

    def add(self, one: Document, text_bytes: int) -> None:
        if one.extent is not Extent.WHOLE:
            self.partial.append(len(self.keys))
        self.keys.append(one.key)
        self.hashed.append(hashes(document_terms(one.text)))
        self.text_bytes += text_bytes


def _groups(documents: Iterable[Document]) -> Iterator[_Group]:
    group = _Group()
    for one in documents:
        text_bytes = len(one.text.encode())
        if not group.has_room(text_bytes):
            yield group
            group = _Group()
        group.add(one, text_bytes)
    if group.keys:
        yield group


def _segment(tenant_id: int, account_id: int, group: _Group) -> Segment:
    made = build(group.hashed)
    return Segment(
        tenant_id=tenant_id,
        account_id=account_id,
        documents=group.keys,
        bucket_bits=made.bucket_bits,
        buckets=made.buckets,
        text_bytes=group.text_bytes,
        partial=_little(group.partial).tobytes(),
    )


def _little(values: array[int]) -> array[int]:
    if sys.byteorder == "big":
        values.byteswap()
    return values


def superset(node: Node, having: Having) -> set[int] | None:
    """Positions that contain all that match; None when the terms rule nothing out."""
    if isinstance(node, Text):
        terms = query_terms(node)
        return _common(having(term) for term in terms) if terms else None
    if isinstance(node, All):
        return _common(superset(part, having) for part in node.parts)
    if isinstance(node, Some):
        found: set[int] = set()
        for part in node.parts:
            positions_ = superset(part, having)
            if positions_ is None:
                return None
            found |= positions_
        return found
    return None


def _common(sets: Iterator[set[int] | None] | Iterator[set[int]]) -> set[int] | None:
    """What is in all sets, None standing for everything; looks no further once nothing is left."""
    found: set[int] | None = None
    for one in sets:
        if one is not None:
            found = one if found is None else found & one
        if found is not None and not found:
            break
    return found


def terms_of(node: Node) -> Iterator[str]:
    """Every term that `superset` may ask for."""
    if isinstance(node, Text):
        yield from query_terms(node)
    elif isinstance(node, All | Some):
        for part in node.parts:
            yield from terms_of(part)


class _Walk:
    """One search through an account's segments."""

    def __init__(self, storage: StorageBackend, tx: Connection, asked: Asked) -> None:
        self._storage = storage
        self._tx = tx
        self._asked = asked
        self._terms = list(dict.fromkeys(terms_of(asked.query)))
        self._looked = self._found = 0
        """At how many documents, and how many of them are candidates."""
        self._closed: list[Part] = []
        """Segments with candidates of which no key is read yet, newest first."""
        self._unread: dict[int, list[int]] = {}
        """By segment: positions whose keys are not read yet, ascending."""
        self._heap: list[tuple[int, int, int]] = []
        """Keys that are read, negated, with their segment."""
        self._read: defaultdict[int, int] = defaultdict(int)
        """By segment: how many of its keys are in the heap."""

    def keys(self) -> Iterator[Key]:
        """The keys of all candidates, newest first; raises `Damaged` before one that might be left out."""
        asked = self._asked
        if searching.is_short(self._storage, self._tx, asked.account_id):
            raise Damaged("index_short", account=asked.account_id)
        parts = searching.parts(self._storage, self._tx, asked.account_id, asked.since_ms, asked.before)
        while True:
            if parts and self._found < asked.wanted:
                parts = self._open(parts)
            elif self._closed and not self._is_next_after(self._closed[0]):
                self._load(self._some_closed())
            elif parts and not self._is_next_after(parts[0]):
                parts = self._open(parts)
            elif self._heap:
                yield self._pop()
            else:
                return

    def _is_next_after(self, part: Part) -> bool:
        """Whether the next key is known and newer than all of a segment."""
        return bool(self._heap) and (-self._heap[0][0], -self._heap[0][1]) > part.newest

    def _pop(self) -> Key:
        at_ms, id_, segment_id = heapq.heappop(self._heap)
        self._read[segment_id] -= 1
        if self._unread[segment_id] and not self._read[segment_id]:
            self._load([segment_id])
        return -at_ms, -id_

    def _open(self, parts: list[Part]) -> list[Part]:
        """Look into the next segments, as many as are likely to hold enough; those that are left."""
        grown = self._looked * max(GROWTH, self._asked.wanted // max(self._found, 1))
        documents = max(FIRST_DOCUMENTS, grown)
        count = 0
        while count < min(len(parts), MOST_PARTS) and documents > 0:
            documents -= parts[count].documents
            count += 1
        opened = parts[:count]
        found = self._superset_of(opened)
        hit = [part for part in opened if found[part.id]]
        cut = [part.id for part in hit if part.newest >= self._asked.before]
        counts = searching.counts_before(self._tx, cut, self._asked.before) if cut else {}
        for part in hit:
            at = sorted(found[part.id])
            self._unread[part.id] = at[: bisect_left(at, counts.get(part.id, 0))] if part.id in cut else at
            self._found += len(self._unread[part.id])
        self._looked += sum(part.documents for part in opened)
        self._closed += hit
        return parts[count:]

    def _some_closed(self) -> Sequence[int]:
        """The next segments to read from: together they have a page, if as many are left."""
        some = count = 0
        while some < len(self._closed) and count < self._asked.wanted:
            count += min(len(self._unread[self._closed[some].id]), MOST_KEYS)
            some += 1
        taken = [part.id for part in self._closed[:some]]
        del self._closed[:some]
        return taken

    def _superset_of(self, parts: Sequence[Part]) -> dict[int, set[int]]:
        _require_shapes(parts)
        shapes = {part.bucket_bits for part in parts}
        by_shape = {bits: {term: place(term, bits) for term in self._terms} for bits in shapes}
        places = {part.id: by_shape[part.bucket_bits] for part in parts}
        wanted = [(id_, bucket) for id_, terms in places.items() for bucket, _ in terms.values()]
        rows = searching.buckets(self._storage, self._tx, wanted)
        return {part.id: self._superset_in(part, places[part.id], rows) for part in parts}

    def _superset_in(
        self, part: Part, places: dict[str, tuple[int, int]], rows: dict[tuple[int, int], bytes]
    ) -> set[int]:
        try:
            narrowed = superset(self._asked.query, _having(part.id, places, rows))
            not_whole = set(_little(array("H", part.partial)))
        except (ValueError, LookupError, ZstdError) as error:
            raise Damaged("index_part", id=part.id, why=f"{type(error).__name__}: {error}") from error
        known = set(range(part.documents)) if narrowed is None else narrowed
        return known | not_whole

    def _load(self, segment_ids: Sequence[int]) -> None:
        """Read the next newest keys of segments, in one statement."""
        places = []
        for segment_id in segment_ids:
            unread = self._unread[segment_id]
            taken = unread[-MOST_KEYS:]
            del unread[-MOST_KEYS:]
            places += [(segment_id, at) for at in taken]
        found = searching.keys_at(self._storage, self._tx, places)
        if lost := set(places) - found.keys():
            raise Damaged("index_part", id=min(lost)[0], why="some of its messages are missing")
        for (segment_id, _), key in found.items():
            heapq.heappush(self._heap, (-key[0], -key[1], segment_id))
            self._read[segment_id] += 1


def _require_shapes(parts: Sequence[Part]) -> None:
    for part in parts:
        if not 0 <= part.bucket_bits <= MOST_BUCKET_BITS:
            raise Damaged("index_part", id=part.id, why=f"{part.bucket_bits} bits")


def _having(
    segment_id: int, places: dict[str, tuple[int, int]], rows: dict[tuple[int, int], bytes]
) -> Having:
    def having(term: str) -> set[int]:
        bucket, rest = places[term]
        return set(positions(rows[segment_id, bucket], rest))

    return having
