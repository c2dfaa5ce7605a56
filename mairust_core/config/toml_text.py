"""Reading TOML, with line numbers that `tomllib` does not give.

A TOML file is a sequence of statements, each of which is a well-formed file by itself. So the lines of
all keys follow from parsing the file statement by statement, exactly and without a second parser; that
is done only when a line is asked for. Where a statement ends, strings and brackets tell: every byte is
looked at once, whoever wrote the file.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mairust_core.config.document import Document, KeyPath, bad_file
from mairust_core.errors import BadConfig

_MAX_DEPTH = 20
_MAX_PARTS = 64
"""Of a dotted key: `tomllib` takes time by the square of them."""
_TOKEN = re.compile(
    r'''"""(?:[^"\\]|\\[\s\S]|"(?!""))*+(?:"{3,5}|\\?\Z)'''
    r"""|'''(?:[^']|'(?!''))*+(?:'{3,5}|\Z)"""
    r"""|"(?:[^"\\\n]|\\[^\n])*+"?"""
    r"""|'[^'\n]*+'?|\#[^\n]*+|[\[\]{}\n.=,]"""
)
"""What tells where a statement ends; a string without an end goes on as far as it could."""
_POSITION = re.compile(r" \(at (?:line ([0-9]+), column [0-9]+|end of document)\)$")


def read_toml(path: Path, text: str) -> Document:
    """The tables of a TOML 1.0 file; raises `BadConfig` with the line of the fault."""
    text = text.replace("\r\n", "\n")
    _check_keys(path, text)
    try:
        tree = tomllib.loads(text)
    except RecursionError as error:
        raise bad_file("too_deep", path, None) from error
    except ValueError as error:
        raise _fault(path, text, str(error)) from error
    return Document(path=path, tree=tree, lines=partial(_lines, text))


@dataclass(frozen=True, slots=True)
class Statement:
    """A table header or a key with its value; `paths` are the names it brings, outer before inner."""

    first: int
    last: int
    paths: tuple[KeyPath, ...]


def _check_keys(path: Path, text: str) -> None:
    parts, line = 1, 1
    for token in _TOKEN.finditer(text):
        one = token[0]
        parts = parts + 1 if one == "." else 1 if one[0] in "[]{}\n=,#" else parts
        if parts > _MAX_PARTS:
            raise bad_file("too_deep", path, line)
        line += one.count("\n")


def _fault(path: Path, text: str, message: str) -> BadConfig:
    found, broken = statements(text)
    position = _POSITION.search(message)
    if broken is None and found:
        return _defined_again(path, text, found)
    line = int(position[1]) if position and position[1] else broken
    return bad_file("syntax", path, line, why=message[: position.start()] if position else message)


def _defined_again(path: Path, text: str, statements: list[Statement]) -> BadConfig:
    """Every statement is well formed, not all together: name the first that contradicts an earlier one."""
    rows = text.split("\n")

    def fails(count: int) -> bool:
        try:
            tomllib.loads("\n".join(rows[: statements[count - 1].last]))
        except ValueError:
            return True
        return False

    guilty = statements[bisect_left(range(1, len(statements)), True, key=fails)]
    key = guilty.paths[-1]
    named = set(guilty.paths)
    earlier = next(s.first for s in statements if not named.isdisjoint(s.paths))
    return bad_file("duplicate", path, guilty.first, key, earlier=earlier)


def _lines(text: str) -> Mapping[KeyPath, int]:
    lines: dict[KeyPath, int] = {}
    for statement in statements(text)[0]:
        for path in statement.paths:
            lines.setdefault(path, statement.first)
    return lines


def statements(text: str) -> tuple[list[Statement], int | None]:
    """All statements, and the first line of one that is not well formed, after which none is looked for."""
    complete: list[Statement] = []
    table: KeyPath = ()
    first = 1
    for chunk in _chunks(text):
        try:
            found = tomllib.loads(chunk)
        except (ValueError, RecursionError):
            return complete, first
        after = first + chunk.count("\n")
        if found:
            header = chunk.lstrip().startswith("[")
            paths = tuple(_paths(found, () if header else table))
            table = paths[-1] if header else table
            complete.append(Statement(first, after - 1, paths))
        first = after
    return complete, None


def _chunks(text: str) -> Iterator[str]:
    """The text from the end of one statement to the end of the next, each with its last line break."""
    text += "\n"
    begin, depth = 0, 0
    for token in _TOKEN.finditer(text):
        one = token[0]
        if one in "[{":
            depth += 1
        elif one in "]}":
            depth = max(depth - 1, 0)
        elif one == "\n" and not depth:
            yield text[begin : token.end()]
            begin = token.end()
    if begin < len(text):
        yield text[begin:]


def _paths(found: Mapping[str, object], above: KeyPath) -> Iterator[KeyPath]:
    for name, value in found.items():
        yield (*above, name)
        inner = value[0] if isinstance(value, list) and value else value
        if isinstance(inner, dict) and len(above) < _MAX_DEPTH:
            yield from _paths(inner, (*above, name))
