"""A mail while it arrives: in memory up to 1 MiB, on disk beyond (rule B4, trap S11).

On disk it lies twice until it is closed: compressed, as the own file that `put_many` only has to publish,
and plain, in an unnamed file that can be mapped and scanned without being read into memory.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from hashlib import sha256 as hash_of
from mmap import ACCESS_READ, mmap
from typing import Protocol

from mairust_core.blobs.fileops import FileOps, failure
from mairust_core.blobs.files import OwnFiles, Part
from mairust_core.errors import TooMany
from mairust_core.model.blob import MEMORY_LIMIT_BYTES, Buffer, Content

BUDGET_BYTES = 128 << 20


_HASH_PIECE_BYTES = 2047
_HASH_LOCKED_BYTES = 64 << 10
"""Larger contents take long enough for another thread to be let in."""


class Budget:
    """How many bytes of mail may be in memory at once, in one process; thread-safe."""

    def __init__(self, limit_bytes: int = BUDGET_BYTES) -> None:
        self.limit_bytes = limit_bytes
        self._taken = 0
        self._lock = threading.Lock()

    @property
    def in_flight_bytes(self) -> int:
        """What is taken now."""
        return self._taken

    def check(self) -> None:
        """Raise `TooMany` when nothing more may begin."""
        if self._taken >= self.limit_bytes:
            raise self._too_many()

    def take(self, size_bytes: int) -> None:
        """Count bytes in; raises `TooMany` and counts none when they are too many."""
        with self._lock:
            if self._taken + size_bytes > self.limit_bytes:
                raise self._too_many()
            self._taken += size_bytes

    def give(self, size_bytes: int) -> None:
        """Count bytes out."""
        with self._lock:
            self._taken -= size_bytes

    def _too_many(self) -> TooMany:
        return TooMany("bytes_in_flight", limit_bytes=self.limit_bytes)


class Held:
    """A content in memory that counts against a budget until it is closed."""

    __slots__ = ("_budget", "data", "sha256", "size_bytes")

    def __init__(self, data: bytes, budget: Budget) -> None:
        self.data = data
        self.sha256 = _hash_held(data)
        self.size_bytes = len(data)
        self._budget: Budget | None = budget

    def view(self) -> bytes:
        """The bytes themselves."""
        return self.data

    def close(self) -> None:
        """Give the bytes back to the budget; they stay readable for who still has the handle."""
        budget, self._budget = self._budget, None
        if budget is not None:
            budget.give(self.size_bytes)


def _hash_held(data: bytes) -> bytes:
    """SHA-256 without letting go of the interpreter lock.

    For pieces of 2 KiB and more `hashlib` releases the lock, and a busy loop then waits milliseconds to get
    it back from the committer; the hash itself takes microseconds.
    """
    if len(data) > _HASH_LOCKED_BYTES:
        return hash_of(data).digest()
    digest, view = hash_of(), memoryview(data)
    for start in range(0, len(data), _HASH_PIECE_BYTES):
        digest.update(view[start : start + _HASH_PIECE_BYTES])
    return digest.digest()


class Spooled:
    """A content on disk; `part` is its own file, ready to be published by the store that made it."""

    __slots__ = ("_plain_fd", "part", "sha256", "size_bytes")

    def __init__(self, part: Part, plain_fd: int, sha256: bytes, size_bytes: int) -> None:
        self.part = part
        self.sha256 = sha256
        self.size_bytes = size_bytes
        self._plain_fd: int | None = plain_fd

    def view(self) -> Buffer:
        """A map of the bytes, a new one per call: whoever drops it frees the memory it pulled in."""
        if self._plain_fd is None:
            raise ValueError("the content is closed")
        return mmap(self._plain_fd, self.size_bytes, access=ACCESS_READ)

    def close(self) -> None:
        """Delete what was not published."""
        fd, self._plain_fd = self._plain_fd, None
        if fd is not None:
            os.close(fd)
            self.part.discard()


class _Spool(Protocol):
    """Where a collector goes on when memory is used up."""

    def write(self, chunk: bytes) -> None: ...
    def finish(self) -> Content: ...
    def discard(self) -> None: ...


class DiskSpool:
    """The two files of a large mail while it arrives; a failed write raises `DiskFull` or `StorageDown`."""

    def __init__(self, files: OwnFiles, ops: FileOps) -> None:
        self._ops = ops
        self._tmp = files.tmp
        self._digest = hash_of()
        self._size = 0
        self._open = True
        try:
            self._plain_fd = ops.open_unnamed(files.tmp)
            try:
                self._part = files.part()
            except BaseException:
                os.close(self._plain_fd)
                raise
        except OSError as error:
            raise failure(error, files.tmp) from error

    def write(self, chunk: bytes) -> None:
        """Hash, compress and keep."""
        self._digest.update(chunk)
        try:
            self._ops.write(self._plain_fd, chunk, self._size)
            self._part.write(chunk)
        except OSError as error:
            raise failure(error, self._tmp) from error
        self._size += len(chunk)

    def finish(self) -> Spooled:
        """The content; its fsync waits for `put_many`."""
        sha256 = self._digest.digest()
        try:
            self._part.finish(sha256, self._size)
        except OSError as error:
            raise failure(error, self._tmp) from error
        self._open = False
        return Spooled(self._part, self._plain_fd, sha256, self._size)

    def discard(self) -> None:
        """Delete both."""
        if self._open:
            self._open = False
            os.close(self._plain_fd)
            self._part.discard()


class BudgetedCollector:
    """Collects within a budget; beyond `MEMORY_LIMIT_BYTES` in the spool `spill` makes, if there is one."""

    def __init__(self, budget: Budget, spill: Callable[[], _Spool] | None) -> None:
        budget.check()
        self._budget = budget
        self._spill = spill
        self._spool: _Spool | None = None
        self._chunks: list[bytes] = []
        self._size = 0

    def write(self, chunk: bytes) -> None:
        """Add bytes."""
        if self._spool is not None:
            self._spool.write(chunk)
        elif self._spill is not None and self._size + len(chunk) > MEMORY_LIMIT_BYTES:
            self._spool = self._spill()
            for earlier in self._chunks:
                self._spool.write(earlier)
            self._release()
            self._spool.write(chunk)
        else:
            self._budget.take(len(chunk))
            self._chunks.append(chunk)
            self._size += len(chunk)

    def finish(self) -> Content:
        """The handle of everything written."""
        if self._spool is not None:
            content, self._spool = self._spool.finish(), None
            return content
        held = Held(b"".join(self._chunks), self._budget)
        self._chunks, self._size = [], 0  # what they took belongs to the handle now
        return held

    def discard(self) -> None:
        """Forget everything."""
        self._release()
        if self._spool is not None:
            self._spool.discard()
            self._spool = None

    def _release(self) -> None:
        self._budget.give(self._size)
        self._chunks, self._size = [], 0
