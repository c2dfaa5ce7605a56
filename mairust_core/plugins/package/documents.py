"""The JSON documents of packages and trust: strict, so that what is signed means one thing to every reader.

UTF-8, each key once, no key that is not known, texts and whole numbers only. Signed documents are signed in
their canonical form, that of RFC 8785 (JCS).
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NoReturn

from mairust_core.errors import Invalid
from mairust_core.plugins.package.paths import shown

FORMAT = 1
MAX_NUMBER = (1 << 53) - 1
"""The largest whole number that every reader of JSON keeps (RFC 8259 §6)."""
MAX_TEXT = 1000
VALUES = 64
"""As many a document has that is not said to be long."""
TIME = "%Y-%m-%dT%H:%M:%SZ"
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_SEPARATORS = (b",", b"{", b"[")


def canonical(values: Mapping[str, Any]) -> bytes:
    """The one form of a document in which it is signed (RFC 8785): sorted keys, no spaces."""
    return json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def written(values: Mapping[str, Any]) -> bytes:
    """A document as it lies in a file, for people too."""
    return json.dumps(values, indent=2, sort_keys=True, ensure_ascii=False).encode() + b"\n"


def spelt(at: datetime) -> str:
    """A time as documents have it, to the second, in UTC."""
    return at.astimezone(UTC).strftime(TIME)


def read(data: bytes, name: str, values: int = VALUES) -> Document:
    """The document in `data`, which people know as `name`; raises `Invalid`.

    One with more than about so many values is not read at all: loaded, they take many times their bytes.
    """
    if sum(data.count(one) for one in _SEPARATORS) > values:
        raise Invalid("package", "package_json_long", path=name)
    try:
        loaded = json.loads(
            data.decode("utf-8"), object_pairs_hook=_once, parse_float=_refused, parse_constant=_refused
        )
    except (ValueError, RecursionError):
        raise Invalid("package", "package_json", path=name) from None
    if not isinstance(loaded, dict):
        raise Invalid("package", "package_json", path=name)
    return Document(name, loaded)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is there twice")
    return found


def _refused(_: str) -> Any:
    raise ValueError("neither fractions nor what is no number")


class Document:
    """One object; what nobody asks for is unknown, which `close` says. All raise `Invalid`."""

    def __init__(self, name: str, values: Mapping[str, Any]) -> None:
        self._name = name
        self.values = values
        self._asked: set[str] = set()

    def has(self, key: str) -> bool:
        """Whether the key is given."""
        self._asked.add(key)
        return key in self.values

    def close(self) -> None:
        """Refuse the first key that was never asked for."""
        for key in self.values:
            if key not in self._asked:
                raise Invalid("package", "package_json_unknown", path=self._name, key=shown(key))

    def text(self, key: str, pattern: re.Pattern[str] | None = None) -> str:
        """A printable text, or one of a pattern."""
        value = self._get(key)
        if not isinstance(value, str) or len(value) > MAX_TEXT:
            self.wrong(key)
        if not (value and value.isprintable() if pattern is None else pattern.fullmatch(value)):
            self.wrong(key)
        return str(value)

    def number(self, key: str) -> int:
        """A whole number from 0."""
        value = self._get(key)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_NUMBER:
            self.wrong(key)
        return int(value)

    def flag(self, key: str) -> bool:
        """True or false."""
        value = self._get(key)
        if not isinstance(value, bool):
            self.wrong(key)
        return bool(value)

    def format(self) -> None:
        """Require the format that this program reads."""
        found = self.number("format")
        if found != FORMAT:
            raise Invalid("package", "package_format", path=self._name, format=found, known=FORMAT)

    def octets(self, key: str, length: int) -> bytes:
        """So many octets in base64 (RFC 4648 §4)."""
        try:
            found = base64.b64decode(self.text(key), validate=True)
        except (binascii.Error, ValueError):
            self.wrong(key)
        if len(found) != length or base64.b64encode(found).decode() != self.values[key]:
            self.wrong(key)
        return found

    def time(self, key: str) -> datetime:
        """A time in UTC, as `2026-11-26T00:00:00Z`."""
        text = self.text(key, _TIME)
        try:
            return datetime.strptime(text, TIME).replace(tzinfo=UTC)
        except ValueError:
            self.wrong(key)

    def texts(self, key: str, pattern: re.Pattern[str]) -> tuple[str, ...]:
        """A list of texts of a pattern."""
        value = self._get(key)
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            self.wrong(key)
        if not all(pattern.fullmatch(one) for one in value):
            self.wrong(key)
        return tuple(value)

    def table(self, key: str) -> Document:
        """A document inside of this one."""
        value = self._get(key)
        if not isinstance(value, dict):
            self.wrong(key)
        return Document(self._name, value)

    def wrong(self, key: str) -> NoReturn:
        """Refuse what a key says."""
        raise Invalid("package", "package_json_value", path=self._name, key=shown(key))

    def _get(self, key: str) -> Any:
        if not self.has(key):
            raise Invalid("package", "package_json_missing", path=self._name, key=key)
        return self.values[key]
