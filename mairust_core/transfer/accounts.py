"""Whose mail lies where: a table, or the pattern of a tree with many users."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from mairust_core.errors import Invalid, Usage
from mairust_core.i18n import Wording
from mairust_core.model.address import Address

_PLACE = re.compile(r"%([udn])")
_GROUPS = {"u": r"(?P<u>[^/]+)", "d": r"(?P<d>[^/]+)", "n": r"(?P<n>[^/]+)"}


def pairs(root: Path, given: str) -> list[tuple[Path, str]]:
    """Each path with its account's address.

    `given` is a file with a path, a comma or tab, and an address on each line, or a pattern with `%u` for the
    address, `%d` for its domain and `%n` for what stands before the @, as `%d/%n/Maildir`. Paths begin at
    `root`. Raises `Usage` for a file that cannot be read, `Invalid` for a wrong line, or when nothing fits.
    """
    found = list(_tree(root, given) if _PLACE.search(given) else _table(root, Path(given)))
    if not found:
        raise Invalid("accounts_from", "names_no_path", value=repr(given[:80]), root=root)
    return found


def _table(root: Path, file: Path) -> Iterator[tuple[Path, str]]:
    try:
        lines = file.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or Wording("file.no_utf8")
        raise Usage("unreadable_file", path=file, why=why) from error
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        path, separator, address = line.rpartition("\t" if "\t" in line else ",")
        if not separator or not path.strip():
            raise Invalid("accounts_from", "line_without_path", line=number, file=file)
        try:
            yield root / path.strip(), str(Address.parse(address.strip()))
        except Invalid as error:
            value = repr(address.strip()[:80])
            raise Invalid("accounts_from", "line_not_address", line=number, file=file, value=value) from error


def _tree(root: Path, pattern: str) -> Iterator[tuple[Path, str]]:
    kinds = set(_PLACE.findall(pattern))
    if kinds not in ({"u"}, {"d", "n"}):
        raise Invalid("accounts_from", "half_an_address", value=repr(pattern[:80]))
    parts = [part for part in pattern.split("/") if part]
    for path, known in sorted(_walk(root, parts, {})):
        address = known.get("u") or f"{known['n']}@{known['d']}"
        try:
            yield path, str(Address.parse(address))
        except Invalid:  # lost+found and the like
            continue


def _walk(directory: Path, parts: list[str], known: dict[str, str]) -> Iterator[tuple[Path, dict[str, str]]]:
    if not parts:
        yield directory, known
        return
    fits = re.compile("".join(_GROUPS[part] if at % 2 else re.escape(part) for at, part in _split(parts[0])))
    try:
        names = os.listdir(directory) if _PLACE.search(parts[0]) else [parts[0]]
    except OSError:
        return
    for name in names:
        found = fits.fullmatch(name)
        if found and (directory / name).is_dir():
            yield from _walk(directory / name, parts[1:], known | found.groupdict())


def _split(part: str) -> Iterator[tuple[int, str]]:
    return iter(enumerate(_PLACE.split(part)))
