"""Which server runs on a data directory: it says so itself, in a file whose lock ends with it.

    DATA_DIR/run/server.json     written when the server is ready; who holds its flock is running

The lock tells the truth also after SIGKILL; process ids alone come again.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A server that is ready; `listeners` are the real addresses by name, `off` where there is none."""

    pid: int
    version: str
    started_ms: int
    workers: int
    listeners: dict[str, str] = field(default_factory=dict)


class Presence:
    """The file of a server that is about to run; `say` tells the rest once it is ready."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def say(self, running: Running) -> None:
        """Tell who runs, in one write."""
        os.pwrite(self._fd, json.dumps(asdict(running)).encode(), 0)


def server_path(data_dir: Path) -> Path:
    """Where a server says that it runs."""
    return data_dir / "run" / "server.json"


@contextmanager
def presence(data_dir: Path) -> Iterator[Presence]:
    """Be the server of a data directory until the block ends."""
    path = server_path(data_dir)
    fd = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)  # whoever looks holds it for microseconds
        os.ftruncate(fd, 0)
        yield Presence(fd)
        with suppress(OSError):
            path.unlink(missing_ok=True)
    finally:
        os.close(fd)


def running_on(data_dir: Path) -> Running | None:
    """The server that runs on a data directory; None when none does, or none is ready yet."""
    try:
        fd = os.open(server_path(data_dir), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        said = os.read(fd, 1 << 16)
        return Running(**json.loads(said)) if said else None
    finally:
        os.close(fd)
    return None
