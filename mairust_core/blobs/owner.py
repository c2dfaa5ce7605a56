"""Whose blobs a directory holds: collection of one site must never look at those of another (rule C2).

The name of the site, from its database, lies beside the blobs. A database that was lost, or another one
that the configuration names by mistake, does not know what refers to them.
"""

from __future__ import annotations

import os
from pathlib import Path

from mairust_core.blobs.fileops import FileOps, failure
from mairust_core.errors import BadConfig

OWNER = "owner"
_HOLD = ("segments", "files")
"""The directories that hold blobs."""


def check(directory: Path, site: str) -> bool:
    """Raise `BadConfig` when the blobs belong to another site; False when nobody has claimed them."""
    try:
        found = (directory / OWNER).read_text("ascii").strip()
    except FileNotFoundError:
        return False
    except (OSError, UnicodeDecodeError) as error:
        raise BadConfig("blobs_owner", path=directory / OWNER, why=error) from error
    if found != site:
        raise BadConfig("foreign_blobs", path=directory)
    return True


def claim(directory: Path, site: str, *, fresh: bool) -> None:
    """Note durably that the blobs here are this site's; harmless when they are already.

    Raises `BadConfig` for those of another site, and when a database that was made just now (`fresh`)
    finds blobs that it cannot know.
    """
    if check(directory, site):
        return
    try:
        if fresh and any(_holds_files(directory / place) for place in _HOLD):
            raise BadConfig("foreign_blobs", path=directory)
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(directory, site)
    except OSError as error:
        raise failure(error, directory) from error


def _holds_files(directory: Path) -> bool:
    return directory.is_dir() and any(directory.iterdir())


def _write(directory: Path, site: str) -> None:
    ops = FileOps()
    draft = directory / f".{OWNER}.{os.getpid()}"
    fd = ops.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        ops.write(fd, f"{site}\n".encode("ascii"), 0)
        ops.fsync(fd)
    finally:
        os.close(fd)
    ops.rename(draft, directory / OWNER)
    ops.fsync_directory(directory)
