"""Reading what may be packed by gzip, bzip2, xz or zstd, up to the place where it is damaged."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import zlib
from collections.abc import Callable
from typing import IO, Any, cast

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


def packing(start: bytes) -> str:
    """How something that begins like this is packed; empty when it is not."""
    return next((name for magic, name in _MAGIC if magic.match(start)), "")


def unpacked(file: IO[bytes]) -> IO[bytes]:
    """The content of a file that may be packed, which its first bytes tell."""
    peeking: Any = file if hasattr(file, "peek") else io.BufferedReader(cast(io.RawIOBase, file))
    kind = packing(peeking.peek(MAGIC_BYTES)[:MAGIC_BYTES])
    if kind == "gz":
        return cast(IO[bytes], gzip.GzipFile(fileobj=peeking))
    if kind == "bz2":
        return bz2.BZ2File(peeking)
    if kind == "xz":
        return lzma.LZMAFile(peeking)
    if kind == "zstd":
        return cast(IO[bytes], _Zstd(peeking))
    return cast(IO[bytes], peeking)


class _Zstd:
    """Frames of zstd behind each other; the library's own reader takes one that is cut off for whole."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._frame: Any = None
        self._held = b""

    def read1(self, size: int) -> bytes:
        """Some bytes, at the end none. Raises `UNREADABLE`."""
        while not self._held:
            rest = self._frame.unused_data if self._frame is not None and self._frame.eof else b""
            packed = rest or self._file.read(_ZSTD_BYTES)
            if self._frame is None or self._frame.eof:
                if not packed:
                    return b""
                self._frame = zstandard.ZstdDecompressor().decompressobj()
            elif not packed:
                raise EOFError("Compressed file ended before the end-of-stream marker was reached")
            self._held = self._frame.decompress(packed)
        piece, self._held = self._held[:size], self._held[size:]
        return piece


def reading(file: IO[bytes]) -> Read:
    """Reads the content of a file: all that is there before its damage, and then raises `UNREADABLE`."""
    source: Any = unpacked(file)
    failure: BaseException | None = None

    def read(size: int) -> bytes:
        nonlocal failure
        pieces: list[bytes] = []
        while failure is None and size > 0:
            try:
                piece = source.read1(min(size, PIECE_BYTES))
            except UNREADABLE as error:
                failure = error
                break
            if not piece:
                break
            pieces.append(piece)
            size -= len(piece)
        if failure is not None and not pieces:
            raise failure
        return b"".join(pieces)

    return read
