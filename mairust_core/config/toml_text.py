"""Reading TOML, with line numbers that `tomllib` does not give.

A TOML file is a sequence of statements, each of which is a well-formed file by itself. So the lines of
all keys follow from parsing the file statement by statement, exactly and without a second parser; that
is done only when a line is asked for.
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
_POSITION = re.compile(r" \(at (?:line ([0-9]+), column [0-9]+|end of document)\)$")


def read_toml(path: Path, text: str) -> Document:
    """The tables of a TOML 1.0 file; raises `BadConfig` with the line of the fault."""
    text = text.replace("\r\n", "\n")
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
    earlier = next(s.first for s in statements if any(p in s.paths for p in reversed(guilty.paths)))
    return bad_file("duplicate", path, guilty.first, key, earlier=earlier)


def _lines(text: str) -> Mapping[KeyPath, int]:
    lines: dict[KeyPath, int] = {}
    for statement in statements(text)[0]:
        for path in statement.paths:
            lines.setdefault(path, statement.first)
    return lines


def statements(text: str) -> tuple[list[Statement], int | None]:
    """All statements, and the first line of one that never becomes well formed."""
    complete: list[Statement] = []
    table: KeyPath = ()
    chunk, first = "", 1
    for number, line in enumerate(text.split("\n"), 1):
        first = first if chunk else number
        chunk += line + "\n"
        try:
            found = tomllib.loads(chunk)
        except (ValueError, RecursionError):
            continue  # the statement goes on in the next line
        header = chunk.lstrip().startswith("[")
        chunk = ""
        if found:
            paths = tuple(_paths(found, () if header else table))
            table = paths[-1] if header else table
            complete.append(Statement(first, number, paths))
    return complete, first if chunk else None


def _paths(found: Mapping[str, object], above: KeyPath) -> Iterator[KeyPath]:
    for name, value in found.items():
        yield (*above, name)
        inner = value[0] if isinstance(value, list) and value else value
        if isinstance(inner, dict) and len(above) < _MAX_DEPTH:
            yield from _paths(inner, (*above, name))
