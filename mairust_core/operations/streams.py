"""Bodies and answers that travel in pieces: raw bytes, and items that have some each (`items` says how)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Generic, Self, TypeVar, get_args, get_origin

T = TypeVar("T")

CHUNK_BYTES = 1 << 18


@dataclass(frozen=True, slots=True, kw_only=True)
class BytesIn:
    """A body of raw bytes that travels in chunks; `size_bytes` None when it is not known yet."""

    chunks: Iterable[bytes]
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BytesOut:
    """Raw bytes in chunks with their length and SHA-256, by which a reader knows it has them all."""

    chunks: Iterator[bytes]
    size_bytes: int
    sha256: bytes
    filename: str
    content_type: str = "message/rfc822"

    @classmethod
    def of(cls, data: bytes, filename: str, content_type: str) -> Self:
        """What is held in memory."""
        pieces = (data[start : start + CHUNK_BYTES] for start in range(0, len(data), CHUNK_BYTES))
        return cls(
            chunks=pieces, size_bytes=len(data), sha256=sha256(data).digest(),
            filename=filename, content_type=content_type,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Item(Generic[T]):
    """One item of a stream: what is said of it, and its bytes, read before the next item is asked for."""

    value: T
    content: BytesIn = BytesIn(chunks=(), size_bytes=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemsIn(Generic[T]):
    """Items on their way in; the size of each is known (`items` says how they travel)."""

    items: Iterable[Item[T]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemsOut(Generic[T]):
    """Items on their way out, made while they are read; an end without trailer is `IncompleteStream`."""

    items: Iterator[Item[T]]


def items_of(kind: Any) -> Any:
    """The type of the items in `ItemsIn[…]` or `ItemsOut[…]`; None when `kind` is something else."""
    return get_args(kind)[0] if get_origin(kind) in (ItemsIn, ItemsOut) else None
