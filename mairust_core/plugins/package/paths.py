"""Names of files in a package: one way to write each, none that leads elsewhere (trap H6)."""

from __future__ import annotations

import re
import unicodedata
from itertools import accumulate

from mairust_core.errors import Invalid
from mairust_core.plugins.package.limits import ArchiveLimits

_BAD_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Control and format characters, bidi marks among them, halves of characters, and what means nothing."""
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
"""Letters, marks and a symbol of which nothing is shown: a name with one reads like the name without."""
_SHOWN = 120


def shown(path: bytes | str) -> str:
    """A path as it can be told to people, whatever is in it."""
    text = path if isinstance(path, str) else path.decode("utf-8", "replace")
    return "".join(char if char.isprintable() else "\ufffd" for char in text[:_SHOWN])


def checked(raw: bytes, limits: ArchiveLimits) -> str:
    """The path that these bytes spell; raises `Invalid` for one that is not plain and relative."""
    path = shown(raw)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise Invalid("package", "package_path_encoding", path=path) from None
    if not unicodedata.is_normalized("NFC", text):
        raise Invalid("package", "package_path_encoding", path=path)
    if text.startswith("/"):
        raise Invalid("package", "package_path_absolute", path=path)
    if len(raw) > limits.path_bytes:
        raise Invalid("package", "package_path_long", path=path, limit=limits.path_bytes)
    parts = text.split("/")
    if ".." in parts:
        raise Invalid("package", "package_path_up", path=path)
    if len(parts) > limits.depth:
        raise Invalid("package", "package_path_deep", path=path, limit=limits.depth)
    for part in parts:
        _check_part(part, path)
    return text


def _check_part(part: str, path: str) -> None:
    if part in ("", "."):
        raise Invalid("package", "package_path_spelling", path=path)
    if any(_is_bad(char) for char in part) or _UNSEEN.search(part):
        raise Invalid("package", "package_path_characters", path=path)
    if part != part.strip(" ") or part.endswith("."):
        raise Invalid("package", "package_path_ends", path=path)


def _is_bad(char: str) -> bool:
    return char == "\\" or (char.isspace() and char != " ") or unicodedata.category(char) in _BAD_CATEGORIES


class Names:
    """The names of one archive, of which no two may be taken for each other."""

    def __init__(self, limits: ArchiveLimits) -> None:
        self._limit = limits.files
        self._spelt: dict[str, str] = {}
        self._named: set[str] = set()
        self._files: set[str] = set()
        self._directories: set[str] = set()

    def add(self, path: str, *, directory: bool = False) -> None:
        """Remember a path; raises `Invalid` when it is there, or another reads like it, or for one too many.

        Two read alike when letters of either case, or compatibility forms of Unicode, are all that tells them
        apart: on some file systems they would be one file. A file is no directory of others.
        """
        if path in self._named:
            raise Invalid("package", "package_duplicate", path=shown(path))
        self._named.add(path)
        for name in accumulate(path.split("/"), "{}/{}".format):
            is_file = name == path and not directory
            here, there = self._files, self._directories
            if not is_file:
                here, there = there, here
            other = self._spelt.setdefault(_folded(name), name)
            if other != name or name in there:
                raise Invalid("package", "package_clash", path=shown(path), other=shown(other))
            here.add(name)
        if len(self._spelt) > self._limit:  # directories that are only named count: each costs memory
            raise Invalid("package", "package_too_many_files", limit=self._limit)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
