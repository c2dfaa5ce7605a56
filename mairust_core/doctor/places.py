"""The files of a site, and who may read them."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from mairust_core.blobs.drivers import FS, are_claimed
from mairust_core.blobs.records import MAGIC
from mairust_core.config import Settings
from mairust_core.config.effective import is_secret, value_of
from mairust_core.config.schema import keys
from mairust_core.disk import is_mounted_read_only
from mairust_core.doctor.findings import Found

OTHERS = 0o077
"""Permissions of group and others."""
ADMIN_TOKEN = "admin.token"  # noqa: S105 - a file name
SEGMENTS_LOOKED_AT = 200


def site(settings: Settings) -> Iterator[Found]:
    """Whether there is a site that this process may look into; anything found ends the examination."""
    path = settings.data_dir
    try:
        status = path.stat()
        os.listdir(path)
    except (FileNotFoundError, NotADirectoryError):
        yield Found("site.missing", path=path)
        return
    except OSError as error:
        yield Found("data_dir.owner", path=path, owner=_owner(path), why=error.strerror)
        return
    if status.st_uid != os.geteuid() != 0:
        yield Found("data_dir.owner", path=path, owner=status.st_uid, why=os.strerror(errno.EACCES))
    elif is_mounted_read_only(path):
        yield Found("data_dir.read_only", path=path)
    elif (file := settings.database.sqlite_path) is not None and not file.exists():
        if are_claimed(settings):
            yield Found("blobs.foreign", path=settings.blobs.path, database=file)
        else:
            yield Found("site.missing", path=path)


def _owner(path: Path) -> int | str:
    try:
        return path.stat().st_uid
    except OSError:
        return "?"


def data_dir(settings: Settings) -> Iterator[Found]:
    """The data directory is its owner's alone."""
    if mode := _mode(settings.data_dir) & OTHERS:
        yield Found("data_dir.open", path=settings.data_dir, mode=f"{mode:03o}")


def config_file(settings: Settings) -> Iterator[Found]:
    """A configuration that holds a secret is not for everybody."""
    file = settings.config_file
    if file is None or not _mode(file) & 0o007:
        return
    secrets = [
        name
        for name, key in keys().items()
        if settings.origin(name).kind == "file" and is_secret(key, value_of(settings, key))
    ]
    if secrets:
        yield Found("config.readable", path=file, keys=", ".join(secrets))


def admin_token(settings: Settings) -> Iterator[Found]:
    """The first administrator's key is readable by the owner only."""
    path = settings.data_dir / ADMIN_TOKEN
    if _mode(path) & OTHERS:
        yield Found("admin_token.readable", path=path)


def master_key(settings: Settings) -> Iterator[Found]:
    """The key that wraps all secrets is there, and readable by the owner only."""
    path = settings.secrets.master_key_file
    if not path.exists():
        yield Found("master_key.missing", path=path)
    elif _mode(path) & OTHERS:
        yield Found("master_key.readable", path=path)


def blobs(settings: Settings) -> Iterator[Found]:
    """The blob directory can be used, and its newest segments begin as segments do."""
    if settings.blobs.driver != FS:
        return
    if found := unreachable_blobs(settings):
        yield found
        return
    segments = settings.blobs.path / "segments"
    bad = [path.name for path in _newest(segments) if not _begins_well(path)]
    if bad:
        yield Found("blobs.unreadable", path=segments, count=len(bad), names=", ".join(sorted(bad)[:3]))


def unreachable_blobs(settings: Settings) -> Found | None:
    """What keeps the site from its blobs: a directory that is not there, or is somebody else's.

    Nothing where an extension keeps them: no path of ours says where.
    """
    if settings.blobs.driver != FS:
        return None
    directory = settings.blobs.path
    if not directory.exists():
        if settings.data_dir in directory.parents:
            return None  # the first mail makes it
        return Found("blobs.unreachable", path=directory, why=os.strerror(errno.ENOENT))
    if not directory.is_dir():
        return Found("blobs.unreachable", path=directory, why=os.strerror(errno.ENOTDIR))
    shut = first_shut(settings, _files_of_blobs(directory))
    return None if shut is None else Found("blobs.unreachable", path=shut, why=os.strerror(errno.EACCES))


def _files_of_blobs(directory: Path) -> Iterator[Path]:
    yield directory
    yield from (directory / name for name in ("segments", "files", "tmp"))
    yield from _newest(directory / "segments")


def first_shut(settings: Settings, paths: Iterable[Path]) -> Path | None:
    """The first of these, if they are there, that the owner of the site cannot read and write."""
    site = settings.data_dir.stat()
    return next((path for path in paths if not _may_use(path, site)), None)


def _may_use(path: Path, site: os.stat_result) -> bool:
    try:
        status = path.stat()
    except FileNotFoundError:
        return True
    wanted = 7 if stat.S_ISDIR(status.st_mode) else 6
    if site.st_uid == os.geteuid():
        return os.access(path, wanted)
    # root, whom nothing stops, asks for the server: it has no groups but the data directory's
    shift = 6 if status.st_uid == site.st_uid else 3 if status.st_gid == site.st_gid else 0
    return status.st_mode >> shift & wanted == wanted


def _newest(segments: Path) -> list[Path]:
    try:
        with os.scandir(segments) as entries:
            found = [(entry.stat().st_mtime_ns, entry.path) for entry in entries if entry.is_file()]
    except FileNotFoundError:
        return []
    return [Path(path) for _, path in sorted(found, reverse=True)[:SEGMENTS_LOOKED_AT]]


def _begins_well(path: Path) -> bool:
    """Whether a segment is empty or begins with a record; one that was deleted meanwhile is well."""
    try:
        with path.open("rb") as file:
            head = file.read(len(MAGIC))
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return not head or head == MAGIC


def _mode(path: Path) -> int:
    """The permissions of a path, 0 when there is none."""
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return 0
