"""Sockets to listen on: one program has each, and it listens from the first moment.

A socket that is bound but does not listen yet looks free (TCP with SO_REUSEADDR) or stale (UNIX) to another
program; so every one listens before its address is let go of. Who connects meanwhile waits.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

BACKLOG = 1024
UNIX_PREFIX = "unix:"
PATIENCE_S = 10.0
"""For another program that binds in the same directory."""


def bind_tcp(host: str, port: int, count: int = 1) -> list[socket.socket]:
    """Listening TCP sockets on one address, `count` sharing the port; an empty host means every address.

    Raises `OSError`, also when another program shares that port among its own sockets.
    """
    sole = _listening(host, port)
    if count == 1:
        return [sole]
    bound: list[socket.socket] = []
    with sole:  # it alone proves that nobody else is there: SO_REUSEPORT would let them share
        sole.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        try:
            while len(bound) < count:
                bound.append(_listening(host, sole.getsockname()[1], shared=True))
        except OSError:
            for one in bound:
                one.close()
            raise
    return bound


def _listening(host: str, port: int, *, shared: bool = False) -> socket.socket:
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, kind, protocol, _, address = found[0]
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind(address)
        bound.listen(BACKLOG)
    except OSError:
        bound.close()
        raise
    return bound


def bind_unix(path: Path, mode: int) -> socket.socket:
    """A listening UNIX socket with these permissions, in place of a stale one. Raises `OSError`."""
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _alone_in(path.parent):
            with contextlib.suppress(FileNotFoundError):
                if stat.S_ISSOCK(path.lstat().st_mode) and not _answers(path):
                    path.unlink()
            bound.bind(str(path))
            # Before it listens nobody can connect, so nobody slips in under wider permissions.
            os.chmod(path, mode)
            bound.listen(BACKLOG)
    except OSError:
        bound.close()
        raise
    return bound


@dataclass(frozen=True, slots=True)
class UnixPath:
    """The file of a UNIX socket, known again even when another took its place."""

    path: Path
    device: int
    inode: int

    @classmethod
    def of(cls, path: Path) -> UnixPath:
        """The one that lies there now."""
        status = path.lstat()
        return cls(path, status.st_dev, status.st_ino)

    def remove(self) -> None:
        """Take it out of the file system; another's is left alone. Raises `OSError`."""
        with _alone_in(self.path.parent), contextlib.suppress(FileNotFoundError):
            if UnixPath.of(self.path) == self:
                self.path.unlink()


def bound_address(bound: socket.socket) -> str:
    """Where a socket is bound, as configuration writes it."""
    name = bound.getsockname()
    if not isinstance(name, tuple):
        return f"{UNIX_PREFIX}{name}"
    return f"[{name[0]}]:{name[1]}" if ":" in name[0] else f"{name[0]}:{name[1]}"


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)  # a full queue is an answer too
        return probe.connect_ex(str(path)) not in (errno.ECONNREFUSED, errno.ENOENT)


@contextlib.contextmanager
def _alone_in(directory: Path) -> Iterator[None]:
    """Nobody of ours changes the sockets of a directory meanwhile."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    deadline = time.monotonic() + PATIENCE_S
    try:
        while not _locked(fd, deadline):
            time.sleep(0.01)
        yield
    finally:
        os.close(fd)


def _locked(fd: int, deadline: float) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        if time.monotonic() > deadline:
            raise
        return False
    return True
