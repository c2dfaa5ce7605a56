"""The form of a blob on disk: a header that says what follows, then the data.

    magic 8 · version 1 · codec 1 · zero 2 · sha256 32 · raw size 8 · stored size 8 · crc32 4   little-endian

The checksum covers the header and the place it was written to (segment name and offset), so that neither a
stale copy of a record nor bytes inside a mail that look like one are ever taken for a record. The header's
shape is the same in all versions.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256 as hash_of
from typing import Any
from zlib import crc32

import zstandard

from mairust_core.errors import NewerSite
from mairust_core.model.blob import Buffer, Compressed, Content

MAGIC = b"\x8bMRblob\n"
VERSION = 1
HEADER_BYTES = 64
LEVEL = 1
COMPRESS_FROM_BYTES = 128
"""Below this zstd gains nothing."""
THREADS = 2
"""Of zstd's own, where many records are decompressed at once."""
WINDOW_LIMIT_BYTES = 8 << 20
"""More than level 1 ever asks for; keeps a damaged frame from asking for gigabytes."""

_FIELDS = struct.Struct("<8sBBxx32sQQ")
_CHECK = struct.Struct("<I")


class Codec(IntEnum):
    """How the data of a record is stored."""

    RAW = 0
    ZSTD = 1


class BadRecord(Exception):
    """The bytes at hand are not the record they should be; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What a record says about itself."""

    sha256: bytes
    size_bytes: int
    codec: int
    stored_bytes: int
    """Length of the data behind the header."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """A record that has no place yet."""

    header: Header
    data: bytes


@dataclass(frozen=True, slots=True)
class Prepacked:
    """A content in memory with the record that was made of it elsewhere, on another core."""

    content: Content
    packed: Packed

    @property
    def sha256(self) -> bytes:
        """That of the content."""
        return self.content.sha256

    @property
    def size_bytes(self) -> int:
        """That of the content."""
        return self.content.size_bytes

    def view(self) -> Buffer:
        """The bytes themselves."""
        return self.content.view()

    def close(self) -> None:
        """Close the content."""
        self.content.close()


class _Codecs(threading.local):
    """zstd contexts may not be shared by threads and cost too much to make per mail."""

    def __init__(self) -> None:
        self.compressor = zstandard.ZstdCompressor(level=LEVEL)
        self.decompressor = zstandard.ZstdDecompressor(max_window_size=WINDOW_LIMIT_BYTES)


_codecs = _Codecs()


def pack(content: Content) -> Packed:
    """The record of a content that fits in memory: compressed where that makes it smaller."""
    if isinstance(content, Compressed) and len(content.frame) < content.size_bytes:
        return _framed(content)
    if isinstance(content, Prepacked):
        return content.packed
    data, codec = content.view()[:], Codec.RAW
    if len(data) >= COMPRESS_FROM_BYTES:
        smaller = _codecs.compressor.compress(data)
        if len(smaller) < len(data):
            data, codec = smaller, Codec.ZSTD
    return Packed(
        header=Header(
            sha256=content.sha256, size_bytes=content.size_bytes, codec=codec, stored_bytes=len(data)
        ),
        data=data,
    )


def _framed(content: Compressed) -> Packed:
    return Packed(
        header=Header(
            sha256=content.sha256,
            size_bytes=content.size_bytes,
            codec=Codec.ZSTD,
            stored_bytes=len(content.frame),
        ),
        data=content.frame,
    )


def write_header(header: Header, name: str, offset: int) -> bytes:
    """The header as it stands at `offset` of the file `name`."""
    fields = _FIELDS.pack(MAGIC, VERSION, header.codec, header.sha256, header.size_bytes, header.stored_bytes)
    return fields + _CHECK.pack(_checksum(fields, name, offset))


def read_header(data: bytes, name: str, offset: int) -> Header | None:
    """The header at the start of `data`, None where none stands; raises `NewerSite` on a newer version's."""
    if len(data) < HEADER_BYTES or not data.startswith(MAGIC):
        return None
    fields = data[: _FIELDS.size]
    if _CHECK.unpack_from(data, _FIELDS.size)[0] != _checksum(fields, name, offset):
        return None
    _, version, codec, sha256, size_bytes, stored_bytes = _FIELDS.unpack(fields)
    if version > VERSION:
        raise NewerSite("blob", name=name, offset=offset, version=version, known=VERSION)
    return Header(sha256=sha256, size_bytes=size_bytes, codec=codec, stored_bytes=stored_bytes)


def unpack(header: Header, data: bytes) -> bytes:
    """The raw bytes of a record in memory, verified by its own hash; raises `BadRecord`."""
    raw = _decompress(data, header.size_bytes) if header.codec == Codec.ZSTD else data
    if len(raw) != header.size_bytes or hash_of(raw).digest() != header.sha256:
        raise BadRecord("its data does not have the hash it was stored under")
    return raw


def frames(batch: Sequence[Packed]) -> Iterator[bytes | BadRecord]:
    """The data of records as zstd frames, also where it is stored raw, each verified; or what is wrong."""
    raw = iter(_decompress_many([one for one in batch if one.header.codec == Codec.ZSTD]))
    for packed in batch:
        is_zstd = packed.header.codec == Codec.ZSTD
        data = next(raw) if is_zstd else packed.data
        if isinstance(data, BadRecord):
            yield data
        elif len(data) != packed.header.size_bytes or hash_of(data).digest() != packed.header.sha256:
            yield BadRecord("its data does not have the hash it was stored under")
        else:
            yield packed.data if is_zstd else _codecs.compressor.compress(data)


def _decompress_many(batch: Sequence[Packed]) -> Iterable[Any]:
    """What is in zstd records: all at once, on two cores; one by one when one of them is damaged."""
    sizes = struct.pack(f"={len(batch)}Q", *(one.header.size_bytes for one in batch))
    try:
        if batch and all(zstandard.frame_content_size(one.data) == one.header.size_bytes for one in batch):
            data: Any = [one.data for one in batch]
            raw: Any = _codecs.decompressor.multi_decompress_to_buffer(data, sizes, threads=THREADS)
            return raw  # type: ignore[no-any-return]  # the stubs do not say that it is iterable
    except zstandard.ZstdError:
        pass  # which one it is, is found below
    return [_decompress_one(one) for one in batch]


def _decompress_one(packed: Packed) -> bytes | BadRecord:
    try:
        return _decompress(packed.data, packed.header.size_bytes)
    except BadRecord as error:
        return error


def _decompress(data: bytes, size_bytes: int) -> bytes:
    # The frame allocates what it claims: believe it only where the checksummed header agrees.
    try:
        if zstandard.frame_content_size(data) != size_bytes:
            raise BadRecord("its compressed data has the wrong size")
        return _codecs.decompressor.decompress(data)
    except zstandard.ZstdError as error:
        raise BadRecord(f"its data does not decompress ({error})") from error


def _checksum(fields: bytes, name: str, offset: int) -> int:
    return crc32(fields, crc32(f"{name}@{offset}".encode()))
