"""An archive that nobody vouches for yet, read once from front to end in bounded memory.

gzip (RFC 1952) with one member, in it a tar of plain files and directories. What an archive says of itself is
believed only as far as the limits go; at no time more than some blocks of it are held.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from mairust_core.errors import Invalid
from mairust_core.plugins.package import ustar
from mairust_core.plugins.package.limits import ArchiveLimits
from mairust_core.plugins.package.paths import Names, checked
from mairust_core.plugins.package.ustar import BLOCK, ZEROS

STEP_BYTES = 1 << 16
"""Read and inflated at once."""
GZIP_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A file or directory of the archive; its content comes once, and before the next member."""

    path: str
    size_bytes: int
    executable: bool
    directory: bool
    content: Iterator[bytes]


def size_of(file: BinaryIO, limits: ArchiveLimits) -> int:
    """The size of an archive in bytes, its reading set to the front; raises `Invalid` over the limit."""
    size_bytes = file.seek(0, os.SEEK_END)
    if size_bytes > limits.archive_bytes:
        raise Invalid("package", "package_too_large", size=size_bytes, limit=limits.archive_bytes)
    file.seek(0)
    return size_bytes


def members(file: BinaryIO, limits: ArchiveLimits) -> Iterator[Member]:
    """What is in an archive, in its order; raises `Invalid` at the first thing that is not right.

    Only when the last one was taken is the archive known to end as it should.
    """
    inflated = _Inflated(file, limits)
    names = Names(limits)
    number = 0
    while (block := inflated.take(BLOCK)) != ZEROS:
        number += 1
        if number > limits.files:
            raise Invalid("package", "package_too_many_files", limit=limits.files)
        header = ustar.read(block, number)
        path = checked(header.name, limits)
        names.add(path, directory=header.directory)
        content = inflated.taken(header.size_bytes)
        yield Member(
            path=path,
            size_bytes=header.size_bytes,
            executable=header.executable,
            directory=header.directory,
            content=content,
        )
        for _ in content:
            pass
        if any(inflated.take(ustar.padding(header.size_bytes))):
            raise Invalid("package", "package_header", number=number)
    inflated.finish()


class _Inflated:
    """The bytes inside of an archive, as they are asked for."""

    def __init__(self, file: BinaryIO, limits: ArchiveLimits) -> None:
        self._archive_bytes = size_of(file, limits)
        self._file = file
        self._limits = limits
        self._inflater = zlib.decompressobj(zlib.MAX_WBITS | 16)
        self._ready = bytearray()
        self._count = 0
        if file.read(len(GZIP_MAGIC)) != GZIP_MAGIC:
            raise Invalid("package", "package_not_gzip")
        file.seek(0)

    def take(self, count: int) -> bytes:
        """Exactly so many bytes, at most `STEP_BYTES`."""
        while len(self._ready) < count:
            if not self._fill():
                raise Invalid("package", "package_truncated")
        found = bytes(self._ready[:count])
        del self._ready[:count]
        return found

    def taken(self, count: int) -> Iterator[bytes]:
        """So many bytes, in pieces; raises `Invalid` at once when that is beyond the limit."""
        if count > self._limits.unpacked_bytes:
            raise Invalid("package", "package_bomb", limit=self._limits.unpacked_bytes)
        return self._pieces(count)

    def _pieces(self, count: int) -> Iterator[bytes]:
        while count:
            piece = self.take(min(count, STEP_BYTES))
            count -= len(piece)
            yield piece

    def finish(self) -> None:
        """The end of the archive, of which one block is read already: nothing but zeros, then nothing."""
        zeros = self.take(BLOCK) == ZEROS
        while zeros:
            zeros = self._ready.count(0) == len(self._ready)
            self._ready.clear()
            if not self._fill():
                break
        if not zeros or self._inflater.unused_data or self._file.read(1):
            raise Invalid("package", "package_trailing")

    def _fill(self) -> bool:
        """Have some more bytes ready; False at the end of the compressed data."""
        if self._inflater.eof:
            return False
        data = self._inflater.unconsumed_tail or self._file.read(STEP_BYTES)
        try:
            found = self._inflater.decompress(data, STEP_BYTES)
        except zlib.error:
            raise Invalid("package", "package_damaged") from None
        if not found and not data and not self._inflater.eof:
            raise Invalid("package", "package_truncated")
        self._ready += found
        self._count += len(found)
        self._check_growth()
        return True

    def _check_growth(self) -> None:
        limits = self._limits
        if self._count > limits.unpacked_bytes:
            raise Invalid("package", "package_bomb", limit=limits.unpacked_bytes)
        if self._count > max(limits.ratio_from_bytes, limits.ratio * self._archive_bytes):
            raise Invalid("package", "package_bomb_ratio", limit=limits.ratio)
