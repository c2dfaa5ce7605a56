"""The directory of a plugin, as it is packed: which files, and which are left out."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from mairust_core.errors import Invalid
from mairust_core.plugins.package.limits import ArchiveLimits
from mairust_core.plugins.package.listing import is_listed
from mairust_core.plugins.package.paths import Names, checked, shown

IGNORE_FILE = ".mairustignore"
IGNORED = (
    ".git", ".hg", ".svn", ".gitignore", ".gitattributes", IGNORE_FILE,
    "__pycache__", "*.pyc", "*.pyo", ".venv", ".mypy_cache", ".ruff_cache", ".pytest_cache",
    ".DS_Store", "Thumbs.db", "*~", "*.swp", "*.mairust-plugin",
)  # fmt: skip
"""Patterns of names that are never packed: what tools leave behind."""
MAX_IGNORE_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """A file to be packed: its path in the package, where it lies, and its mode."""

    path: str
    place: Path
    size_bytes: int
    mode: int

    @property
    def executable(self) -> bool:
        """Whether its owner can run it."""
        return bool(self.mode & stat.S_IXUSR)


def files_of(directory: Path, limits: ArchiveLimits, *, whole: bool = False) -> list[SourceFile]:
    """The files of a plugin's directory by path, without what is ignored unless it is wanted `whole`.

    Raises `Invalid` for links, devices and names that no package has, `OSError`.
    """
    found = entries_of(directory, whole=whole)
    for one in found:
        if stat.S_ISLNK(one.mode):
            raise Invalid("directory", "package_link", path=shown(one.path))
        if not stat.S_ISREG(one.mode):
            kind = f"{stat.S_IFMT(one.mode):o}"
            raise Invalid("directory", "package_special", path=shown(one.path), kind=kind)
    if len(found) > limits.files:
        raise Invalid("directory", "package_too_many_files", limit=limits.files)
    names = Names(limits)
    for one in found:
        checked(os.fsencode(one.path), limits)
        names.add(one.path)
        if not is_listed(one.path):
            raise Invalid("directory", "package_reserved", path=shown(one.path))
    return found


def entries_of(directory: Path, *, whole: bool = False) -> list[SourceFile]:
    """All that lies in a plugin's directory but directories, by path; what is ignored only if `whole`.

    A pattern of `.mairustignore` in it, one a line, leaves out files and directories of that name, or with a
    slash those at that path.
    """
    patterns = () if whole else _patterns(directory)
    return sorted(_walk(directory, "", patterns), key=lambda one: os.fsencode(one.path))


def _patterns(directory: Path) -> tuple[str, ...]:
    try:
        with (directory / IGNORE_FILE).open("rb") as file:
            lines = file.read(MAX_IGNORE_BYTES).decode("utf-8", "surrogateescape").splitlines()
    except FileNotFoundError:
        return IGNORED
    own = (line.strip().strip("/") for line in lines if not line.startswith("#"))
    return (*IGNORED, *filter(None, own))


def _walk(directory: Path, prefix: str, patterns: tuple[str, ...]) -> Iterator[SourceFile]:
    with os.scandir(directory) as entries:
        for entry in entries:
            path = prefix + entry.name
            if any(fnmatchcase(path if "/" in one else entry.name, one) for one in patterns):
                continue
            status = entry.stat(follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                yield from _walk(Path(entry.path), path + "/", patterns)
            else:
                yield SourceFile(
                    path=path, place=Path(entry.path), size_bytes=status.st_size, mode=status.st_mode
                )
