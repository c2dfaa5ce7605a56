"""The blob store that forgets: the same contract without a disk, for tests and trials."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from hashlib import sha256 as hash_of

from mairust_core.blobs import locators
from mairust_core.blobs.collect import Budget, BudgetedCollector
from mairust_core.errors import Damaged, DiskFull
from mairust_core.model.blob import Content, Locator

CHUNK_BYTES = 256 << 10
CAPACITY_BYTES = 1 << 30


class MemoryBlobStore:
    """`BlobStore` in a dict, bounded by `capacity_bytes`; durable for as long as it lives."""

    def __init__(self, *, capacity_bytes: int = CAPACITY_BYTES, budget: Budget | None = None) -> None:
        self.blobs: dict[Locator, tuple[bytes, bytes]] = {}
        """Locator → (sha256, bytes)."""
        self._capacity = capacity_bytes
        self._used = 0
        self._budget = budget or Budget()
        self._lock = threading.Lock()

    def put_many(self, contents: Sequence[Content]) -> list[Locator]:
        """Keep copies; `DiskFull` and nothing kept when they exceed the capacity."""
        copies = [(content.sha256, content.view()[:]) for content in contents]
        size = sum(len(data) for _, data in copies)
        with self._lock:
            if self._used + size > self._capacity:
                raise DiskFull("blobs", directory="memory", why="the capacity given is used up")
            self._used += size
            found = [Locator(f"m:{locators.new_name()}") for _ in copies]
            self.blobs.update(zip(found, copies, strict=True))
        return found

    def get(self, locator: Locator, sha256: bytes) -> bytes:
        """The bytes, verified."""
        data = self._find(locator, sha256)[1]
        if hash_of(data).digest() != sha256:
            raise _damaged(locator, sha256)
        return data

    def open_range(self, locator: Locator, start: int, stop: int) -> Iterator[bytes]:
        """Pieces of the bytes; verified when the range reaches the end."""
        sha256, data = self._find(locator, b"")
        return self._pieces(locator, sha256, data, start, stop)

    def _pieces(self, locator: Locator, sha256: bytes, data: bytes, start: int, stop: int) -> Iterator[bytes]:
        for at in range(start, min(stop, len(data)), CHUNK_BYTES):
            yield data[at : min(at + CHUNK_BYTES, stop)]
        if stop >= len(data) and hash_of(data).digest() != sha256:
            raise _damaged(locator, sha256)

    def delete_many(self, locators: Sequence[Locator]) -> None:
        """Forget them."""
        with self._lock:
            for locator in locators:
                self._used -= len(self.blobs.pop(locator, (b"", b""))[1])

    def collector(self) -> BudgetedCollector:
        """Collects in memory whatever the size, within the budget."""
        return BudgetedCollector(self._budget, None)

    def free_bytes(self) -> tuple[int, int]:
        """Of the capacity."""
        return self._capacity - self._used, self._capacity

    def close(self) -> None:
        """Nothing to let go of."""

    def _find(self, locator: Locator, sha256: bytes) -> tuple[bytes, bytes]:
        found = self.blobs.get(locator)
        if found is None:
            raise Damaged("missing", sha256=sha256.hex() or "unknown", locator=locator)
        return found


def _damaged(locator: Locator, sha256: bytes) -> Damaged:
    why = "its data does not have the hash it was stored under"
    return Damaged("blob", sha256=sha256.hex(), locator=locator, why=why)
