"""A package that comes in: on its way to disk bounded, read whole, judged by whom this site trusts.

It lies in a file without a name, so that nothing is left of one that is refused, however this process ends.
"""

from __future__ import annotations

import hashlib
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from mairust_core.disk import require_room
from mairust_core.errors import DiskFull, TooLarge
from mairust_core.ids import now_ms
from mairust_core.model.plugin import Manifest
from mairust_core.model.principal import Principal
from mairust_core.model.trust import Signers
from mairust_core.operations import BytesIn
from mairust_core.plugins.manifest import Ground
from mairust_core.plugins.package import ArchiveLimits, read_package
from mairust_core.plugins.package.reading import USUAL
from mairust_core.plugins.standing import named_in, require_trusted
from mairust_core.plugins.times import times
from mairust_core.plugins.trust import judge
from mairust_core.store import StorageBackend, trust


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """A sound package that this site trusts, or that nobody signed; `archive` is the SHA-256 of its bytes."""

    file: BinaryIO
    archive: str
    size_bytes: int
    manifest: Manifest
    digest: str
    toml: str
    listing: str
    signers: Signers

    def parts(self, size_bytes: int) -> Iterator[bytes]:
        """All of its bytes, in order, so many at a time."""
        self.file.seek(0)
        while data := self.file.read(size_bytes):
            yield data


class Reader:
    """Reads packages on the ground of one site, one at a time, so that few bytes wait. Thread-safe."""

    def __init__(
        self,
        storage: StorageBackend,
        directory: Path,
        ground: Ground,
        limits: ArchiveLimits = USUAL,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        """`directory` is where the file lies while it is read."""
        self._storage = storage
        self._directory = directory
        self._ground = ground
        self._limits = limits
        self._clock = clock
        self._one = threading.Lock()

    @contextmanager
    def arrived(self, by: Principal, content: BytesIn) -> Iterator[Arrived]:
        """The package that these bytes are; its file is gone after the block.

        Raises `TooLarge`, `DiskFull`, `Invalid` for what is no sound package, `Forbidden` for one that is
        signed by somebody who is not trusted here, or revoked.
        """
        with self._one, self._file() as file:
            archive = self._spool(content, file)
            package = read_package(file, self._ground, self._limits)
            with self._storage.read() as tx:
                signers = judge(package, trust.trusted(tx, by, ()), times(tx, by, self._clock()))
                trusted = trust.trusted(tx, by, named_in([(package.digest, signers)]))
            require_trusted(package.manifest.id, package.digest, signers, trusted)
            yield Arrived(
                file=file, archive=archive, size_bytes=package.size_bytes, manifest=package.manifest,
                digest=package.digest, toml=package.toml.decode(), listing=package.listing.decode(),
                signers=signers,
            )  # fmt: skip

    def _file(self) -> BinaryIO:
        """A file without a name; unbuffered, so that a full disk tells where it is written."""
        try:
            require_room(self._directory, self._limits.archive_bytes)
            return cast(BinaryIO, tempfile.TemporaryFile(dir=self._directory, buffering=0))
        except OSError as error:
            raise DiskFull("upload", why=error.strerror) from error

    def _spool(self, content: BytesIn, file: BinaryIO) -> str:
        limit = self._limits.archive_bytes
        hashed, size_bytes = hashlib.sha256(), 0
        for chunk in content.chunks:
            size_bytes += len(chunk)
            if size_bytes > limit:
                raise TooLarge("package", limit=limit)
            hashed.update(chunk)
            _write(file, chunk)
        file.seek(0)
        return hashed.hexdigest()


def _write(file: BinaryIO, data: bytes) -> None:
    """Write all of it: a disk that fills takes a part first."""
    left = memoryview(data)
    try:
        while left:
            left = left[file.write(left) :]
    except OSError as error:
        raise DiskFull("upload", why=error.strerror) from error
