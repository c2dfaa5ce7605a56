"""Segments: append-only files of many small blobs, each with one writer at most (rules C2, C3).

    DIR/segments/NAME.seg       unsealed: leased by flock, appended to, or waiting for its next writer
    DIR/segments/NAME.sealed    sealed: never appended to again; its mtime is the moment of sealing

Sealing is a rename, so it needs no room, touches no data and shows in a listing. A new writer leases an
unsealed segment whose records are whole to its very end; one with a torn tail is sealed instead, so that
nothing is ever written over or behind damage. A lock obtained counts only if the path still leads to the
locked file: its writer may have sealed it in between.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from operator import attrgetter
from pathlib import Path

from mairust_core.blobs import Record, SegmentName, locators, records
from mairust_core.blobs.fileops import FileOps, lock
from mairust_core.blobs.locators import InSegment
from mairust_core.blobs.records import HEADER_BYTES, MAGIC, Header, Packed
from mairust_core.errors import NewerSite
from mairust_core.model.blob import MEMORY_LIMIT_BYTES, Locator
from mairust_core.observe.faults import crash_point

ROLL_BYTES = 128 << 20
FLUSH_BYTES = 4 << 20
"""A batch goes to the kernel in pieces of about this size."""
SCAN_BYTES = 1 << 20
LONGEST_BYTES = HEADER_BYTES + MEMORY_LIMIT_BYTES

_UNSEALED, _SEALED = ".seg", ".sealed"


class Writer:
    """The one writer of one segment: holds its lease until `release` or `retire`.

    After an exception from `append` what the file holds is unknown: only `retire` is allowed.
    """

    def __init__(self, segments: Segments, name: str, fd: int, end: int) -> None:
        self.name = name
        self.end = end
        self._segments = segments
        self._ops = segments.ops
        self._fd = fd
        self._listed = False
        self._used = end > 0

    def append(self, batch: Iterable[Packed]) -> list[Locator]:
        """Add records and return their locators; durable when it returns."""
        found: list[Locator] = []
        pieces: list[bytes] = []
        start, end = self.end, self.end
        for packed in batch:
            header = records.write_header(packed.header, self.name, end)
            found.append(InSegment(self.name, end, HEADER_BYTES + len(packed.data)).locator)
            pieces += (header, packed.data)
            end += HEADER_BYTES + len(packed.data)
            if end - start >= FLUSH_BYTES:
                self._ops.write(self._fd, b"".join(pieces), start)
                pieces, start = [], end
        if pieces:
            self._ops.write(self._fd, b"".join(pieces), start)
        crash_point("segment.written")
        self._sync()
        crash_point("segment.synced")
        self.end, self._used = end, True
        return found

    def _sync(self) -> None:
        self._ops.fdatasync(self._fd)
        if not self._listed:  # also when leased: its first writer may have died before this
            self._ops.fsync_directory(self._segments.directory)
            self._ops.fsync_directory(self._segments.directory.parent)
            self._listed = True

    def release(self) -> None:
        """Leave the segment to the next writer."""
        os.close(self._fd)

    def retire(self) -> None:
        """Nobody appends or syncs any more: sealed, or deleted when nothing in it ever counted.

        When that fails, `OSError`; the lease is kept, so that no other process appends either.
        """
        if self._used:
            self._segments.seal(self.name, self._fd)
        else:
            self._ops.unlink(self._segments.path(self.name))
        os.close(self._fd)


class Segments:
    """The directory of segments."""

    def __init__(self, directory: Path, ops: FileOps, roll_bytes: int = ROLL_BYTES) -> None:
        self.directory = directory
        self.ops = ops
        self.roll_bytes = roll_bytes

    def path(self, name: str, suffix: str = _UNSEALED) -> Path:
        """Where the segment lies."""
        return self.directory / (name + suffix)

    def lease(self) -> Writer:
        """A writer of a segment that nobody else writes: one left unsealed, or a new one."""
        for name in reversed(self._names(_UNSEALED)):
            if writer := self._take(name):
                return writer
        while True:
            if writer := self._create():
                return writer

    def _create(self) -> Writer | None:
        name = locators.new_name()
        os.close(self.ops.open(self.path(name), os.O_RDWR | os.O_CREAT | os.O_EXCL))
        crash_point("segment.created")
        return self._take(name)  # as any other: somebody else may have leased it first, and let go of it

    def _take(self, name: str) -> Writer | None:
        fd = self._locked(name)
        if fd is None:
            return None
        try:
            end = os.fstat(fd).st_size
            if end < self.roll_bytes and _whole(fd, name, end):
                return Writer(self, name, fd, end)
            self.seal(name, fd)
        except NewerSite:
            pass  # its owner will seal it
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)
        return None

    def _locked(self, name: str) -> int | None:
        """A descriptor of an unsealed segment with its lease, None when it cannot be had."""
        try:
            fd = self.ops.open(self.path(name), os.O_RDWR)
        except (FileNotFoundError, PermissionError):
            return None
        if lock(fd) and self._still_unsealed(name, fd):
            return fd
        os.close(fd)
        return None

    def _still_unsealed(self, name: str, fd: int) -> bool:
        try:
            return os.path.samestat(os.stat(self.path(name)), os.fstat(fd))
        except FileNotFoundError:
            return False

    def seal(self, name: str, fd: int) -> None:
        """Seal a segment whose lease the caller holds by `fd`."""
        os.utime(fd)
        self.ops.rename(self.path(name), self.path(name, _SEALED))

    def seal_abandoned(self) -> list[SegmentName]:
        """Seal every unsealed segment whose lease can be obtained."""
        done = []
        for name in self._names(_UNSEALED):
            fd = self._locked(name)
            if fd is None:
                continue
            try:
                self.seal(name, fd)
            finally:
                os.close(fd)
            done.append(SegmentName(name))
        return done

    def sealed(self, older_than_s: float) -> list[SegmentName]:
        """Segments sealed at least that long ago."""
        before = time.time() - older_than_s
        return [SegmentName(name) for name in self._names(_SEALED) if self._sealed_at(name) <= before]

    def _sealed_at(self, name: str) -> float:
        try:
            return self.path(name, _SEALED).stat().st_mtime
        except FileNotFoundError:
            return float("inf")

    def size_bytes(self, name: str) -> int:
        """How long a segment is, sealed or not."""
        try:
            with self.reading(name) as fd:
                return os.fstat(fd).st_size
        except FileNotFoundError:
            return 0

    def unlink(self, name: str) -> None:
        """Delete a sealed segment."""
        if locators.NAME.fullmatch(name) and self.path(name, _SEALED).exists():
            self.ops.unlink(self.path(name, _SEALED))

    def _names(self, suffix: str) -> list[str]:
        found = (path.name.removesuffix(suffix) for path in self.directory.glob(f"*{suffix}"))
        return sorted(name for name in found if locators.NAME.fullmatch(name))

    @contextmanager
    def reading(self, name: str) -> Iterator[int]:
        """A descriptor of the segment, sealed or not; raises `FileNotFoundError`."""
        try:
            fd = os.open(self.path(name), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:  # sealed, perhaps this very moment
            fd = os.open(self.path(name, _SEALED), os.O_RDONLY | os.O_CLOEXEC)
        try:
            yield fd
        finally:
            os.close(fd)

    def read(self, place: InSegment) -> Packed:
        """The record at `place` as stored; raises `BadRecord`, `FileNotFoundError`."""
        with self.reading(place.name) as fd:
            return _packed(fd, place)

    def read_many(self, places: Sequence[InSegment]) -> list[Packed | Exception]:
        """The records at `places` as stored, or why not; a segment is opened once for what follows in it."""
        found: list[Packed | Exception] = []
        for name, group in groupby(places, key=attrgetter("name")):
            some = list(group)
            try:
                with self.reading(name) as fd:
                    found += [_record(fd, place) for place in some]
            except OSError as error:
                found += [error] * len(some)
        return found

    def records(self, name: SegmentName) -> Iterator[Record]:
        """Every readable record, going on behind damage."""
        try:
            with self.reading(name) as fd:
                for offset, header in _walk(fd, name, os.fstat(fd).st_size):
                    length = HEADER_BYTES + header.stored_bytes
                    yield Record(
                        locator=InSegment(name, offset, length).locator,
                        sha256=header.sha256,
                        size_bytes=header.size_bytes,
                        stored_bytes=length,
                    )
        except FileNotFoundError:
            return


def _packed(fd: int, place: InSegment) -> Packed:
    """The record at `place` of an open segment."""
    if place.length > LONGEST_BYTES:
        raise records.BadRecord("no record is that long")
    data = os.pread(fd, place.length, place.offset)
    header = records.read_header(data, place.name, place.offset)
    if header is None:
        raise records.BadRecord("no record begins there")
    if len(data) != place.length or HEADER_BYTES + header.stored_bytes != place.length:
        raise records.BadRecord("its data ends early")
    return Packed(header=header, data=data[HEADER_BYTES:])


def _record(fd: int, place: InSegment) -> Packed | Exception:
    try:
        return _packed(fd, place)
    except (records.BadRecord, NewerSite, OSError) as error:
        return error


def _whole(fd: int, name: str, end: int) -> bool:
    """Whether records follow each other without a gap from the first byte to the last."""
    at = 0
    for offset, header in _walk(fd, name, end):
        if offset != at:
            return False
        at = offset + HEADER_BYTES + header.stored_bytes
    return at == end


def _walk(fd: int, name: str, end: int) -> Iterator[tuple[int, Header]]:
    """The records of a segment with their offsets; what is none is skipped."""
    at = 0
    while at + HEADER_BYTES <= end:
        header = _record_at(fd, name, at, end)
        if header is None:
            at = _next_record(fd, name, at + 1, end)
            continue
        yield at, header
        at += HEADER_BYTES + header.stored_bytes


def _record_at(fd: int, name: str, at: int, end: int) -> Header | None:
    header = records.read_header(os.pread(fd, HEADER_BYTES, at), name, at)
    if header is None or at + HEADER_BYTES + header.stored_bytes > end:
        return None
    return header


def _next_record(fd: int, name: str, start: int, end: int) -> int:
    """Where the next record begins, `end` when none does."""
    for at in range(start, end, SCAN_BYTES):
        window = os.pread(fd, SCAN_BYTES + len(MAGIC) - 1, at)
        found = window.find(MAGIC)
        while found >= 0:
            if _record_at(fd, name, at + found, end):
                return at + found
            found = window.find(MAGIC, found + 1)
    return end
