"""The local blob store: small blobs in segments, one sync per batch, large ones in files of their own.

    DIR/segments/   `segments`      DIR/files/, DIR/tmp/   `files`

After any failed write or sync the segment is abandoned, never appended to or synced again, and the next
call opens another one (rule C3): what a failed fsync left is unknown, and asking again would answer “fine”.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from errno import EIO
from pathlib import Path

from mairust_core.blobs import Record, SegmentName, records
from mairust_core.blobs.collect import Budget, BudgetedCollector, DiskSpool, Spooled
from mairust_core.blobs.fileops import FileOps, failure
from mairust_core.blobs.files import CHUNK_BYTES, OwnFiles, Part
from mairust_core.blobs.locators import InSegment, OwnFile, place_of
from mairust_core.blobs.records import BadRecord, Packed
from mairust_core.blobs.segments import FLUSH_BYTES, ROLL_BYTES, Segments, Writer
from mairust_core.errors import Damaged, MaiRustError, StorageDown
from mairust_core.model.blob import MEMORY_LIMIT_BYTES, Content, Locator

_GONE = (FileNotFoundError, NotADirectoryError)


class FsBlobStore:
    """`BlobStore` and `Segmented` in a directory, which it makes. Raises `StorageDown` when it cannot.

    Any number of processes may share the directory; each appends to a segment of its own.
    """

    def __init__(
        self,
        directory: Path,
        *,
        budget: Budget | None = None,
        ops: FileOps | None = None,
        roll_bytes: int = ROLL_BYTES,
    ) -> None:
        self.directory = directory
        self._ops = ops or FileOps()
        self._budget = budget or Budget()
        self._segments = Segments(directory / "segments", self._ops, roll_bytes)
        self._files = OwnFiles(directory, self._ops)
        self._lock = threading.Lock()
        self._writer: Writer | None = None
        self._stuck: list[Writer] = []
        self._pid = os.getpid()
        with self._failing():
            self._make_directories()

    def _make_directories(self) -> None:
        wanted = (self.directory, self._segments.directory, self._files.directory, self._files.tmp)
        missing = [path for path in wanted if not path.is_dir()]
        for path in missing:
            self._ops.mkdir(path)
        for parent in dict.fromkeys(path.parent for path in missing):
            self._ops.fsync_directory(parent)

    def put_many(self, contents: Sequence[Content]) -> list[Locator]:
        """One write and one sync for the small ones, an own file each for those over 1 MiB."""
        small = [content for content in contents if content.size_bytes <= MEMORY_LIMIT_BYTES]
        large = [content for content in contents if content.size_bytes > MEMORY_LIMIT_BYTES]
        with self._failing():
            published = self._publish(large)
            try:
                appended = self._append([records.pack(content) for content in small])
            except BaseException:
                self._files.withdraw(published)
                raise
        left, right = iter(appended), iter(published)
        return [next(left if c.size_bytes <= MEMORY_LIMIT_BYTES else right) for c in contents]

    def _publish(self, contents: Sequence[Content]) -> list[Locator]:
        parts: list[Part] = []
        try:
            for content in contents:
                parts.append(self._part_of(content))
        except BaseException:
            for part in parts:
                part.discard()
            raise
        return self._files.publish(parts)

    def _part_of(self, content: Content) -> Part:
        # A part is good for one attempt, in the store whose directory it lies in; after that, copy.
        if (
            isinstance(content, Spooled)
            and content.part.usable
            and content.part.path.parent == self._files.tmp
        ):
            return content.part
        return self._files.copy(content)

    def _append(self, batch: Sequence[Packed]) -> list[Locator]:
        if not batch:
            return []
        with self._lock:
            writer = self._current()
            try:
                return writer.append(batch)
            except BaseException:
                self._writer = None
                self._retire(writer)
                raise

    def _current(self) -> Writer:
        if self._pid != os.getpid():  # forked: the lease is the parent's, who keeps it
            self._pid = os.getpid()
            self._release()
        if self._writer is not None and self._writer.end >= self._segments.roll_bytes:
            # Here, not when it grew full: by now its last batch is committed (rule C2).
            full, self._writer = self._writer, None
            self._retire(full)
        if self._writer is None:
            self._writer = self._segments.lease()
        return self._writer

    def _retire(self, writer: Writer) -> None:
        try:
            writer.retire()
        except OSError:
            self._stuck.append(writer)  # keeps the lease, so that nobody appends

    def get(self, locator: Locator, sha256: bytes) -> bytes:
        """The bytes, verified against `sha256`."""
        with self._reading(locator, sha256):
            place = place_of(locator)
            if isinstance(place, InSegment):
                packed = self._segments.read(place)
                found, data = packed.header.sha256, records.unpack(packed.header, packed.data)
            else:
                header, pieces = self._files.read(_existing(place), 0, _TO_THE_END)
                found, data = header.sha256, b"".join(pieces)
            if found != sha256:
                raise BadRecord("another blob lies there")
            return data

    def open_range(self, locator: Locator, start: int, stop: int) -> Iterator[bytes]:
        """Pieces of at most 256 KiB; a small blob is verified as a whole before the first."""
        with self._reading(locator, b""):
            place = place_of(locator)
            if isinstance(place, InSegment):
                packed = self._segments.read(place)
                data = records.unpack(packed.header, packed.data)[start:stop]
                return iter([data[at : at + CHUNK_BYTES] for at in range(0, len(data), CHUNK_BYTES)])
            header, pieces = self._files.read(_existing(place), start, stop)
        return self._named(pieces, locator, header.sha256)

    def frames(
        self, wanted: Sequence[tuple[Locator, bytes]]
    ) -> list[tuple[bytes, int] | MaiRustError | None]:
        """Small blobs as their segments hold them; None for own files."""
        found: list[tuple[bytes, int] | MaiRustError | None] = [None] * len(wanted)
        at, places = [], []
        for number, (locator, _) in enumerate(wanted):
            if isinstance(place := place_of(locator), InSegment):
                at.append(number)
                places.append(place)
        read = self._segments.read_many(places)
        frames = records.frames([one for one in read if isinstance(one, Packed)])
        for number, packed in zip(at, read, strict=True):
            locator, sha256 = wanted[number]
            frame = packed if isinstance(packed, Exception) else next(frames)
            if isinstance(frame, bytes) and packed.header.sha256 == sha256:  # type: ignore[union-attr]  # it has a frame
                found[number] = frame, packed.header.size_bytes  # type: ignore[union-attr]  # it has a frame
            else:
                found[number] = self._error_of(frame, locator, sha256)
        return found

    def _error_of(self, error: Exception | bytes, locator: Locator, sha256: bytes) -> MaiRustError:
        wrong = BadRecord("another blob lies there") if isinstance(error, bytes) else error
        try:
            with self._reading(locator, sha256):
                raise wrong
        except MaiRustError as told:
            return told

    def _named(self, pieces: Iterator[bytes], locator: Locator, sha256: bytes) -> Iterator[bytes]:
        with self._reading(locator, sha256):
            yield from pieces

    def delete_many(self, locators: Sequence[Locator]) -> None:
        """Delete own files; the room of records in segments comes back by compaction."""
        with self._failing():
            for locator in locators:
                self._files.delete(locator)

    def collector(self) -> BudgetedCollector:
        """Collects in memory, from 1 MiB on in the directory's temporary files."""
        return BudgetedCollector(self._budget, lambda: DiskSpool(self._files, self._ops))

    def free_bytes(self) -> tuple[int, int]:
        """Of the file system, for this user."""
        with self._failing():
            disk = os.statvfs(self.directory)
        return disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize

    def close(self) -> None:
        """Leave the segment to the next writer."""
        with self._lock:
            self._release()

    def _release(self) -> None:
        writers = [*self._stuck, *([self._writer] if self._writer else [])]
        self._writer, self._stuck = None, []
        for writer in writers:
            writer.release()

    def sealed(self, older_than_s: float) -> list[SegmentName]:
        """Segments sealed at least that long ago."""
        return self._segments.sealed(older_than_s)

    def records(self, segment: SegmentName) -> Iterator[Record]:
        """Every readable record of a segment."""
        with self._failing():
            yield from self._segments.records(segment)

    def size_bytes(self, segment: SegmentName) -> int:
        """What a segment occupies."""
        with self._failing():
            return self._segments.size_bytes(segment)

    def extent(self, locator: Locator) -> tuple[SegmentName, int] | None:
        """Read off the locator."""
        place = place_of(locator)
        return (SegmentName(place.name), place.length) if isinstance(place, InSegment) else None

    def copy_live(self, segment: SegmentName, locators: Sequence[Locator]) -> dict[Locator, Locator]:
        """Copy records into the current segment, some megabytes per sync."""
        moved: dict[Locator, Locator] = {}
        group: dict[Locator, Packed] = {}
        size = 0
        with self._failing():
            for locator in locators:
                if packed := self._verified(segment, locator):
                    group[locator] = packed
                    size += len(packed.data)
                if size >= FLUSH_BYTES:
                    moved |= zip(group, self._append(list(group.values())), strict=True)
                    group, size = {}, 0
            moved |= zip(group, self._append(list(group.values())), strict=True)
        return moved

    def _verified(self, segment: SegmentName, locator: Locator) -> Packed | None:
        place = place_of(locator)
        if not isinstance(place, InSegment) or place.name != segment:
            raise ValueError(f"{locator} does not lie in segment {segment}")
        try:
            packed = self._segments.read(place)
            records.unpack(packed.header, packed.data)
        except (BadRecord, FileNotFoundError):
            return None
        return packed

    def unlink(self, segment: SegmentName) -> None:
        """Delete a sealed segment."""
        with self._failing():
            self._segments.unlink(segment)

    def seal_abandoned(self) -> list[SegmentName]:
        """Seal what no living process holds."""
        with self._failing():
            return self._segments.seal_abandoned()

    def locators_of_files(self, older_than_s: float) -> Iterator[Locator]:
        """Own files last written that long ago."""
        with self._failing():
            yield from self._files.older_than(older_than_s)

    def discard_abandoned(self, older_than_s: float) -> int:
        """Delete temporary files whose writer is gone."""
        with self._failing():
            return self._files.discard_abandoned(older_than_s)

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise failure(error, self.directory) from error

    @contextmanager
    def _reading(self, locator: Locator, sha256: bytes) -> Iterator[None]:
        named = {"sha256": sha256.hex() or "unknown", "locator": locator}
        with self._failing():
            try:
                yield
            except _GONE as error:
                if not self._segments.directory.is_dir():  # it was made with the store: all is out of reach
                    raise StorageDown("unmounted", directory=self.directory) from error
                raise Damaged("missing", **named) from error
            except BadRecord as error:
                raise Damaged("blob", **named, why=str(error)) from error
            except OSError as error:
                if error.errno != EIO:
                    raise
                raise Damaged("blob", **named, why="the disk cannot read it") from error


_TO_THE_END = 1 << 62


def _existing(place: OwnFile | None) -> OwnFile:
    """`place`; a locator this driver never made leads nowhere."""
    if place is None:
        raise FileNotFoundError("not a locator of this store")
    return place


def used_bytes(directory: Path) -> int:
    """What a blob directory occupies, by the lengths of its files; 0 when it is not there."""
    found = 0
    for path, _, names in os.walk(directory):
        for name in names:
            with suppress(FileNotFoundError):  # compaction and collection go on meanwhile
                found += os.stat(os.path.join(path, name)).st_size
    return found
