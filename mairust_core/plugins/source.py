"""A `plugin.toml` as tables that are read key by key; every fault names file, line and key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from mairust_core.config.document import KeyPath, dotted
from mairust_core.config.toml_text import read_toml, statements
from mairust_core.errors import BadConfig, Invalid

NAME = "plugin.toml"
MAX_BYTES = 64 * 1024
MAX_ITEMS = 64

E = TypeVar("E", bound=StrEnum)


class Source:
    """The text of one `plugin.toml`; `where` is what people call it."""

    def __init__(self, data: bytes, where: str = NAME) -> None:
        self.where = where
        self._text = _decoded(data, where)
        try:
            tree = read_toml(Path(where), self._text).tree
        except BadConfig as error:
            detail = "toml_" + error.detail
            raise Invalid(NAME, detail, **error.values) from None
        self.top = Table(self, (), tree)

    def fault(self, key: KeyPath, detail: str, **values: object) -> NoReturn:
        """Raise `Invalid` at the line of a key, or at that of the table it is missing from."""
        lines = _lines(self._text)
        line = next((lines[key[:n]] for n in range(len(key), 0, -1) if key[:n] in lines), None)
        where = f"{self.where}:{line}" if line else self.where
        raise Invalid(_spelt(key), detail, where=where, **values)


def _decoded(data: bytes, where: str) -> str:
    if len(data) > MAX_BYTES:
        raise Invalid(NAME, "toml_too_long", where=where, limit=MAX_BYTES)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Invalid(NAME, "toml_encoding", where=where) from None


def _spelt(key: KeyPath) -> str:
    """A key without the numbers of tables in a row: the line says which one it is."""
    return dotted(tuple(part for part in key if not part.startswith("#")))


def _lines(text: str) -> Mapping[KeyPath, int]:
    """The line of each key; tables in a row (`[[hooks]]`) are told apart as `#0`, `#1`."""
    rows = text.replace("\r\n", "\n").split("\n")
    found: dict[KeyPath, int] = {}
    counts: dict[KeyPath, int] = {}
    for statement in statements(text.replace("\r\n", "\n"))[0]:
        first = statement.paths[-1]
        if rows[statement.first - 1].lstrip().startswith("[["):
            counts[first] = counts.get(first, -1) + 1
        for path in statement.paths:
            found.setdefault(_numbered(path, counts), statement.first)
    return found


def _numbered(path: KeyPath, counts: Mapping[KeyPath, int]) -> KeyPath:
    for n in range(len(path), 0, -1):
        if path[:n] in counts:
            return (*path[:n], f"#{counts[path[:n]]}", *path[n:])
    return path


class Table:
    """One table; what nobody asks for is unknown, which `close` says."""

    def __init__(self, source: Source, path: KeyPath, values: Mapping[str, Any]) -> None:
        self._source = source
        self._path = path
        self._values = values
        self._asked: set[str] = set()

    def has(self, key: str) -> bool:
        """Whether the key is given."""
        self._asked.add(key)
        return key in self._values

    def is_text(self, key: str) -> bool:
        """Whether the key is given as a text."""
        return self.has(key) and isinstance(self._values[key], str)

    def fault(self, key: str, detail: str, **values: object) -> NoReturn:
        """Raise `Invalid` at a key."""
        self._source.fault((*self._path, key), detail, **values)

    def close(self) -> None:
        """Raise `Invalid` for the first key that was never asked for."""
        for key in self._values:
            if key not in self._asked:
                allowed = ", ".join(sorted(self._asked - {"depends"}))
                if like := get_close_matches(key, self._asked, 1):
                    self.fault(key, "toml_unknown_key_like", like=like[0], allowed=allowed)
                self.fault(key, "toml_unknown_key", allowed=allowed)

    def text(self, key: str, limit: int = 1000, *, needed: bool = False) -> str:
        """A text of one line, empty when it is not given."""
        value = self._get(key, needed)
        if value is None:
            return ""
        if not isinstance(value, str):
            self.fault(key, "toml_not_text")
        if not value.isprintable() or len(value) > limit or (needed and not value.strip()):
            self.fault(key, "toml_not_a_line", limit=limit)
        return value

    def number(self, key: str, default: int | None, bounds: tuple[int, int]) -> int | None:
        """A whole number within bounds."""
        value = self._get(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or not bounds[0] <= value <= bounds[1]:
            self.fault(key, "toml_not_number", low=bounds[0], high=bounds[1])
        return value

    def flag(self, key: str, default: bool | None = False) -> bool | None:
        """True or false."""
        value = self._get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.fault(key, "toml_not_flag")
        return value

    def choice(self, key: str, kind: type[E], default: E | None, allowed: Sequence[E] = ()) -> E:
        """One of some words; needed when there is no default."""
        known = allowed or tuple(kind)
        value = self._get(key, default is None)
        if value is None:
            assert default is not None
            return default
        if not isinstance(value, str) or value not in tuple(known):
            self.fault(key, "toml_not_choice", known=", ".join(known))
        return kind(value)

    def texts(self, key: str, limit: int = 1000) -> tuple[str, ...]:
        """A list of texts, empty when it is not given."""
        value = self._get(key)
        if value is None:
            return ()
        if not isinstance(value, list) or len(value) > MAX_ITEMS:
            self.fault(key, "toml_not_texts", items=MAX_ITEMS)
        if not all(isinstance(one, str) and one.isprintable() and 0 < len(one) <= limit for one in value):
            self.fault(key, "toml_not_texts", items=MAX_ITEMS)
        return tuple(value)

    def table(self, key: str, *, needed: bool = False) -> Table:
        """A table below this one, empty when it is not given."""
        value = self._get(key, needed)
        if value is not None and not isinstance(value, dict):
            self.fault(key, "toml_not_table")
        return Table(self._source, (*self._path, key), value or {})

    def tables(self, key: str) -> list[Table]:
        """Tables in a row, `[[key]]`."""
        value = self._get(key)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
            self.fault(key, "toml_not_tables")
        if len(value) > MAX_ITEMS:
            self.fault(key, "toml_too_many", limit=MAX_ITEMS)
        return [Table(self._source, (*self._path, key, f"#{n}"), one) for n, one in enumerate(value)]

    def _get(self, key: str, needed: bool = False) -> Any:
        if not self.has(key):
            if needed:
                if meant := get_close_matches(key, self._values.keys() - self._asked, 1, 0.7):
                    self.fault(meant[0], "toml_unknown_key_like", like=key, allowed=key)
                self.fault(key, "toml_missing")
            return None
        return self._values[key]
