"""Reading what may be packed by gzip, bzip2, xz or zstd, up to the place where it is damaged."""

from __future__ import annotations

import bz2
import errno
import gzip
import io
import lzma
import os
import re
import zlib
from collections.abc import Callable
from typing import IO, Any, Protocol, cast

import zstandard

Read = Callable[[int], bytes]
BROKEN_ARCHIVE = (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile, zstandard.ZstdError)
UNREADABLE = (OSError, *BROKEN_ARCHIVE)
"""What reading an archive, or any file, may raise."""
SUFFIXES = frozenset({".gz", ".bz2", ".xz", ".zst"})
PIECE_BYTES = 16 << 10
"""So much at most of what was unpacked is lost with the place that is damaged."""
MAGIC_BYTES = 10
"""How much of the beginning tells whether something is packed, and how."""
_MAGIC = (
    (re.compile(rb"\x1f\x8b"), "gz"),
    (re.compile(rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)"), "bz2"),  # the second is that of nothing at all
    (re.compile(rb"\xfd7zXZ\x00"), "xz"),
    (re.compile(rb"\x28\xb5\x2f\xfd"), "zstd"),
)
_ZSTD_BYTES = 512
"""So little at a time, for it may unpack to the ten-thousandfold at once."""
_READ_BYTES = 8 << 10
_XZ_MEMORY_BYTES = 128 << 20
"""A file may ask for 4 GiB to be unpacked; what `xz -9` writes needs 65 MiB."""


def packing(start: bytes) -> str:
    """How something that begins like this is packed; empty when it is not."""
    return next((name for magic, name in _MAGIC if magic.match(start)), "")


def _unpacked(file: IO[bytes]) -> Any:
    """The content of a file that may be packed, which its first bytes tell."""
    peeking: Any = file if hasattr(file, "peek") else io.BufferedReader(cast(io.RawIOBase, file))
    kind = packing(peeking.peek(MAGIC_BYTES)[:MAGIC_BYTES])
    if kind == "gz":
        return gzip.GzipFile(fileobj=peeking)
    if kind == "bz2":
        return _Streams(peeking, bz2.BZ2Decompressor, _READ_BYTES)
    if kind == "xz":
        return _Streams(peeking, _xz_stream, _READ_BYTES)
    if kind == "zstd":
        return _Streams(peeking, _ZstdStream, _ZSTD_BYTES)
    return peeking


def _xz_stream() -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY_BYTES)


class _Stream(Protocol):
    """A decompressor of the standard library's."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes:
        """So much of the content at most."""
        ...


class _Streams:
    """Streams behind each other, maybe with zeros behind each; anything else there is damage.

    The libraries' own readers take no limit, leave out what is behind a stream, or take one that is cut off
    for whole.
    """

    def __init__(self, file: Any, begin: Callable[[], _Stream], read_bytes: int) -> None:
        self._file = file
        self._begin = begin
        self._read_bytes = read_bytes
        self._stream: _Stream | None = None

    def read1(self, size: int) -> bytes:
        """Some bytes, at the end none. Raises `UNREADABLE`."""
        while True:
            if self._stream is None or self._stream.eof:
                if not (packed := self._next_stream()):
                    return b""
                self._stream = self._begin()
            elif not self._stream.needs_input:
                packed = b""
            elif not (packed := self._file.read(self._read_bytes)):
                raise EOFError("Compressed file ended before the end-of-stream marker was reached")
            if piece := self._stream.decompress(packed, size):
                return piece

    def _next_stream(self) -> bytes:
        """The beginning of the next stream, empty when there is none."""
        packed = b"" if self._stream is None else self._stream.unused_data.lstrip(b"\0")
        while not packed and (more := self._file.read(self._read_bytes)):
            packed = more.lstrip(b"\0")
        return packed


class _ZstdStream:
    """One frame of zstd."""

    def __init__(self) -> None:
        self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._held = memoryview(b"")

    @property
    def eof(self) -> bool:
        return self._frame.eof and not self._held

    @property
    def needs_input(self) -> bool:
        return not self._held

    @property
    def unused_data(self) -> bytes:
        return self._frame.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        held = self._held or memoryview(self._frame.decompress(data))
        self._held = held[max_length:]
        return bytes(held[:max_length])


def reading(file: IO[bytes]) -> Read:
    """Reads the content of a file: all that is there before its damage, and then raises `UNREADABLE`."""
    source: Any = None
    failure: BaseException | None = None

    def read(size: int) -> bytes:
        nonlocal failure, source
        pieces: list[bytes] = []
        while failure is None and size > 0:
            try:
                source = source or _unpacked(file)
                piece = source.read1(min(size, PIECE_BYTES))
            except UNREADABLE as error:
                failure = error
                break
            except MemoryError:
                failure = OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
                break
            if not piece:
                break
            pieces.append(piece)
            size -= len(piece)
        if failure is not None and not pieces:
            raise failure
        return b"".join(pieces)

    return read
