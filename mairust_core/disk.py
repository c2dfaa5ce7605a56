"""Room on a disk: what mail leaves free, and a file kept so that deleting works when it is full (rule J3).

Deleting writes too, into the database and its log. Mail is refused long before the last byte is gone, but
other programs fill disks as well; then the file is given up, and what it held goes to no mail.
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mairust_core.errors import DiskFull

FREE_BYTES = 1 << 30
FREE_SHARE = 0.05
"""Below the lesser of the two no mail is taken."""
RESERVE = "reserve"
RESERVE_SHARE = 0.05
"""Of the disk, at most."""

log = logging.getLogger("mairust.disk")


def is_full(error: OSError) -> bool:
    """Whether a call failed because the disk, or its owner's share of it, has no room."""
    return error.errno in {errno.ENOSPC, errno.EDQUOT}


def is_mounted_read_only(path: Path) -> bool:
    """Whether nobody, root included, can write below this path, whatever its permissions say."""
    try:
        return bool(os.statvfs(path).f_flag & os.ST_RDONLY)
    except OSError:
        return False


def has_room(free_bytes: int, total_bytes: int) -> bool:
    """Whether a disk with so much free takes mail."""
    return free_bytes >= min(FREE_BYTES, int(total_bytes * FREE_SHARE))


def require_room(directory: Path, size_bytes: int) -> None:
    """Raise `OSError` where so many bytes more would leave too little for mail; and as `statvfs` does."""
    free, total = _disk(directory)
    if not has_room(free - size_bytes, total):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(directory))


@contextmanager
def needing_room(what: str, directory: Path) -> Iterator[None]:
    """Raise `DiskFull` of `what` naming the directory, instead of what met the full disk inside."""
    try:
        yield
    except DiskFull as error:
        named = error.values.get("directory", error.values.get("path", directory))
        if not Path(str(named)).is_relative_to(directory):  # it may be another disk
            raise
        raise DiskFull(what, path=directory) from error
    except OSError as error:
        if not is_full(error):
            raise
        raise DiskFull(what, path=directory) from error


def keep_reserve(data_dir: Path, size_bytes: int) -> bool:
    """Have the file, unless that would leave too little for mail; whether it is there now."""
    path = data_dir / RESERVE
    if path.exists():
        return True
    free, total = _disk(data_dir)
    wanted = min(size_bytes, int(total * RESERVE_SHARE))
    if not has_room(free - wanted, total):
        return False
    fd = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(fd, 0, wanted)
    except OSError as error:
        log.info("no room is kept for deleting: %s", error)
        path.unlink(missing_ok=True)
        return False
    finally:
        os.close(fd)
    return True


def give_up_reserve(data_dir: Path) -> bool:
    """Delete the file when less than its size is free otherwise; whether that was so."""
    path = data_dir / RESERVE
    try:
        if _disk(data_dir)[0] >= path.stat().st_size:
            return False
        path.unlink()
    except FileNotFoundError:
        return False
    log.info("the disk of %s is full: the room kept for deleting is given up", data_dir)
    return True


def _disk(directory: Path) -> tuple[int, int]:
    disk = os.statvfs(directory)
    return disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize
