"""The bytes of one message on their way: small ones in memory, large ones in a file (rule B4)."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from hashlib import sha256
from io import BytesIO
from typing import IO

from mairust_core.model.blob import MEMORY_LIMIT_BYTES

PIECE_BYTES = 1 << 18


class Payload:
    """All bytes of a message with their hash; may be read more than once until it is closed."""

    __slots__ = ("_data", "_file", "sha256", "size_bytes")

    def __init__(self, *, data: bytes = b"", file: IO[bytes] | None = None, digest: bytes, size: int) -> None:
        self._data = data
        self._file = file
        self.sha256 = digest
        self.size_bytes = size

    @classmethod
    def of(cls, data: bytes) -> Payload:
        """The payload of bytes in memory."""
        return cls(data=data, digest=sha256(data).digest(), size=len(data))

    @classmethod
    def of_file(cls, file: IO[bytes]) -> Payload:
        """The payload of a file, from its start to its end; closes it in the end."""
        digest, size = sha256(), 0
        file.seek(0)
        while piece := file.read(PIECE_BYTES):
            digest.update(piece)
            size += len(piece)
        return cls(file=file, digest=digest.digest(), size=size)

    @property
    def in_file(self) -> bool:
        """Whether a file is open for it."""
        return self._file is not None

    def chunks(self) -> Iterator[bytes]:
        """The bytes, from the beginning."""
        if self._file is None:
            yield self._data
            return
        self._file.seek(0)
        while piece := self._file.read(PIECE_BYTES):
            yield piece

    def open(self) -> IO[bytes]:
        """All bytes as a file, which stays the payload's; read by nobody else meanwhile."""
        if self._file is None:
            return BytesIO(self._data)
        self._file.seek(0)
        return self._file

    def head(self, size: int) -> bytes:
        """The first bytes."""
        if self._file is None:
            return self._data[:size]
        self._file.seek(0)
        return self._file.read(size)

    def crlf_size_bytes(self) -> int:
        """How long it is once each line ends with CRLF; reads all of it."""
        size, before = self.size_bytes, b""
        for chunk in self.chunks():
            size += chunk.count(b"\n") - chunk.count(b"\r\n")
            size -= before == b"\r" and chunk.startswith(b"\n")
            before = chunk[-1:]
        return size

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()


class Gathering:
    """A payload that comes in pieces: beyond 1 MiB they go to a temporary file without a name."""

    def __init__(self) -> None:
        self._held: list[bytes] = []
        self._size = 0
        self._file: IO[bytes] | None = None

    def add(self, piece: bytes) -> None:
        """Take in a piece. Raises `OSError` when there is no room for it."""
        self._size += len(piece)
        if self._file is not None:
            self._file.write(piece)
            return
        self._held.append(piece)
        if self._size > MEMORY_LIMIT_BYTES:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - the payload closes it
            self._file.writelines(self._held)
            self._held = []

    def finish(self) -> Payload:
        """Everything that was taken in."""
        if self._file is None:
            return Payload.of(b"".join(self._held))
        self._file.flush()
        return Payload.of_file(self._file)
