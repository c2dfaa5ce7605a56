"""File operations that keep a log and fail when told to: real calls on a real disk, handed in."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mairust_core.blobs.fileops import FileOps


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call that changes the disk; `path` is relative to the directory watched."""

    op: str
    path: str


class RecordingOps(FileOps):
    """Logs every call under the path it concerns."""

    def __init__(self, directory: Path) -> None:
        self.calls: list[Call] = []
        self._directory = directory
        self._paths: dict[int, str] = {}

    def note(self, op: str, path: str) -> None:
        """Called before each operation."""
        self.calls.append(Call(op=op, path=path))

    def _relative(self, path: Path) -> str:
        return os.path.relpath(path, self._directory)

    def open(self, path: Path, flags: int) -> int:
        self.note("create" if flags & os.O_CREAT else "open", self._relative(path))
        fd = super().open(path, flags)
        self._paths[fd] = self._relative(path)
        return fd

    def open_unnamed(self, directory: Path) -> int:
        self.note("open_unnamed", self._relative(directory))
        fd = super().open_unnamed(directory)
        self._paths[fd] = f"unnamed/{len(self.calls)}"
        return fd

    def write(self, fd: int, data: bytes, offset: int) -> None:
        self.note("write", self._paths[fd])
        super().write(fd, data, offset)

    def fdatasync(self, fd: int) -> None:
        self.note("fdatasync", self._paths[fd])
        super().fdatasync(fd)

    def fsync(self, fd: int) -> None:
        self.note("fsync", self._paths[fd])
        super().fsync(fd)

    def fsync_directory(self, path: Path) -> None:
        self.note("fsync_directory", self._relative(path))
        fd = os.open(path, os.O_RDONLY)
        os.fsync(fd)
        os.close(fd)

    def publish(self, source: Path, target: Path) -> None:
        self.note("publish", self._relative(target))
        super().publish(source, target)

    def rename(self, source: Path, target: Path) -> None:
        self.note("rename", self._relative(target))
        super().rename(source, target)

    def unlink(self, path: Path) -> None:
        self.note("unlink", self._relative(path))
        super().unlink(path)

    def mkdir(self, path: Path) -> None:
        self.note("mkdir", self._relative(path))
        super().mkdir(path)


class FailingOps(RecordingOps):
    """Fails calls of one kind, from the `nth` on, `times` times; a failed write does half of its work."""

    def __init__(self, directory: Path, op: str, nth: int, code: int, times: int = 1) -> None:
        super().__init__(directory)
        self.op = op
        self.failed: list[int] = []
        """Indexes into `calls` of those that failed."""
        self._first = nth
        self._last = nth + times - 1
        self._code = code
        self._seen = 0

    def note(self, op: str, path: str) -> None:
        super().note(op, path)
        if op == self.op and self._due():
            raise self._error()

    def write(self, fd: int, data: bytes, offset: int) -> None:
        RecordingOps.note(self, "write", self._paths[fd])
        if self.op == "write" and self._due():
            FileOps.write(self, fd, data[: len(data) // 2], offset)
            raise self._error()
        FileOps.write(self, fd, data, offset)

    def heal(self) -> None:
        """No call fails any more."""
        self._last = self._seen

    def _due(self) -> bool:
        self._seen += 1
        return self._first <= self._seen <= self._last

    def _error(self) -> OSError:
        self.failed.append(len(self.calls) - 1)
        return OSError(self._code, errno.errorcode[self._code])


@contextmanager
def room_for(size_bytes: int) -> Iterator[None]:
    """Let no file of this process grow beyond so many bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
