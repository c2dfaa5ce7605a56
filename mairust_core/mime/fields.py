"""Header blocks: where they end, and the fields in them (RFC 5322 §2.2).

Lenient where mail is: white space before the colon is accepted, a line that is no field is passed over
together with its continuation lines, and only an empty line ends the block.
"""

from __future__ import annotations

import re

from mairust_core.mime.line_ends import Buffer

MAX_HEADER_BYTES = 1 << 20
"""Fields beyond this much of one header block are not read; its end is still found exactly."""

_BLANK_LINE = re.compile(rb"\n\r?\n")
_PATTERN = r"^([^\x00-\x20:]++)[ \t]*+:([^\n]*+(?:\n[ \t][^\n]*+)*+)"
_FIELD = re.compile(_PATTERN.encode(), re.MULTILINE)
_TEXT_FIELD = re.compile(_PATTERN, re.MULTILINE)
_WHITE_SPACE = " \t\n\r\x0b\x0c"


def header_end(content: Buffer, start: int, end: int) -> int:
    """Return the offset of the body: just after the empty line, or `end` when there is none."""
    first = content[start : min(start + 2, end)]
    if first[:1] == b"\n":
        return start + 1
    if first == b"\r\n":
        return start + 2
    blank = _BLANK_LINE.search(content, start, end)
    return blank.end() if blank else end


def unfold(value: bytes) -> bytes:
    """Remove the line ends of folding and outer white space (RFC 5322 §2.2.3)."""
    if b"\n" in value:
        value = value.replace(b"\r\n", b"").replace(b"\n", b"")
    return value.strip()


def shown_fields(block: bytes) -> list[tuple[str, str]]:
    """Return the fields of a block as text: unfolded, what is no UTF-8 and NUL as U+FFFD.

    All of it is decoded at once: between two fields no character goes on.
    """
    text = block[:MAX_HEADER_BYTES].decode("utf-8", "replace")
    found = [
        (name, (_unfolded(value) if "\n" in value else value).strip(_WHITE_SPACE))
        for name, value in _TEXT_FIELD.findall(text)
    ]
    if "\0" in text:
        return [(name, value.replace("\0", "\ufffd")) for name, value in found]
    return found


def _unfolded(value: str) -> str:
    return value.replace("\r\n", "").replace("\n", "")


class Fields:
    """The fields of one header block, in order, looked up by lower-case name."""

    __slots__ = ("_first", "_names", "pairs")

    def __init__(self, block: bytes) -> None:
        """Scan `block`, which may end with its empty line; never raises."""
        self.pairs: list[tuple[bytes, bytes]] = _FIELD.findall(block[:MAX_HEADER_BYTES])
        self._first = {name.lower(): value for name, value in reversed(self.pairs)}
        self._names: list[bytes] | None = None

    def any_of(self, names: frozenset[bytes]) -> bool:
        """Whether there is a field of one of these lower-case names."""
        return not names.isdisjoint(self._first)

    def get(self, name: bytes) -> bytes | None:
        """Return the unfolded value of the first field of that name, or None."""
        value = self._first.get(name)
        if value is None or b"\n" in value:
            return None if value is None else unfold(value)
        return value.strip()

    def get_list(self, name: bytes) -> bytes | None:
        """Return all fields of that name joined with commas: some senders repeat To or Cc."""
        if name not in self._first or self.count(name) == 1:
            return self.get(name)
        return b", ".join(filter(None, self.get_all(name)))

    def get_all(self, name: bytes) -> list[bytes]:
        """Return the unfolded values of every field of that name, in order."""
        return [unfold(value) for key, value in self.pairs if key.lower() == name]

    def count(self, name: bytes) -> int:
        """Return how many fields have that name."""
        if len(self._first) == len(self.pairs):
            return int(name in self._first)
        if self._names is None:
            self._names = [key.lower() for key, _ in self.pairs]
        return self._names.count(name)
