"""Kinds of values: how each is written, checked and shown.

A kind gets what a file, the environment or the command line gave and returns the typed value, or
raises `Unfit` with the catalogue detail that says what is allowed. Text without quotes (environment,
command line, plain YAML) comes as `Plain` and may spell a value of any kind. Kinds that name
something outside the process are in `resources.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

MAX_TEXT = 4096
MAX_SHOWN_BITS = 192
KIB = 1024
MIB = 1024 * KIB

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_DIGITS = re.compile(r"-?[0-9]{1,18}")
_SIZE = re.compile(r"([0-9]{1,15}) ?(|B|KiB|MiB|GiB|TiB)", re.IGNORECASE)
_UNITS = {"": 1, "b": 1, "kib": KIB, "mib": MIB, "gib": KIB * MIB, "tib": MIB * MIB}
_FLAGS = {
    "true": True,
    "yes": True,
    "on": True,
    "1": True,
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}


class Plain(str):
    """Text without quotes, which may spell a number or a truth value as well."""

    __slots__ = ()


class Unfit(Exception):
    """A value is not of its kind: `detail` names the catalogue text, `values` fill it."""

    def __init__(self, detail: str, **values: object) -> None:
        super().__init__(detail, values)
        self.detail = detail
        self.values = values


class Kind(Protocol):
    """One kind of value."""

    @property
    def form(self) -> str:
        """How a value is written, for the reference."""
        ...

    def parse(self, raw: object, base: Path, /) -> object:
        """The typed value; relative paths start at `base`. Raises `Unfit`."""
        ...


def spell(raw: object) -> str:
    """A given value as one short printable word for an error message."""
    if isinstance(raw, str):
        cut = raw if len(raw) <= 60 else raw[:57] + "..."
        return ascii(str(cut)) if _CONTROL.search(cut) else f'"{cut}"'
    if isinstance(raw, bool):
        return "true" if raw else "false"
    if isinstance(raw, int):
        return str(raw) if raw.bit_length() <= MAX_SHOWN_BITS else f"a number of {raw.bit_length()} bits"
    if isinstance(raw, list | tuple):
        return "[...]" if raw else "[]"
    return "{...}" if isinstance(raw, dict) else str(raw)[:60]


def words(raw: object, detail: str) -> str:
    """`raw` when it is text of one line with something in it; `Unfit(detail)` otherwise."""
    if not isinstance(raw, str) or not raw or len(raw) > MAX_TEXT or _CONTROL.search(raw):
        raise Unfit(detail)
    return str(raw)


class Text:
    """Any text of one line."""

    form: ClassVar[str] = "text"

    def parse(self, raw: object, _base: Path, /) -> str:
        """One line of text, not empty."""
        return words(raw, "text")


class Flag:
    """Yes or no."""

    form: ClassVar[str] = "`true` or `false`"

    def parse(self, raw: object, _base: Path, /) -> bool:
        """A truth value; unquoted text may also be yes, no, on, off, 1, 0."""
        if isinstance(raw, Plain):
            raw = _FLAGS.get(raw.lower())
        if not isinstance(raw, bool):
            raise Unfit("flag")
        return raw


@dataclass(frozen=True, slots=True)
class Number:
    """A whole number between two bounds, both included."""

    low: int
    high: int

    @property
    def form(self) -> str:
        """The range."""
        return f"{self.low} to {self.high}"

    def parse(self, raw: object, _base: Path, /) -> int:
        """A whole number within the bounds."""
        if isinstance(raw, Plain) and _DIGITS.fullmatch(raw):
            raw = int(raw)
        if not isinstance(raw, int) or isinstance(raw, bool) or not self.low <= raw <= self.high:
            raise Unfit("number", low=self.low, high=self.high)
        return raw


@dataclass(frozen=True, slots=True)
class Size:
    """A number of bytes."""

    form: ClassVar[str] = 'bytes, or a number with `KiB`, `MiB`, `GiB`, `TiB`, as `"50MiB"`'
    high: int = 1 << 50

    def parse(self, raw: object, _base: Path, /) -> int:
        """Bytes, from a number or from text with a binary unit; at least 1."""
        if isinstance(raw, str) and (match := _SIZE.fullmatch(raw)):
            raw = int(match[1]) * _UNITS[match[2].lower()]
        if not isinstance(raw, int) or isinstance(raw, bool) or not 1 <= raw <= self.high:
            raise Unfit("size")
        return raw


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few words; `later` are words reserved for what this version cannot do yet."""

    values: tuple[str, ...]
    later: tuple[str, ...] = ()

    @property
    def form(self) -> str:
        """The words."""
        now = ", ".join(f'`"{value}"`' for value in self.values)
        return now + (f" (not available yet: {', '.join(self.later)})" if self.later else "")

    def parse(self, raw: object, _base: Path, /) -> str:
        """One of the words, spelt exactly."""
        if isinstance(raw, str) and raw in self.values:
            return str(raw)
        reserved = isinstance(raw, str) and raw in self.later
        raise Unfit("not_yet" if reserved else "choice", allowed=", ".join(self.values))


@dataclass(frozen=True, slots=True)
class Driver:
    """One of a few words for what is ours; with extensions installed, also what one of them may offer.

    Whether one does is found out when it is opened.
    """

    values: tuple[str, ...]
    later: tuple[str, ...] = ()

    @property
    def form(self) -> str:
        """The words, and others'."""
        return f"{Choice(self.values, self.later).form}, or what an extension offers"

    def parse(self, raw: object, base: Path, /) -> str:
        """One of our words, or a name where somebody else may know it."""
        from mairust_core.installed.faults import NAME
        from mairust_core.installed.points import entry_points

        known = (*self.values, *self.later)
        if isinstance(raw, str) and raw not in known and NAME.fullmatch(raw) and entry_points():
            return str(raw)
        return Choice(self.values, self.later).parse(raw, base)


class Names:
    """A list of names."""

    form: ClassVar[str] = 'list of names, as `["acme-mairust"]`'

    def parse(self, raw: object, _base: Path, /) -> tuple[str, ...]:
        """The names; unquoted text separates them by commas or spaces."""
        if isinstance(raw, Plain):
            raw = raw.replace(",", " ").split()
        if not isinstance(raw, list | tuple):
            raise Unfit("names")
        return tuple(words(item, "names") for item in raw)


Options = Mapping[str, str | int | float | bool]
"""What an extension's driver is told: names and values of its own."""


class OptionTable:
    """Names and values that an extension understands."""

    form: ClassVar[str] = "table of texts, numbers and truth values; in the environment a JSON object"

    def parse(self, raw: object, _base: Path, /) -> Options:
        """The table."""
        if isinstance(raw, Plain):
            import json

            try:
                raw = json.loads(raw)
            except ValueError as error:
                raise Unfit("options") from error
        if not isinstance(raw, Mapping):
            raise Unfit("options")
        if not all(isinstance(name, str) for name in raw):
            raise Unfit("options")
        if not all(isinstance(value, str | int | float | bool) for value in raw.values()):
            raise Unfit("options")
        return {name: str(value) if isinstance(value, str) else value for name, value in raw.items()}
