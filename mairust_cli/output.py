"""Results on stdout, talk on stderr; a table, plain lines or JSON from the same value.

On a terminal a list is a table, elsewhere plain aligned lines under a line of titles. JSON is the body
that the REST API returns. Text that mail or people chose is stripped of control and bidi characters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TextIO, TypeAlias, TypeVar

from mairust_cli.text import clean, pad, width
from mairust_core import wire
from mairust_core.errors import MaiRustError
from mairust_core.model.forms import Page, Removed

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Column(Generic[T]):
    """One column of a list: its title and the text of an item; numbers stand `right`."""

    title: str
    text: Callable[[T], str]
    right: bool = False


Columns: TypeAlias = tuple[Column[T], ...]


@dataclass(slots=True, kw_only=True)
class Output:
    """Where results and talk go, and in which form."""

    stdout: TextIO
    stderr: TextIO
    env: Mapping[str, str]
    json: bool = False
    quiet: bool = False
    lang: str = "en"

    @property
    def on_terminal(self) -> bool:
        """True when results are read by a person."""
        return self.stdout.isatty()

    def page(self, page: Page[T], columns: Columns[T]) -> None:
        """Print a list, and to stderr how to see the rest of it."""
        if self.json:
            self.document(page)
            return
        rows = [[clean(column.text(item)) for column in columns] for item in page.items]
        if self.on_terminal:
            self._table(columns, rows)
        elif rows:
            self._lines(columns, rows)
        if page.next_cursor is not None:
            self.note(f"there are more: --all, or --cursor {clean(page.next_cursor)}")

    def item(self, value: T, fields: Columns[T]) -> None:
        """Print one object, a line for each field."""
        if self.json:
            self.document(value)
            return
        edge = max(width(field.title) for field in fields) + 2
        self.lines([pad(f"{field.title}:", edge) + clean(field.text(value)) for field in fields])

    def change(self, value: T, fields: Columns[T]) -> None:
        """Print the object a change left behind, unless results of changes are not wanted."""
        if self.json or not self.quiet:
            self.item(value, fields)

    def removed(self, removed: Removed, noun: str) -> None:
        """Say what was removed."""
        if self.json:
            self.document(removed)
        elif not self.quiet:
            self.lines([f"removed {noun} {clean(removed.name)}"])

    def document(self, value: object) -> None:
        """Print the JSON document of a value, as REST returns it."""
        self.raw([wire.dumps(value), b"\n"])

    def lines(self, lines: Sequence[str]) -> None:
        """Print lines; their parts are clean already."""
        encoding = self.stdout.encoding or "utf-8"
        self.raw(line.encode(encoding, "replace") + b"\n" for line in lines)

    def raw(self, chunks: Iterable[bytes]) -> None:
        """Print bytes untouched."""
        self.stdout.flush()
        out = self.stdout.buffer
        for chunk in chunks:
            out.write(chunk)
        out.flush()

    def note(self, text: str) -> None:
        """Tell a person something that is no result."""
        if not self.quiet:
            self._talk(f"mairust: {text}")

    def warn(self, text: str) -> None:
        """Tell what is wrong although the command goes on; also to those who want no notes."""
        self._talk(f"mairust: {clean(text)}")

    def error(self, error: MaiRustError) -> None:
        """Say what went wrong and how to mend it: one line on stderr, or the JSON document of stdout."""
        from mairust_core.i18n import explain

        what, hint = explain(error, self.lang)
        if self.json:
            self.document({"error": {"code": error.code, "message": what, "hint": hint}})
        else:
            self._talk(f"mairust: error: {clean(f'{what} {hint}')}")

    def _talk(self, text: str) -> None:
        encoding = self.stderr.encoding or "utf-8"
        print(text.encode(encoding, "replace").decode(encoding), file=self.stderr, flush=True)

    def _lines(self, columns: Columns[Any], rows: Sequence[Sequence[str]]) -> None:
        titles = [column.title.upper() for column in columns]
        widths = [max(map(width, cells)) for cells in zip(titles, *rows, strict=True)]
        self.lines([_line(columns, row, widths) for row in (titles, *rows)])

    def _table(self, columns: Columns[Any], rows: Sequence[Sequence[str]]) -> None:
        from rich.box import SIMPLE_HEAD
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(box=SIMPLE_HEAD, header_style="bold", pad_edge=False)
        for column in columns:
            table.add_column(column.title, justify="right" if column.right else "left", overflow="ellipsis")
        for row in rows:
            table.add_row(*map(Text, row))
        Console(file=self.stdout, no_color="NO_COLOR" in self.env or None, highlight=False).print(table)


def _line(columns: Columns[Any], row: Sequence[str], widths: Sequence[int]) -> str:
    cells = zip(columns, row, widths, strict=True)
    return "  ".join(pad(cell, columns_, right=column.right) for column, cell, columns_ in cells).rstrip()
