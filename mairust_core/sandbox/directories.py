"""The directory of a plugin, as it really is when its process starts.

Its owner may move it away and put something else in its place at any time. So it is gone to step by step,
through no link but those that root made where only root makes them; and the launcher compares what it is in
with what was judged here.
"""

from __future__ import annotations

import os
import stat
from collections import deque
from contextlib import suppress
from pathlib import Path

MAX_LINKS = 16

Identity = tuple[int, int]
"""Device and inode."""


class Unsafe(Exception):
    """This is no directory to run a plugin from; the text says why."""


def identified(directory: Path) -> Identity:
    """Which directory it is; raises `Unsafe`."""
    if not directory.is_absolute():
        raise Unsafe(f"{directory} is no whole path")
    try:
        return _walked(directory)
    except OSError as error:
        raise Unsafe(f"{directory}: {error.strerror}") from error


def _walked(directory: Path) -> Identity:
    left, links = deque(directory.parts[1:]), 0
    at = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        while left:
            name = left.popleft()
            if stat.S_ISLNK(os.stat(name, dir_fd=at, follow_symlinks=False).st_mode):
                links += 1
                target = _followed(name, at, links, directory)
                if target.is_absolute():
                    at = _replaced(at, os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
                left.extendleft(reversed([part for part in target.parts if part != "/"]))
                continue
            flags = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            at = _replaced(at, os.open(name, flags, dir_fd=at))
            _require_kept(at, name, is_last=not left)
        found = os.fstat(at)
        return found.st_dev, found.st_ino
    finally:
        os.close(at)


def _replaced(old: int, new: int) -> int:
    os.close(old)
    return new


def _followed(name: str, at: int, links: int, directory: Path) -> Path:
    """Where a link leads that only root can have made."""
    link, place = os.stat(name, dir_fd=at, follow_symlinks=False), os.fstat(at)
    shared = place.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not place.st_mode & stat.S_ISVTX
    if links > MAX_LINKS or link.st_uid != 0 or place.st_uid != 0 or shared:
        raise Unsafe(f"{name} in the path {directory} is a link")
    return Path(os.readlink(name, dir_fd=at))


def _require_kept(at: int, name: str, *, is_last: bool) -> None:
    """Nobody but its owner and group may put anything else in its place, or into it."""
    mode = os.fstat(at).st_mode
    if mode & stat.S_IWOTH and (is_last or not mode & stat.S_ISVTX):
        raise Unsafe(f"everybody may write to {name}")


def closed_to_others(directory: Path) -> Path | None:
    """Which directory on the way to this one, or itself, keeps a user that owns none of them out.

    None also for what is not there: whoever goes there finds that.
    """
    with suppress(OSError):
        directory = directory.resolve()
        for one in (*reversed(directory.parents), directory):
            wanted = stat.S_IROTH | stat.S_IXOTH if one == directory else stat.S_IXOTH
            if one.stat().st_mode & wanted != wanted:
                return one
    return None


def too_near(directory: Path, hidden: tuple[Path, ...]) -> Path | None:
    """Which of the hidden paths it is, is inside of, or holds."""
    with suppress(OSError):
        directory = directory.resolve(strict=True)
    for path in hidden:
        if path == directory or path in directory.parents or directory in path.parents:
            return path
    return None
