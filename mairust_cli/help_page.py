"""The help in a language other than English: its texts from the catalogue, its lines counted in cells."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from mairust_cli.text import pad, width
from mairust_core.i18n import help_texts

_WIDE = "\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe4f\uff00-\uff60\uffe0-\uffe6"
_OPENING = "(\\[（「『【〈《［"
_CLOSING = "、。，．・：；！？）」』】〉》］ーぁぃぅぇぉっゃゅょァィゥェォッャュョ々〜,.;:!?)\\]"
_LETTERS = rf"(?:`[^`]+`|[^\s{_WIDE}]+|[{_WIDE}])"
_UNIT = re.compile(rf"\s+|(?:\[[^\s\]]+\]|[{_OPENING}]*{_LETTERS})[{_CLOSING}]*|\S")
"""What no line is broken in: white space, a command, a note, a word or a wide letter with its marks."""

_NOTED = re.compile(r"(.*)  \[(\w+)(.*\])", re.DOTALL)
"""A parameter's text, and in brackets what Typer says of it."""
NAMES_COLUMNS = 30
"""How much room names have at most beside what is said of them; longer ones stand in a line of their own."""
USAGE_COLUMNS = 20
"""The least room for what follows a command; where there is less it goes below."""


class HelpPage:
    """Stands in for the formatter of English help; `say` turns a text into another language.

    By default the catalogue does, and a text of which it knows nothing, as of an extension, stays as it is.
    """

    def __init__(self, lang: str, columns: int, say: Callable[[str], str] | None = None) -> None:
        self._say = say or (lambda text: help_texts(lang).get(text, text))
        self._columns = columns
        self._parts: list[str] = []
        self.current_indent = 0

    def write_usage(self, prog: str, args: str = "") -> None:
        """The line that tells how a command is typed."""
        prefix = f"{self._say('Usage')}: {prog} "
        edge = width(prefix)
        if self._columns - edge < USAGE_COLUMNS:
            self.write(f"{prefix.rstrip()}\n")
            prefix, edge = " " * 4, 4
        for line in wrapped(args, self._columns - edge):
            self.write(f"{prefix}{line}\n")
            prefix = " " * edge

    def write_paragraph(self) -> None:
        """An empty line, unless it would be the first."""
        if self._parts:
            self.write("\n")

    def write_text(self, text: str) -> None:
        """A paragraph."""
        for line in wrapped(self._say(text), self._columns - self.current_indent):
            self.write(f"{'':{self.current_indent}}{line}\n")

    def write_dl(self, rows: Sequence[tuple[str, str]]) -> None:
        """Names, and beside each what is said of it."""
        edge = min(max((width(name) for name, _ in rows), default=0), NAMES_COLUMNS) + 2
        room = max(self._columns - edge - self.current_indent, 10)
        for name, text in rows:
            beside = wrapped(self._described(text), room)
            names = [name] if width(name) <= edge - 2 else [name, ""]
            left = [*names, *[""] * (len(beside) - 1)]
            right = [*[""] * (len(names) - 1), *beside]
            for one, other in zip(left, right, strict=True):
                self.write(f"{'':{self.current_indent}}{pad(one, edge)}{other}".rstrip() + "\n")

    def _described(self, text: str) -> str:
        """What is said of a parameter; in brackets that it is required, or what holds without it."""
        noted = _NOTED.fullmatch(text)
        return f"{self._say(noted[1])} [{self._say(noted[2])}{noted[3]}" if noted else self._say(text)

    def write(self, text: str) -> None:
        """A text as it is."""
        self._parts.append(text)

    @contextmanager
    def section(self, name: str) -> Iterator[None]:
        """A part of the page under its title."""
        self.write_paragraph()
        self.write(f"{'':{self.current_indent}}{self._say(name)}:\n")
        with self.indentation():
            yield

    @contextmanager
    def indentation(self) -> Iterator[None]:
        """Lines that begin further to the right."""
        self.current_indent += 2
        yield
        self.current_indent -= 2

    def getvalue(self) -> str:
        """All that was written."""
        return "".join(self._parts)


def wrapped(text: str, columns: int) -> list[str]:
    """The lines of a text, none wider than a screen; wide letters may be parted anywhere but at marks."""
    lines = [""]
    for unit in _UNIT.findall(text):
        if unit.isspace():
            lines[-1] += " " if lines[-1] else ""
            continue
        if lines[-1] and width(lines[-1] + unit) > columns:
            lines.append("")
        while width(unit) > columns:
            lines[-1:] = [head := _head(unit, columns), ""]
            unit = unit[len(head) :]
        lines[-1] += unit
    return [line.rstrip() for line in lines]


def _head(word: str, columns: int) -> str:
    """As much of a word that is too long as fits, one letter at the least."""
    return next((word[:end] for end in range(len(word), 1, -1) if width(word[:end]) <= columns), word[:1])
