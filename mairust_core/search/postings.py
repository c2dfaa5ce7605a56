"""The bytes of an index segment: which of its documents have which term, in buckets by the term's hash.

A segment is made once from its documents and never changed. A term is known by some bits of its hash: the
upper ones choose the bucket, a row of the database, the next REST_BITS tell it from others there; a term
that is not there looks like one that is about once in forty (rule J1 allows it). A bucket holds a pair of
remainder and position for each document that has a term, ascending. Positions and the steps from one
remainder to the next are 16 bits each, their low and high octets columns of their own, compressed by zstd:

    low octets of positions · their high octets · low octets of steps · their high octets
"""

from __future__ import annotations

import sys
import threading
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import sub
from zlib import crc32

import zstandard

MAX_DOCUMENTS = 8192
"""Of one segment."""
POSTINGS = 512
"""That a bucket holds at most, on average: less than a kilobyte, of which several fill a page of SQLite."""
MOST_BUCKET_BITS = 16

REST_BITS = 12
_HASH_BITS = 32
_POSITION_BITS = 16
_LEVEL = 1
_NONE = array("I")
_MOST_BYTES = 256 << 20

_encode = str.encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Postings:
    """All buckets of a segment, in order: two to the power of `bucket_bits`."""

    bucket_bits: int
    buckets: tuple[bytes, ...]


def hashes(terms: set[str]) -> array[int]:
    """What is kept of the terms of a document."""
    return array("I", map(crc32, map(_encode, terms)))


def build(hashed: list[array[int]]) -> Postings:
    """The postings of documents by their hashes, known by their place in the list, which is emptied."""
    total = sum(map(len, hashed))
    bucket_bits = min((total // POSTINGS).bit_length(), MOST_BUCKET_BITS)
    found = [array("I") for _ in range(1 << bucket_bits)]
    add = [bucket.append for bucket in found]
    bucket_shift = _HASH_BITS - bucket_bits
    rest_shift, mask = bucket_shift - REST_BITS, (1 << REST_BITS) - 1
    for position in range(len(hashed)):
        for one in hashed[position]:
            add[one >> bucket_shift]((one >> rest_shift & mask) << _POSITION_BITS | position)
        hashed[position] = _NONE  # it is not needed twice
    hashed.clear()
    del add
    return Postings(bucket_bits=bucket_bits, buckets=tuple(map(_packed, found)))


def _packed(bucket: array[int]) -> bytes:
    pairs = sorted(bucket)
    data = _little(array("I", pairs)).tobytes()
    rests = [pair >> _POSITION_BITS for pair in pairs]
    steps = _little(array("H", map(sub, rests, [0, *rests]))).tobytes()
    return _zstd.packer.compress(data[::4] + data[1::4] + steps[::2] + steps[1::2])


def place(term: str, bucket_bits: int) -> tuple[int, int]:
    """The bucket of a term in a segment of that shape, and its remainder there."""
    kept = crc32(term.encode()) >> (_HASH_BITS - bucket_bits - REST_BITS)
    return kept >> REST_BITS, kept & ((1 << REST_BITS) - 1)


def positions(bucket: bytes, rest: int) -> Sequence[int]:
    """The positions of the documents that have a term, ascending, by its remainder in its bucket."""
    data = _zstd.unpacker.decompress(bucket, max_output_size=_MOST_BYTES)
    count = len(data) // 4
    rests = list(accumulate(_values(data[2 * count : 3 * count], data[3 * count :])))
    first = bisect_left(rests, rest)
    last = bisect_right(rests, rest, first)
    return _values(data[first:last], data[count + first : count + last])


def _values(low: bytes, high: bytes) -> array[int]:
    data = bytearray(2 * len(low))
    data[::2], data[1::2] = low, high
    return _little(array("H", bytes(data)))


def _little(values: array[int]) -> array[int]:
    """The same numbers between the order of octets that is stored and the machine's own."""
    if sys.byteorder == "big":
        values.byteswap()
    return values


class _Zstd(threading.local):
    """zstd contexts may not be shared by threads and cost too much to make per bucket."""

    def __init__(self) -> None:
        self.packer = zstandard.ZstdCompressor(level=_LEVEL)
        self.unpacker = zstandard.ZstdDecompressor()


_zstd = _Zstd()
