"""Packs: a zstd frame for each object, then a skippable frame that says what they are (RFC 8878 §3.1).

    frame, frame, frame, …    skippable frame: directory (JSON) · its length (4, little-endian) · "MRPK"

`zstd -dc` prints all objects of a pack one after the other. The directory holds, in the order of the frames,
the kinds, ids and lengths of the objects, and the lengths of what is in them.
"""

from __future__ import annotations

import hashlib
import json
import struct
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import IO, Any

import zstandard

from mairust_core.errors import Damaged, NewerSite

FORMAT = 1
TARGET_BYTES = 16 << 20
"""A pack is closed once it is this long."""
LEVEL = 3
PIECE_BYTES = 1 << 18
WINDOW_LIMIT_BYTES = 128 << 20
ID_BYTES = 32

_MAGIC = b"MRPK"
_SKIPPABLE = 0x184D2A50
_HEAD = struct.Struct("<II")
_TAIL = struct.Struct("<I4s")
LARGEST_DIRECTORY_BYTES = 64 << 20


class Kind(StrEnum):
    """What an object is: one letter in the directory."""

    MAIL = "m"
    """The bytes of a message as they came."""
    ROWS = "r"
    """Rows of tables."""
    FILE = "c"
    """A file of the site, such as its settings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One object in a pack: where its frame lies and how long it and what is in it are."""

    id: bytes
    kind: Kind
    offset: int
    stored_bytes: int
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class Directory:
    """What a pack holds, in the order of its frames."""

    kinds: str
    ids: bytes
    """32 bytes for each object."""
    stored_bytes: array[int]
    size_bytes: array[int]
    """A repository has very many: eight bytes for each."""
    damaged: tuple[str, ...] = ()
    """Objects that were asked for and could not be read where they came from."""

    def __len__(self) -> int:
        return len(self.kinds)

    @cached_property
    def offsets(self) -> array[int]:
        """Where each frame begins."""
        found, at = array("Q"), 0
        for length in self.stored_bytes:
            found.append(at)
            at += length
        return found

    def id(self, number: int) -> bytes:
        """The id of one object."""
        return self.ids[number * ID_BYTES : (number + 1) * ID_BYTES]

    def entry(self, number: int) -> Entry:
        """One object."""
        return Entry(
            id=self.id(number),
            kind=Kind(self.kinds[number]),
            offset=self.offsets[number],
            stored_bytes=self.stored_bytes[number],
            size_bytes=self.size_bytes[number],
        )

    def entries(self) -> Iterator[Entry]:
        """Every object in the order of its frame."""
        return map(self.entry, range(len(self)))

    def to_json(self) -> dict[str, Any]:
        """Its form in a pack and in an index."""
        return {
            "kinds": self.kinds,
            "ids": self.ids.hex(),
            "stored": list(self.stored_bytes),
            "sizes": list(self.size_bytes),
        }

    @classmethod
    def from_json(cls, found: dict[str, Any], name: str) -> Directory:
        """The directory of a pack; raises `Damaged` when it contradicts itself."""
        try:
            made = cls(
                kinds=found["kinds"],
                ids=bytes.fromhex(found["ids"]),
                stored_bytes=array("Q", found["stored"]),
                size_bytes=array("Q", found["sizes"]),
                damaged=tuple(found.get("damaged", ())),
            )
            count = len(made.kinds)
            whole = (
                len(made.ids) == count * ID_BYTES
                and len(made.stored_bytes) == len(made.size_bytes) == count
                and set(made.kinds) <= set(Kind)
            )
        except OverflowError:  # below nothing, or beyond what a file can be
            whole = False
        except (KeyError, TypeError, ValueError) as error:
            raise Damaged("repository", name=name, why=f"its directory lacks {error}") from error
        if not whole:
            raise Damaged("repository", name=name, why="its directory contradicts itself")
        return made


class Builder:
    """Writes a pack into a file; the ids given are those of what the frames hold."""

    def __init__(self, file: IO[bytes], level: int = LEVEL) -> None:
        self._file = file
        self._compressor = zstandard.ZstdCompressor(level=level, write_checksum=True)
        self._kinds: list[str] = []
        self._ids: list[bytes] = []
        self._known: set[bytes] = set()
        self._stored: list[int] = []
        self._sizes: list[int] = []
        self.size_bytes = 0
        self.damaged: list[str] = []

    def __len__(self) -> int:
        return len(self._ids)

    def has(self, id_: bytes) -> bool:
        """Whether an object is in it already."""
        return id_ in self._known

    def add(self, kind: Kind, data: bytes, id_: bytes | None = None) -> bytes:
        """Add an object; its id."""
        known = id_ or hashlib.sha256(data).digest()
        self.add_frame(kind, known, self._compressor.compress(data), len(data))
        return known

    def add_frame(self, kind: Kind, id_: bytes, frame: bytes, size_bytes: int) -> None:
        """Add an object that is compressed already."""
        self._file.write(frame)
        self._note(kind, id_, len(frame), size_bytes)

    def add_frames(self, kind: Kind, found: Sequence[tuple[bytes, bytes, int]]) -> None:
        """Add many objects that are compressed already by one write: id, frame and length of each."""
        self._file.write(b"".join([frame for _, frame, _ in found]))
        for id_, frame, size_bytes in found:
            self._note(kind, id_, len(frame), size_bytes)

    def add_file(self, kind: Kind, id_: bytes, frame: IO[bytes] | Any, size_bytes: int) -> None:
        """Add a large object whose frame lies in a file."""
        frame.seek(0)
        stored = 0
        while piece := frame.read(PIECE_BYTES):
            stored += self._file.write(piece)
        self._note(kind, id_, stored, size_bytes)

    def _note(self, kind: Kind, id_: bytes, stored_bytes: int, size_bytes: int) -> None:
        self._kinds.append(kind.value)
        self._ids.append(id_)
        self._known.add(id_)
        self._stored.append(stored_bytes)
        self._sizes.append(size_bytes)
        self.size_bytes += stored_bytes

    def finish(self) -> Directory:
        """Write the directory; the pack is complete."""
        directory = Directory(
            kinds="".join(self._kinds),
            ids=b"".join(self._ids),
            stored_bytes=array("Q", self._stored),
            size_bytes=array("Q", self._sizes),
            damaged=tuple(self.damaged),
        )
        told = {"format": FORMAT, **directory.to_json(), "damaged": self.damaged}
        text = json.dumps(told, separators=(",", ":")).encode()
        self._file.write(_HEAD.pack(_SKIPPABLE, len(text) + _TAIL.size))
        self._file.write(text + _TAIL.pack(len(text), _MAGIC))
        return directory


def read_directory(file: IO[bytes], name: str) -> Directory:
    """What a pack holds; raises `Damaged`, or `NewerSite` for a later format."""
    try:
        end = file.seek(-_TAIL.size, 2)
        length, magic = _TAIL.unpack(file.read(_TAIL.size))
        if magic != _MAGIC or length > min(end, LARGEST_DIRECTORY_BYTES):
            raise Damaged("repository", name=name, why="it does not end with a directory")
        file.seek(end - length)
        found = json.loads(file.read(length))
    except (OSError, ValueError, struct.error) as error:
        raise Damaged("repository", name=name, why=f"its directory cannot be read ({error})") from error
    if not isinstance(found, dict):
        raise Damaged("repository", name=name, why="its directory is no JSON object")
    if found.get("format") != FORMAT:
        raise NewerSite("repository", name=name, found=found.get("format"), known=FORMAT)
    return Directory.from_json(found, name)


class Unpacker:
    """Takes objects out of a pack, each verified by its id. Not thread-safe."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        self._file = file
        self._name = name
        self._decompressor = zstandard.ZstdDecompressor(max_window_size=WINDOW_LIMIT_BYTES)

    def frame(self, entry: Entry) -> bytes:
        """The object as it is stored."""
        self._file.seek(entry.offset)
        return self._file.read(entry.stored_bytes)

    def read(self, entry: Entry) -> bytes:
        """What is in an object; raises `Damaged` naming it."""
        frame = self.frame(entry)
        try:
            if zstandard.frame_content_size(frame) != entry.size_bytes:
                raise self._damaged(entry, "its frame has another length")
            data = self._decompressor.decompress(frame)
        except zstandard.ZstdError as error:
            raise self._damaged(entry, f"it does not decompress ({error})") from error
        if hashlib.sha256(data).digest() != entry.id:
            raise self._damaged(entry, "its bytes have another SHA-256")
        return data

    def pieces(self, entry: Entry) -> Iterator[bytes]:
        """What is in a large object, piece by piece; raises `Damaged` at the end when it is not whole."""
        self._file.seek(entry.offset)
        digest, size_bytes = hashlib.sha256(), 0
        limited = _Limited(self._file, entry.stored_bytes)
        try:
            with self._decompressor.stream_reader(limited, closefd=False) as reader:  # type: ignore[arg-type]  # it only reads
                while piece := reader.read(PIECE_BYTES):
                    digest.update(piece)
                    size_bytes += len(piece)
                    if size_bytes > entry.size_bytes:
                        raise self._damaged(entry, "its frame has another length")
                    yield piece
        except zstandard.ZstdError as error:
            raise self._damaged(entry, f"it does not decompress ({error})") from error
        if size_bytes != entry.size_bytes or digest.digest() != entry.id:
            raise self._damaged(entry, "its bytes have another SHA-256")

    def _damaged(self, entry: Entry, why: str) -> Damaged:
        return Damaged("object", id=entry.id.hex(), name=self._name, why=why)


class _Limited:
    """The next bytes of a file and no more."""

    def __init__(self, file: IO[bytes], left: int) -> None:
        self._file = file
        self._left = left

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(min(self._left, size if size >= 0 else self._left))
        self._left -= len(data)
        return data
