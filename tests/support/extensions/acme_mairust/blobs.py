"""A file for each blob: durable, verified, and as plain as can be."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterator, Sequence
from hashlib import sha256 as hash_of
from pathlib import Path
from typing import TYPE_CHECKING

from mairust_core.blobs.collect import Budget, BudgetedCollector
from mairust_core.errors import Damaged
from mairust_core.model.blob import Content, Locator

if TYPE_CHECKING:
    from mairust_core.config.settings import Blobs

PIECE_BYTES = 256 << 10
_LOCATOR = re.compile(r"acme:[0-9a-f]{32}-[0-9a-f]{64}")


class DirectoryBlobs:
    """`BlobStore` in a directory of files."""

    def __init__(self, directory: Path, budget: Budget) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self._budget = budget

    @classmethod
    def of(cls, settings: Blobs) -> DirectoryBlobs:
        """The store that `blobs.options` describes."""
        options = settings.options or {}
        return cls(Path(str(options["directory"])), Budget(settings.in_flight_bytes))

    def put_many(self, contents: Sequence[Content]) -> list[Locator]:
        """Write each, then make their names durable."""
        found = [self._put(content) for content in contents]
        directory = os.open(self.directory, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
        return found

    def _put(self, content: Content) -> Locator:
        name = f"{uuid.uuid4().hex}-{content.sha256.hex()}"
        with open(self.directory / name, "xb") as file:
            file.write(content.view())
            file.flush()
            os.fsync(file.fileno())
        return Locator(f"acme:{name}")

    def path(self, locator: Locator, sha256: bytes = b"") -> Path:
        """The file of a blob; raises `Damaged` when there is none."""
        path = self.directory / locator.removeprefix("acme:")
        if not _LOCATOR.fullmatch(locator) or not path.exists():
            raise Damaged("missing", sha256=sha256.hex() or "unknown", locator=locator)
        return path

    def get(self, locator: Locator, sha256: bytes) -> bytes:
        """The bytes, verified."""
        data = self.path(locator, sha256).read_bytes()
        if hash_of(data).digest() != sha256:
            raise _damaged(locator, sha256)
        return data

    def open_range(self, locator: Locator, start: int, stop: int) -> Iterator[bytes]:
        """Pieces of the bytes; verified when the range reaches the end."""
        return self._pieces(locator, self.path(locator).read_bytes(), start, stop)

    def _pieces(self, locator: Locator, data: bytes, start: int, stop: int) -> Iterator[bytes]:
        for at in range(start, min(stop, len(data)), PIECE_BYTES):
            yield data[at : min(at + PIECE_BYTES, stop)]
        sha256 = bytes.fromhex(locator[-64:])
        if stop >= len(data) and hash_of(data).digest() != sha256:
            raise _damaged(locator, sha256)

    def delete_many(self, locators: Sequence[Locator]) -> None:
        """Unlink them."""
        for locator in locators:
            if _LOCATOR.fullmatch(locator):
                (self.directory / locator.removeprefix("acme:")).unlink(missing_ok=True)

    def collector(self) -> BudgetedCollector:
        """Collects in memory, within the budget."""
        return BudgetedCollector(self._budget, None)

    def free_bytes(self) -> tuple[int, int]:
        """Of the file system."""
        room = os.statvfs(self.directory)
        return room.f_bavail * room.f_frsize, room.f_blocks * room.f_frsize

    def close(self) -> None:
        """Nothing is held."""


def _damaged(locator: Locator, sha256: bytes) -> Damaged:
    why = "its data does not have the hash it was stored under"
    return Damaged("blob", sha256=sha256.hex(), locator=locator, why=why)
