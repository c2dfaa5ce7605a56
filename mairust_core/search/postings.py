"""The bytes of an index segment: which of its documents have which term, in buckets by the term's hash.

A segment is made once from its documents and never changed. Terms are known by some bits of their hash: as
many as make a term that is not there look like one that is about once in thirty (rule J1 allows it). The
upper bits choose the bucket, a row of the database; a bucket holds

    entries 2 · remainders · counts · positions        16 bits little-endian each, columns compressed by zstd

with remainders ascending, and for each entry as many positions, ascending too. Low and high octets lie
apart, which compresses better.
"""

from __future__ import annotations

import math
import sys
import threading
from array import array
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain
from zlib import crc32

import zstandard

MAX_DOCUMENTS = 4096
"""Of one segment."""
ENTRIES = 256
"""That a bucket is meant to hold: about a kilobyte when compressed, a few microseconds to search."""

_SPARE_BITS = 5
_LEAST_BITS = 16
_HASH_BITS = 32
_MOST_BUCKET_BITS = 16
_LEVEL = 1
_OUTPUT_LIMIT_BYTES = 64 << 20
_INDEX_BITS = 24

Positions = Sequence[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How a segment divides hashes: `hash_bits` of them are kept, the upper `bucket_bits` name the bucket."""

    hash_bits: int
    bucket_bits: int

    @classmethod
    def of(cls, terms: int) -> Shape:
        """The shape for so many different terms; what is left for a remainder fits 16 bits."""
        bits = max(terms - 1, 1).bit_length()
        buckets = min(max(math.ceil(math.log2(max(terms, 1) / ENTRIES)), 0), _MOST_BUCKET_BITS)
        return cls(hash_bits=min(max(bits + _SPARE_BITS, _LEAST_BITS), 16 + buckets), bucket_bits=buckets)

    def place(self, term: str) -> tuple[int, int]:
        """The bucket of a term, and its remainder there."""
        kept = _hash(term) >> (_HASH_BITS - self.hash_bits)
        rest_bits = self.hash_bits - self.bucket_bits
        return kept >> rest_bits, kept & ((1 << rest_bits) - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Postings:
    """All buckets of a segment, in order."""

    shape: Shape
    buckets: tuple[bytes, ...]


def build(documents: Iterable[set[str]]) -> Postings:
    """The postings of documents, known by their positions in the order given; at most MAX_DOCUMENTS."""
    found: defaultdict[str, list[int]] = defaultdict(list)
    for position, terms in enumerate(documents):
        for positions in map(found.__getitem__, terms):
            positions.append(position)
    shape = Shape.of(len(found))
    hashes, lists = _by_hash(found, _HASH_BITS - shape.hash_bits)
    ends = list(accumulate(map(len, lists), initial=0))
    low_positions, high_positions = _columns(chain.from_iterable(lists))
    low_counts, high_counts = _columns(map(len, lists))
    rest_bits = shape.hash_bits - shape.bucket_bits
    mask = (1 << rest_bits) - 1
    low_rests, high_rests = _columns([one & mask for one in hashes])
    buckets = []
    start = 0
    for bucket in range(1 << shape.bucket_bits):
        stop = bisect_left(hashes, (bucket + 1) << rest_bits, start)
        entries, postings = slice(start, stop), slice(ends[start], ends[stop])
        columns = (
            (stop - start).to_bytes(2, "little"),
            low_rests[entries], high_rests[entries], low_counts[entries], high_counts[entries],
            low_positions[postings], high_positions[postings],
        )  # fmt: skip
        buckets.append(_zstd.packer.compress(b"".join(columns)))
        start = stop
    return Postings(shape=shape, buckets=tuple(buckets))


def _by_hash(found: dict[str, list[int]], cut: int) -> tuple[list[int], list[list[int]]]:
    """The kept hashes in order, and the positions of each; two terms of one hash are two entries."""
    order = sorted([(_hash(term) >> cut) << _INDEX_BITS | index for index, term in enumerate(found)])
    lists = list(found.values())
    mask = (1 << _INDEX_BITS) - 1
    return [one >> _INDEX_BITS for one in order], [lists[one & mask] for one in order]


def _columns(values: Iterable[int]) -> tuple[bytes, bytes]:
    """Low and high octets of 16-bit values."""
    made = array("H", values)
    if sys.byteorder == "big":
        made.byteswap()
    data = made.tobytes()
    return data[::2], data[1::2]


def positions(bucket: bytes, rest: int) -> set[int]:
    """The positions of the documents that have a term, by its remainder in its bucket."""
    data = memoryview(_zstd.unpacker.decompress(bucket, max_output_size=_OUTPUT_LIMIT_BYTES))
    entries = int.from_bytes(data[:2], "little")
    rests = _values(data[2 : 2 + 2 * entries])
    first = last = bisect_left(rests, rest)
    while last < entries and rests[last] == rest:
        last += 1
    if first == last:
        return set()
    counts = _values(data[2 + 2 * entries : 2 + 4 * entries])
    start = sum(counts[:first])
    stop = start + sum(counts[first:last])
    columns = data[2 + 4 * entries :]
    half = len(columns) // 2
    return set(_values(b"".join((columns[start:stop], columns[half + start : half + stop]))))


def _values(columns: bytes | memoryview) -> array[int]:
    half = len(columns) // 2
    data = bytearray(len(columns))
    data[::2] = columns[:half]
    data[1::2] = columns[half:]
    made = array("H", bytes(data))
    if sys.byteorder == "big":
        made.byteswap()
    return made


def _hash(term: str) -> int:
    return crc32(term.encode())


class _Zstd(threading.local):
    """zstd contexts may not be shared by threads and cost too much to make per bucket."""

    def __init__(self) -> None:
        self.packer = zstandard.ZstdCompressor(level=_LEVEL, write_content_size=True)
        self.unpacker = zstandard.ZstdDecompressor()


_zstd = _Zstd()
