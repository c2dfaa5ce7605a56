"""The system calls that change the disk, in one object, so that tests can record them and make them fail."""

from __future__ import annotations

import fcntl
import os
import tempfile
from pathlib import Path

from mairust_core.disk import is_full
from mairust_core.errors import DiskFull, MaiRustError, StorageDown


class FileOps:
    """Every call either does all it says or raises `OSError`. Files are for the owner only."""

    def open(self, path: Path, flags: int) -> int:
        """A descriptor of `path`."""
        return os.open(path, flags | os.O_CLOEXEC, 0o600)

    def open_unnamed(self, directory: Path) -> int:
        """A descriptor of a new file on the disk of `directory` that vanishes with its last user."""
        with tempfile.TemporaryFile(dir=directory, buffering=0) as file:
            return fcntl.fcntl(file.fileno(), fcntl.F_DUPFD_CLOEXEC, 3)

    def write(self, fd: int, data: bytes, offset: int) -> None:
        """Write all of `data` at `offset`."""
        rest = memoryview(data)
        while rest:
            written = os.pwrite(fd, rest, offset)
            rest, offset = rest[written:], offset + written

    def fdatasync(self, fd: int) -> None:
        """Make data and length of an open file durable."""
        os.fdatasync(fd)

    def fsync(self, fd: int) -> None:
        """Make an open file durable."""
        os.fsync(fd)

    def fsync_directory(self, path: Path) -> None:
        """Make the entries of a directory durable."""
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self.fsync(fd)
        finally:
            os.close(fd)

    def publish(self, source: Path, target: Path) -> None:
        """Give a file its final name; raises `FileExistsError` rather than replace.

        A link and an unlink, for rename(2) replaces; a crash between them leaves the temporary name behind.
        """
        os.link(source, target)
        os.unlink(source)

    def rename(self, source: Path, target: Path) -> None:
        """Rename a file."""
        os.rename(source, target)

    def unlink(self, path: Path) -> None:
        """Delete a file."""
        os.unlink(path)

    def mkdir(self, path: Path) -> None:
        """Make sure the directory exists."""
        path.mkdir(mode=0o700, exist_ok=True)


def lock(fd: int) -> bool:
    """Take the exclusive flock of an open file, unless somebody else has it; it ends with the descriptor."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def failure(error: OSError, directory: Path) -> MaiRustError:
    """What a failed system call on the blob directory means to the caller."""
    kind = DiskFull if is_full(error) else StorageDown
    return kind("blobs", directory=str(directory), why=error.strerror or str(error))
