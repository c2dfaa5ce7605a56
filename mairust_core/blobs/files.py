"""Own files: one large blob each, under a temporary name until it is durable (rules B4, C3).

    DIR/tmp/NAME            while it is written; its writer holds its flock, so that leftovers can be told
    DIR/files/ab/NAME       published: one record (`records`) whose header is written last

Publishing never replaces: write → fsync → link under the final name → fsync(directory).
"""

from __future__ import annotations

import io
import os
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from hashlib import sha256 as hash_of
from pathlib import Path
from typing import BinaryIO, cast

import zstandard

from mairust_core.blobs import locators, records
from mairust_core.blobs.fileops import FileOps, lock
from mairust_core.blobs.locators import OwnFile
from mairust_core.blobs.records import HEADER_BYTES, BadRecord, Codec, Header
from mairust_core.model.blob import Content, Locator
from mairust_core.observe.faults import crash_point

CHUNK_BYTES = 256 << 10


class Part:
    """An own file before it has its name: compressed while its bytes come. Raises `OSError`."""

    def __init__(self, ops: FileOps, directory: Path) -> None:
        self.name = locators.new_name()
        self.path = directory / self.name
        self._ops = ops
        self._end = HEADER_BYTES
        self._compressor = zstandard.ZstdCompressor(level=records.LEVEL).compressobj()
        self._fd: int | None = ops.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        lock(self._fd)

    def write(self, chunk: bytes) -> None:
        """Add raw bytes."""
        self._append(self._compressor.compress(chunk))

    def finish(self, sha256: bytes, size_bytes: int) -> None:
        """Write the rest and the header; no byte may follow."""
        self._append(self._compressor.flush())
        header = Header(
            sha256=sha256,
            size_bytes=size_bytes,
            codec=Codec.ZSTD,
            stored_bytes=self._end - HEADER_BYTES,
        )
        self._ops.write(self._open, records.write_header(header, self.name, 0), 0)
        del self._compressor  # half a megabyte that a waiting content does not need

    def publish(self, target: Path) -> None:
        """Make the bytes durable and give them their name; the directory is the caller's to sync."""
        crash_point("file.written")
        self._ops.fsync(self._open)
        crash_point("file.synced")
        self._ops.publish(self.path, target)
        crash_point("file.renamed")
        self._close()

    @property
    def usable(self) -> bool:
        """Whether it can still be published: neither published nor discarded."""
        return self._fd is not None

    def discard(self) -> None:
        """Delete it unless it was published; harmless when called twice."""
        if self.usable:
            with suppress(OSError):  # a leftover is found by `discard_abandoned`
                self._ops.unlink(self.path)
            self._close()

    def _append(self, data: bytes) -> None:
        if data:
            self._ops.write(self._open, data, self._end)
            self._end += len(data)

    @property
    def _open(self) -> int:
        if self._fd is None:
            raise ValueError("the part is published or discarded")
        return self._fd

    def _close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


class OwnFiles:
    """The directories of own files and of temporary ones."""

    def __init__(self, root: Path, ops: FileOps) -> None:
        self.directory = root / "files"
        self.tmp = root / "tmp"
        self._ops = ops
        self._listed: set[str] = set()

    def part(self) -> Part:
        """A new own file to write."""
        return Part(self._ops, self.tmp)

    def copy(self, content: Content) -> Part:
        """A finished part with the bytes of any content."""
        part = self.part()
        try:
            view = content.view()
            for at in range(0, content.size_bytes, CHUNK_BYTES):
                part.write(view[at : at + CHUNK_BYTES])
            part.finish(content.sha256, content.size_bytes)
        except BaseException:
            part.discard()
            raise
        return part

    def publish(self, parts: Sequence[Part]) -> list[Locator]:
        """Give finished parts their names, durably; when it raises, none of them is left."""
        if not parts:
            return []
        shard = f"{secrets.randbits(8):02x}"  # one per batch: one directory to sync
        done: list[Locator] = []
        try:
            self._open_shard(shard)
            for part in parts:
                place = OwnFile(shard, part.name)
                part.publish(self.path(place))
                done.append(place.locator)
            self._ops.fsync_directory(self.directory / shard)
        except BaseException:
            for part in parts:
                part.discard()
            self.withdraw(done)
            raise
        crash_point("file.linked")
        return done

    def _open_shard(self, shard: str) -> None:
        # Synced once by every process: another one may have made it and died before its own sync.
        if shard not in self._listed:
            self._ops.mkdir(self.directory / shard)
            self._ops.fsync_directory(self.directory)
            self._ops.fsync_directory(self.directory.parent)
            self._listed.add(shard)

    def withdraw(self, published: Sequence[Locator]) -> None:
        """Delete files that nobody was told of, as far as possible: a full disk needs the room."""
        for locator in published:
            with suppress(OSError):  # what stays is an orphan, which collection finds
                self.delete(locator)

    def delete(self, locator: Locator) -> None:
        """Delete an own file; other locators and missing files are ignored."""
        place = locators.place_of(locator)
        if isinstance(place, OwnFile):
            with suppress(FileNotFoundError):
                self._ops.unlink(self.path(place))

    def path(self, place: OwnFile) -> Path:
        """Where the file lies."""
        return self.directory / place.shard / place.name

    def read(self, place: OwnFile, start: int, stop: int) -> tuple[Header, Iterator[bytes]]:
        """Its header and the raw bytes from `start` to `stop`.

        Raises `FileNotFoundError`, `BadRecord`; the iteration raises `BadRecord`, and at the end of the blob
        if its hash differs.
        """
        pieces = self._read(place, start, stop)
        return cast(Header, next(pieces)), cast(Iterator[bytes], pieces)

    def _read(self, place: OwnFile, start: int, stop: int) -> Iterator[Header | bytes]:
        # A generator that has begun closes its file also when nobody reads to the end.
        with open(self.path(place), "rb", buffering=0) as file:
            header = _header(file, place)
            yield header
            digest, at = hash_of(), 0
            for chunk in _raw(file, header):
                digest.update(chunk)
                if wanted := chunk[max(start - at, 0) : max(stop - at, 0)]:
                    yield wanted
                at += len(chunk)
                if at >= stop and at < header.size_bytes:
                    return
            if at != header.size_bytes or digest.digest() != header.sha256:
                raise BadRecord("its data does not have the hash it was stored under")

    def older_than(self, older_than_s: float) -> Iterator[Locator]:
        """Published files last written that long ago."""
        before = time.time() - older_than_s
        for path in self.directory.glob("[0-9a-f][0-9a-f]/*"):
            if locators.NAME.fullmatch(path.name) and _written_at(path) <= before:
                yield OwnFile(path.parent.name, path.name).locator

    def discard_abandoned(self, older_than_s: float) -> int:
        """Delete temporary files that no living process writes."""
        before = time.time() - older_than_s
        old = [path for path in self.tmp.iterdir() if _written_at(path) <= before]
        return sum(self._discard(path) for path in old)

    def _discard(self, path: Path) -> bool:
        try:
            fd = self._ops.open(path, os.O_RDWR)
        except FileNotFoundError:
            return False
        try:
            if not lock(fd):
                return False
            self._ops.unlink(path)
        except FileNotFoundError:
            return False
        finally:
            os.close(fd)
        return True


def _header(file: io.FileIO, place: OwnFile) -> Header:
    header = records.read_header(file.read(HEADER_BYTES) or b"", place.name, 0)
    if header is None:
        raise BadRecord("its header is damaged")
    if os.fstat(file.fileno()).st_size != HEADER_BYTES + header.stored_bytes:
        raise BadRecord("its data ends early")
    return header


def _raw(file: io.FileIO, header: Header) -> Iterator[bytes]:
    """The raw bytes behind the header, never more than the header promises plus one chunk."""
    source: BinaryIO = cast(BinaryIO, file)
    if header.codec == Codec.ZSTD:
        limited = zstandard.ZstdDecompressor(max_window_size=records.WINDOW_LIMIT_BYTES)
        source = cast(BinaryIO, limited.stream_reader(source, read_size=CHUNK_BYTES, closefd=False))
    at = 0
    try:
        while at <= header.size_bytes and (chunk := source.read(CHUNK_BYTES)):
            yield chunk
            at += len(chunk)
    except zstandard.ZstdError as error:
        raise BadRecord(f"its data does not decompress ({error})") from error


def _written_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return float("inf")
