"""One server per data directory: a lock that ends with its last process, whatever became of that."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mairust_core.errors import BadConfig, Locked

LOCK = "serve.lock"


@contextmanager
def only_server(run_dir: Path) -> Iterator[None]:
    """Be the one server of a site until the end of the block; workers that are forked in it hold it too.

    `run_dir` is made, 0700. Raises `Locked` while another server runs, `BadConfig` when it cannot be made.
    """
    try:
        run_dir.mkdir(mode=0o700, exist_ok=True)
        fd = os.open(run_dir / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise BadConfig("run_dir", path=run_dir, why=error.strerror) from error
    try:
        _lock(fd, run_dir.parent)
        yield
    finally:
        os.close(fd)


def _lock(fd: int, data_dir: Path) -> None:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise Locked("server", path=data_dir) from error
