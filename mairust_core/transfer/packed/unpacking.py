"""Reading what may be packed by gzip, bzip2, xz or zstd, up to the place where it is damaged."""

from __future__ import annotations

import bz2
import errno
import io
import lzma
import os
import re
import zlib
from collections.abc import Callable
from typing import IO, Any, Protocol, cast

import zstandard

from mairust_core.i18n import Wording

Read = Callable[[int], bytes]


class Bomb(Exception):
    """What is packed goes on beyond a limit, which `limit` names."""

    def __init__(self, limit: Wording) -> None:
        super().__init__(limit)
        self.limit = limit


BROKEN_ARCHIVE = (EOFError, zlib.error, lzma.LZMAError, zstandard.ZstdError, Bomb)
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
MAX_RATIO = 250
"""So many times its size is unpacked on and on: most mail has a tenth of that, reports that are the same each
night the double, and a log of one line may have the thousandfold; bzip2 could go to the millionfold."""
FREE_BYTES = 1 << 30
"""So much at a time is unpacked however little it was, wherever that is: a few seconds of work."""
FREE_MAIL_BYTES = 64 << 20
"""The same of a single mail, of which there may be very many."""
FREE_STREAMS = 10_000
"""So many streams may lie behind each other; of more, each has to hold `STREAM_BYTES` on the average."""
STREAM_BYTES = 256


def packing(start: bytes) -> str:
    """How something that begins like this is packed; empty when it is not."""
    return next((name for magic, name in _MAGIC if magic.match(start)), "")


def _unpacked(file: IO[bytes], free_bytes: int) -> Any:
    """The content of a file that may be packed, which its first bytes tell."""
    peeking: Any = file if hasattr(file, "peek") else io.BufferedReader(cast(io.RawIOBase, file))
    kind = packing(peeking.peek(MAGIC_BYTES)[:MAGIC_BYTES])
    if kind == "gz":
        return _Streams(peeking, _GzipStream, _READ_BYTES, free_bytes)
    if kind == "bz2":
        return _Streams(peeking, bz2.BZ2Decompressor, _READ_BYTES, free_bytes)
    if kind == "xz":
        return _Streams(peeking, _xz_stream, _READ_BYTES, free_bytes)
    if kind == "zstd":
        context = zstandard.ZstdDecompressor()
        return _Streams(peeking, lambda: _ZstdStream(context), _ZSTD_BYTES, free_bytes)
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
    for whole. What costs more work than so many bytes of mail can is a `Bomb`.
    """

    def __init__(self, file: Any, begin: Callable[[], _Stream], read_bytes: int, free_bytes: int) -> None:
        self._file = file
        self._begin = begin
        self._read_bytes = read_bytes
        self._stream: _Stream | None = None
        self._free_bytes = self._allowed_bytes = free_bytes
        self._unpacked_bytes = 0
        self._streams = 0

    def read1(self, size: int) -> bytes:
        """Some bytes, at the end none. Raises `UNREADABLE`."""
        while True:
            if self._stream is None or self._stream.eof:
                if not (packed := self._next_stream()):
                    return b""
                self._stream = self._begin()
                self._count_stream()
            elif not self._stream.needs_input:
                packed = b""
            elif not (packed := self._more()):
                raise EOFError("Compressed file ended before the end-of-stream marker was reached")
            if piece := self._stream.decompress(packed, size):
                self._count(piece)
                return piece

    def _next_stream(self) -> bytes:
        """The beginning of the next stream, empty when there is none."""
        packed = b"" if self._stream is None else self._stream.unused_data.lstrip(b"\0")
        while not packed and (more := self._more()):
            packed = more.lstrip(b"\0")
        return packed

    def _more(self) -> bytes:
        packed: bytes = self._file.read(self._read_bytes)
        self._allowed_bytes = min(self._allowed_bytes + MAX_RATIO * len(packed), self._free_bytes)
        return packed

    def _count(self, piece: bytes) -> None:
        self._unpacked_bytes += len(piece)
        self._allowed_bytes -= len(piece)
        if self._allowed_bytes < 0:
            raise Bomb(Wording("import.bomb_ratio", times=MAX_RATIO, mib=self._free_bytes >> 20))

    def _count_stream(self) -> None:
        self._streams += 1
        if self._streams > FREE_STREAMS + self._unpacked_bytes // STREAM_BYTES:
            raise Bomb(Wording("import.bomb_streams", streams=self._streams - 1, bytes=STREAM_BYTES))


class _GzipStream:
    """One member of gzip."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(zlib.MAX_WBITS | 16)
        self._full = False  # there may be more of it without any more input

    @property
    def eof(self) -> bool:
        return self._member.eof

    @property
    def needs_input(self) -> bool:
        return not self._full

    @property
    def unused_data(self) -> bytes:
        return self._member.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        piece = self._member.decompress(self._member.unconsumed_tail + data, max_length)
        self._full = len(piece) == max_length
        return piece


class _ZstdStream:
    """One frame of zstd; making a context for each costs more than the frame."""

    def __init__(self, context: zstandard.ZstdDecompressor) -> None:
        self._frame = context.decompressobj()
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


def reading(file: IO[bytes], *, one_mail: bool = False) -> Read:
    """Reads the content of a file: all that is there before its damage, and then raises `UNREADABLE`."""
    free_bytes = FREE_MAIL_BYTES if one_mail else FREE_BYTES
    source: Any = None
    failure: BaseException | None = None

    def read(size: int) -> bytes:
        nonlocal failure, source
        pieces: list[bytes] = []
        while failure is None and size > 0:
            try:
                source = source or _unpacked(file, free_bytes)
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
