"""Reading what may be packed by gzip, bzip2 or xz, up to the place where it is damaged."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable
from typing import IO, Any, cast

Read = Callable[[int], bytes]
BROKEN_ARCHIVE = (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile)
UNREADABLE = (OSError, *BROKEN_ARCHIVE)
"""What reading an archive, or any file, may raise."""
SUFFIXES = frozenset({".gz", ".bz2", ".xz"})
PIECE_BYTES = 16 << 10
"""So much at most of what was unpacked is lost with the place that is damaged."""
_MAGIC = ((b"\x1f\x8b", "gz"), (b"BZh", "bz2"), (b"\xfd7zXZ\x00", "xz"))


def unpacked(file: IO[bytes]) -> IO[bytes]:
    """The content of a file that may be packed, which its first bytes tell."""
    peeking: Any = file if hasattr(file, "peek") else io.BufferedReader(cast(io.RawIOBase, file))
    start = peeking.peek(6)[:6]
    kind = next((name for magic, name in _MAGIC if start.startswith(magic)), "")
    if kind == "gz":
        return cast(IO[bytes], gzip.GzipFile(fileobj=peeking))
    if kind == "bz2":
        return bz2.BZ2File(peeking)
    if kind == "xz":
        return lzma.LZMAFile(peeking)
    return cast(IO[bytes], peeking)


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
