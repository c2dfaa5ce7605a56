"""A configuration file as text, tables and lines; what it may say is not known here."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mairust_core.errors import BadConfig

MAX_FILE_BYTES = 256 * 1024
YAML_SUFFIXES = (".yaml", ".yml")

KeyPath = tuple[str, ...]
"""The names from the top of a file down to a table or value."""

_BARE = re.compile(r"[A-Za-z0-9_-]{1,60}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One file: nested dicts of what it gives, and on which line each name first stands."""

    path: Path
    tree: Mapping[str, object]
    lines: Callable[[], Mapping[KeyPath, int]] = field(repr=False)

    def line(self, key: KeyPath) -> int | None:
        """The line of a name, from 1; None when it cannot be told."""
        return self.lines().get(key)

    def where(self, key: KeyPath) -> str:
        """`FILE:LINE` of a name."""
        return place(self.path, self.line(key))


def read_document(path: Path) -> Document:
    """The file at `path`, TOML unless its suffix says YAML.

    Raises `BadConfig` naming file and line when it cannot be read or is not well formed, and
    FileNotFoundError when there is none.
    """
    text = _text(path)
    if path.suffix.lower() in YAML_SUFFIXES:
        from mairust_core.config.yaml_text import read_yaml

        return read_yaml(path, text)
    from mairust_core.config.toml_text import read_toml

    return read_toml(path, text)


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise BadConfig("unreadable", where=path, file=path, line=None, key="", why=why) from error
    if len(data) > MAX_FILE_BYTES:
        raise BadConfig("too_long", where=path, file=path, line=None, key="", limit=MAX_FILE_BYTES)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise bad_file("not_utf8", path, data.count(b"\n", 0, error.start) + 1) from error


def bad_file(detail: str, path: Path, line: int | None, key: KeyPath = (), **values: object) -> BadConfig:
    """The error for a fault at a line of a file."""
    return BadConfig(detail, where=place(path, line), file=path, line=line, key=dotted(key), **values)


def place(path: Path, line: int | None) -> str:
    """`FILE:LINE`, or `FILE` when the line cannot be told."""
    return f"{path}:{line}" if line else str(path)


def dotted(key: KeyPath) -> str:
    """A key as the file would spell it, printable and short whatever it holds."""
    return ".".join(part if _BARE.fullmatch(part) else ascii(part[:60]) for part in key[:8])
