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
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from mairust_core.search.documents import Document, Extent, Key
from mairust_core.search.engine import Asked
from mairust_core.search.postings import MAX_DOCUMENTS, build, place, positions
from mairust_core.search.query import All, Node, Some, Text
from mairust_core.search.terms import document_terms, query_terms
from mairust_core.store import StorageBackend, indexing, searching
from mairust_core.store.indexing import Segment
from mairust_core.store.searching import Part

if TYPE_CHECKING:
    from sqlalchemy import Connection

MAX_TEXT_BYTES = 4 << 20
"""Of the texts of one segment, unless it is of a single message: bounds what building it takes of memory."""
FIRST_DOCUMENTS, GROWTH, MOST_PARTS = 4096, 8, 256
"""How many documents the first look covers, how many times more each later one, in how many segments."""
FEW = 256
"""So many candidates in several segments are read together."""
MANY = 64
"""Candidates of one segment read together."""

Having = Callable[[str], set[int]]


class DatabaseEngine:
    """The engine `database`."""

    name = "database"

    def __init__(self, storage: StorageBackend) -> None:
        self._storage = storage

    def narrows(self, query: Node) -> bool:
        return superset(query, lambda _: set()) is not None

    def prepare(self, tenant_id: int, account_id: int, documents: Sequence[Document]) -> Sequence[Segment]:
        ordered = sorted(documents, key=lambda one: one.key)
        return [_segment(tenant_id, account_id, group) for group in _groups(ordered)]

    def write(self, tx: Connection, prepared: Sequence[Segment]) -> None:
        for segment in prepared:
            indexing.write_segment(self._storage, tx, segment)

    def candidates(self, tx: Connection, asked: Asked) -> Iterator[Key]:
        return _Walk(self._storage, tx, asked).keys()


def _groups(documents: Sequence[Document]) -> Iterator[Sequence[Document]]:
    start, size = 0, 0
    for at, one in enumerate(documents):
        grown = size + len(one.text)
        if at > start and (at - start == MAX_DOCUMENTS or grown > MAX_TEXT_BYTES):
            yield documents[start:at]
            start, grown = at, len(one.text)
        size = grown
    if documents:
        yield documents[start:]


def _segment(tenant_id: int, account_id: int, documents: Sequence[Document]) -> Segment:
    made = build(document_terms(one.text) for one in documents)
    partial = array("H", [at for at, one in enumerate(documents) if one.extent is not Extent.WHOLE])
    return Segment(
        tenant_id=tenant_id,
        account_id=account_id,
        documents=[one.key for one in documents],
        bucket_bits=made.bucket_bits,
        buckets=made.buckets,
        text_bytes=sum(len(one.text.encode()) for one in documents),
        partial=_little(partial).tobytes(),
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
        self._unread: dict[int, list[int]] = {}
        """By segment: positions whose keys are not read yet, ascending."""
        self._heap: list[tuple[int, int, int, bool]] = []
        """Keys, negated, with their segment: of a document, or above all of a segment not read yet."""
        self._read: defaultdict[int, int] = defaultdict(int)
        """By segment: how many of its documents are in the heap."""

    def keys(self) -> Iterator[Key]:
        """The keys of all candidates, newest first."""
        parts = searching.parts(self._tx, self._asked.account_id, self._asked.since_ms, self._asked.before)
        documents = FIRST_DOCUMENTS
        while True:
            while parts and not (self._heap and self._newest() > parts[0].newest):
                parts = self._open(parts, documents)
                documents *= GROWTH
            if not self._heap:
                return
            at_ms, id_, segment_id, is_document = heapq.heappop(self._heap)
            if is_document:
                self._read[segment_id] -= 1
                yield -at_ms, -id_
            if self._unread[segment_id] and not self._read[segment_id]:
                self._load([segment_id])

    def _newest(self) -> Key:
        return -self._heap[0][0], -self._heap[0][1]

    def _open(self, parts: list[Part], documents: int) -> list[Part]:
        """Look into the next segments, of about so many documents; those that are left."""
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
        if sum(len(self._unread[part.id]) for part in hit) <= FEW:
            self._load([part.id for part in hit])
        else:
            for part in hit:  # read when it is its turn
                self._push(part.newest, part.id, is_document=False)
        return parts[count:]

    def _superset_of(self, parts: Sequence[Part]) -> dict[int, set[int]]:
        shapes = {part.bucket_bits for part in parts}
        by_shape = {bits: {term: place(term, bits) for term in self._terms} for bits in shapes}
        places = {part.id: by_shape[part.bucket_bits] for part in parts}
        wanted = [(id_, bucket) for id_, terms in places.items() for bucket, _ in terms.values()]
        rows = searching.buckets(self._storage, self._tx, wanted)
        found = {}
        for part in parts:
            having = _having(part.id, places[part.id], rows)
            narrowed = superset(self._asked.query, having)
            known = set(range(part.documents)) if narrowed is None else narrowed
            found[part.id] = known | set(_little(array("H", part.partial)))
        return found

    def _load(self, segment_ids: Sequence[int]) -> None:
        """Read the next newest keys of segments, in one statement."""
        places = []
        for segment_id in segment_ids:
            unread = self._unread[segment_id]
            taken = unread[-MANY:]
            del unread[-MANY:]
            places += [(segment_id, at) for at in taken]
        if places:
            for (segment_id, _), key in searching.keys_at(self._storage, self._tx, places).items():
                self._push(key, segment_id, is_document=True)

    def _push(self, key: Key, segment_id: int, *, is_document: bool) -> None:
        heapq.heappush(self._heap, (-key[0], -key[1], segment_id, is_document))
        self._read[segment_id] += is_document


def _having(
    segment_id: int, places: dict[str, tuple[int, int]], rows: dict[tuple[int, int], bytes]
) -> Having:
    def having(term: str) -> set[int]:
        bucket, rest = places[term]
        return set(positions(rows[segment_id, bucket], rest))

    return having
