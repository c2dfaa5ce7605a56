"""Bytes on their way into the blob store, and where they ended up (rules B1, B4, C1)."""

from __future__ import annotations

from dataclasses import dataclass
from mmap import mmap
from typing import NewType, Protocol

Locator = NewType("Locator", str)
"""Where a blob lies: opaque to everybody but the driver that made it; never reused."""

MEMORY_LIMIT_BYTES = 1 << 20
"""Bodies above this stream to disk while they are received (rule B4)."""


Buffer = bytes | mmap
"""What a mail is scanned in: in memory, or a mapped file."""


class Content(Protocol):
    """A handle on the bytes of one mail, in memory or on disk; never changes."""

    @property
    def sha256(self) -> bytes:
        """The hash of all bytes, as 32 bytes."""
        ...

    @property
    def size_bytes(self) -> int:
        """How many bytes there are."""
        ...

    def view(self) -> Buffer:
        """All bytes, for scanning; valid until `close`."""
        ...

    def close(self) -> None:
        """Release memory budget and temporary files; harmless when called twice."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Bytes:
    """Content that lies in memory."""

    data: bytes
    sha256: bytes
    size_bytes: int

    @classmethod
    def of(cls, data: bytes) -> Bytes:
        """The handle of these bytes, hashed."""
        from hashlib import sha256

        return cls(data=data, sha256=sha256(data).digest(), size_bytes=len(data))

    def view(self) -> bytes:
        """The bytes themselves."""
        return self.data

    def close(self) -> None:
        """Nothing to release."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compressed:
    """Content that lies in memory as one zstd frame, which a blob store may keep as it is.

    Whoever makes it has verified that this is what the frame holds.
    """

    frame: bytes
    sha256: bytes
    size_bytes: int

    def view(self) -> bytes:
        """What is in the frame."""
        from zstandard import ZstdDecompressor

        return ZstdDecompressor().decompress(self.frame)

    def close(self) -> None:
        """Nothing to release."""
