"""The machine: room on its disks, limits of processes, the server that runs, Python."""

from __future__ import annotations

import os
import re
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

from mairust_core import __version__
from mairust_core.config import Settings
from mairust_core.disk import FREE_BYTES, FREE_SHARE
from mairust_core.doctor.findings import Found
from mairust_core.running import running_on

LOW_SHARES = 4
"""So many times the reserve is low."""
FILES_BESIDE_CONNECTIONS = 200
"""Descriptors a worker needs for the database, HTTP, blobs and itself."""
OLDEST_PYTHON = (3, 11)
_OPEN_FILES = re.compile(r"^Max open files\s+(\d+|unlimited)", re.MULTILINE)


def disk(settings: Settings) -> Iterator[Found]:
    """Enough room where bytes and rows are written."""
    paths = [settings.blobs.path, settings.data_dir]
    if settings.database.sqlite_path is not None:
        paths.append(settings.database.sqlite_path.parent)
    seen = set()
    for path in paths:
        if not path.exists() or path.stat().st_dev in seen:
            continue
        seen.add(path.stat().st_dev)
        room = os.statvfs(path)
        yield from judged_room(path, room.f_bavail * room.f_frsize, room.f_blocks * room.f_frsize)


def judged_room(path: Path, free_bytes: int, total_bytes: int) -> Iterator[Found]:
    """What so much room means: below the reserve mail is refused (rule J3)."""
    reserve = min(FREE_BYTES, int(total_bytes * FREE_SHARE))
    told = {"path": path, "free_mib": free_bytes >> 20, "reserve_mib": reserve >> 20}
    if free_bytes < reserve:
        yield Found("disk.full", **told)
    elif free_bytes < reserve * LOW_SHARES:
        yield Found("disk.low", **told)


def open_files(settings: Settings) -> Iterator[Found]:
    """A worker may open as many files as it may have connections."""
    needed = settings.smtp.max_connections + FILES_BESIDE_CONNECTIONS
    running = running_on(settings.data_dir)
    limit = _limit_of(running.pid) if running else None
    if limit is None:
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if limit != resource.RLIM_INFINITY and limit < needed:
        yield Found("limits.open_files", limit=limit, needed=needed)


def _limit_of(pid: int) -> int | None:
    """The limit of another process; None where it cannot be told."""
    try:
        found = _OPEN_FILES.search(Path(f"/proc/{pid}/limits").read_text("ascii"))
    except OSError:
        return None
    if found is None:
        return None
    return resource.RLIM_INFINITY if found[1] == "unlimited" else int(found[1])


def server(settings: Settings) -> Iterator[Found]:
    """A server runs, of this version."""
    running = running_on(settings.data_dir)
    if running is None:
        yield Found("server.not_running", path=settings.data_dir)
    elif running.version != __version__:
        yield Found("server.other_version", theirs=running.version, ours=__version__)


def python(_settings: Settings) -> Iterator[Found]:
    """The interpreter is one that MaiRust is tested with."""
    yield from judged_python(sys.version_info[:2], sys.implementation.name)


def judged_python(version: tuple[int, int], implementation: str) -> Iterator[Found]:
    """What a version of Python means."""
    if version < OLDEST_PYTHON or implementation != "cpython":
        found = f"{implementation} {version[0]}.{version[1]}"
        yield Found("python.version", found=found, needed=".".join(map(str, OLDEST_PYTHON)))
