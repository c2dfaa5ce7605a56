"""The one server of a data directory: it says so itself, in a file whose lock ends with its last process.

    DATA_DIR/run/server.json     whoever holds its flock is the server; written when that is ready

The lock tells the truth also after SIGKILL; process ids alone come again. The file stays when the server
ends: a lock on a file that somebody else has replaced meanwhile would keep nobody out.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from mairust_core.errors import BadConfig, Locked

LOOKED_AT_S = 1.0
"""So long somebody who only looks may have the lock: that is over in microseconds, a server stays."""
AGAIN_S = 0.01


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
    """Be the one server of a data directory until the block ends; workers forked in it hold the lock too.

    `run/` is made, 0700. Raises `Locked` while another server runs, `BadConfig` when the file cannot be made.
    """
    path = server_path(data_dir)
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        fd = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise BadConfig("run_dir", path=path.parent, why=error.strerror) from error
    try:
        _lock(fd, data_dir)
        os.ftruncate(fd, 0)
        yield Presence(fd)
        os.ftruncate(fd, 0)
    finally:
        os.close(fd)


def _lock(fd: int, data_dir: Path) -> None:
    end = time.monotonic() + LOOKED_AT_S
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() > end:
                raise Locked("server", path=data_dir) from error
            time.sleep(AGAIN_S)
        else:
            return


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
