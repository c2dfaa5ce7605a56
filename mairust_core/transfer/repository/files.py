"""Files of a repository: durable before they have their name, read whole, locked for who writes."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mairust_core.disk import is_full
from mairust_core.durable import sync_directory
from mairust_core.errors import DiskFull, Locked, MaiRustError, StorageDown

_READ_ONLY = {errno.EROFS, errno.EACCES, errno.EPERM}


class HashedFile:
    """A new file that knows the SHA-256 of what was written to it; it vanishes unless it is published.

    `sha256` is given where it is known already.
    """

    def __init__(self, directory: Path, sha256: bytes | None = None) -> None:
        self._known = sha256
        self.path = directory / secrets.token_hex(16)
        self._fd = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        self._digest = hashlib.sha256()
        self.size_bytes = 0

    def write(self, data: bytes) -> int:
        """Add bytes; as a file does, it says how many."""
        view = memoryview(data)
        if self._known is None:
            self._digest.update(view)
        size_bytes = len(view)
        while view:
            view = view[os.write(self._fd, view) :]
        self.size_bytes += size_bytes
        return size_bytes

    def flush(self) -> None:
        """Nothing is kept back."""

    @property
    def sha256(self) -> str:
        """Of everything written, in hex."""
        return (self._known or self._digest.digest()).hex()

    def publish(self, target: Path) -> None:
        """Make it durable, then give it its name; the same file twice is one file."""
        os.fsync(self._fd)
        target.parent.mkdir(mode=0o700, exist_ok=True)
        os.replace(self.path, target)
        sync_directory(target.parent)
        sync_directory(target.parent.parent)  # whoever made it may have died before this

    def close(self) -> None:
        """Let go of it, and delete it when it was not published."""
        os.close(self._fd)
        self.path.unlink(missing_ok=True)


@contextmanager
def new_file(directory: Path, sha256: bytes | None = None) -> Iterator[HashedFile]:
    """A file to write, publish or forget."""
    file = HashedFile(directory, sha256)
    try:
        yield file
    finally:
        file.close()


def write_named(path: Path, data: Iterable[bytes], drafts: Path) -> None:
    """Write a file under a name of its own, durably; raises `OSError`."""
    with new_file(drafts) as file:
        for chunk in data:
            file.write(chunk)
        file.publish(path)


@contextmanager
def locked(path: Path, *, shared: bool = False) -> Iterator[None]:
    """Hold a lock for a block; raises `Locked` at once. It ends with the process, however that ends."""
    mode = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        fd = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if not shared or error.errno not in _READ_ONLY:
            raise
        yield  # nobody can write here, so nobody has to be kept from it
        return
    try:
        try:
            fcntl.flock(fd, mode | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Locked("repository", path=path.parent) from error
        yield
    finally:
        os.close(fd)


@contextmanager
def on_disk(path: Path, what: str = "repository") -> Iterator[None]:
    """Turn what the operating system refuses into an error of ours that names the path, and what it is."""
    try:
        yield
    except OSError as error:
        raise failure(error, path, what) from error


def failure(error: OSError, path: Path, what: str = "repository") -> MaiRustError:
    """What a failed system call means at `path`; elsewhere lies what the site remembers of its backups."""
    kind = DiskFull if is_full(error) else StorageDown
    named = Path(error.filename) if isinstance(error.filename, str) else path
    if not named.is_relative_to(path):
        what = "backup_cache"
    return kind(what, path=named, why=error.strerror or str(error))
