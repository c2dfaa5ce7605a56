"""Whose blobs a directory holds: collection of one site must never look at those of another (rule C2).

The name of the site, from its database, lies beside the blobs. A database that was lost, or another one
that the configuration names by mistake, does not know what refers to them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from mairust_core.blobs.fileops import FileOps, failure
from mairust_core.blobs.locators import InSegment, place_of
from mairust_core.errors import BadConfig
from mairust_core.model.blob import Locator

OWNER = "owner"
_HOLD = ("segments", "files")
"""The directories that hold blobs."""

Named = Callable[[], Sequence[Locator]]
"""Some blobs that the site's database names; asked for only where nothing says whose the directory is."""


def is_claimed(directory: Path) -> bool:
    """Whether anything says whose blobs these are: not so where their disk is not mounted.

    Raises `StorageDown` where that cannot be seen.
    """
    try:
        os.stat(directory / OWNER)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise failure(error, directory) from error
    return True


def check(directory: Path, site: str, named: Named) -> bool:
    """False when nobody has claimed the blobs.

    Raises `BadConfig` when they belong to another site, and when nobody has claimed them and none of `named`
    is there: then this is not the directory that they lie in, which may not be mounted.
    """
    try:
        found = (directory / OWNER).read_text("ascii").strip()
    except (FileNotFoundError, NotADirectoryError):
        if (some := named()) and not any(_is_there(directory, one) for one in some):
            raise BadConfig("blobs_gone", path=directory, note=directory / OWNER, site=site) from None
        return False
    except (OSError, UnicodeDecodeError) as error:
        raise BadConfig("blobs_owner", path=directory / OWNER, why=error) from error
    if found != site:
        raise BadConfig("foreign_blobs", path=directory)
    return True


def claim(directory: Path, site: str, named: Named, *, fresh: bool, used: bool = False) -> None:
    """Note durably that the blobs here are this site's; harmless when they are already.

    Raises `BadConfig` as `check` does, when a database that was made just now (`fresh`) finds blobs that
    it cannot know, and when that of a site whose first run has ended (`used`) finds no store: its blobs are
    elsewhere, maybe another machine's, and neither would find what the other stores.
    """
    if check(directory, site, named):
        return
    try:
        if fresh and any(_holds_files(directory / place) for place in _HOLD):
            raise BadConfig("foreign_blobs", path=directory)
        if used and not any((directory / place).is_dir() for place in _HOLD):
            raise BadConfig("blobs_elsewhere", path=directory, note=directory / OWNER, site=site)
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(directory, site)
    except OSError as error:
        raise failure(error, directory) from error


def _is_there(directory: Path, locator: Locator) -> bool:
    place = place_of(locator)
    if isinstance(place, InSegment):
        return any((directory / "segments").glob(f"{place.name}.*"))
    return place is not None and (directory / "files" / place.shard / place.name).exists()


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
