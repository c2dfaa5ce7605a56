"""Results on stdout, talk on stderr; a table, plain lines or JSON from the same value.

On a terminal a list is a table, elsewhere plain aligned lines under a line of titles. JSON is the body
that the REST API returns. Text that mail or people chose is stripped of control and bidi characters.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, TextIO, TypeAlias, TypeVar

from mairust_cli.text import clean, pad, width
from mairust_core import wire
from mairust_core.errors import MaiRustError
from mairust_core.i18n import Wording, worded
from mairust_core.model.forms import Page, Removed

if TYPE_CHECKING:
    from mairust_cli.progress import Progress

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Column(Generic[T]):
    """One column of a list: its title and the text of an item, in words where it is ours and not data.

    Numbers stand `right`. On a narrow terminal those that may `shrink` are cut short, the others never.
    `style` is how an item's text is painted: a word of `STYLES`, or nothing. `sense` tells an English title
    that means something else elsewhere apart, for the languages that have two words.
    """

    title: str
    text: Callable[[T], str | Wording]
    right: bool = False
    shrink: bool = False
    style: Callable[[T], str] | None = None
    sense: str = ""


Columns: TypeAlias = tuple[Column[T], ...]


def as_told(columns: Columns[T], whole: type[T]) -> Columns[Any]:
    """The columns, also where a key without `read` is told an id or a name: the first, the others empty."""

    def if_told(column: Column[T]) -> Column[Any]:
        return replace(column, text=lambda told: column.text(told) if isinstance(told, whole) else "")

    return (columns[0], *map(if_told, columns[1:]))


STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
"""How text may be painted on a terminal, by SGR code (ECMA-48)."""
SHRUNK_COLUMNS = 10
"""What is left of a column that shrinks, at the least."""


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

    @property
    def in_colour(self) -> bool:
        """True when a person reads and has not asked for plain text (https://no-color.org)."""
        return self.on_terminal and not self.env.get("NO_COLOR") and self.env.get("TERM") != "dumb"

    def paint(self, text: str, style: str) -> str:
        """The text in a style of `STYLES`, where there are colours."""
        return f"\x1b[{STYLES[style]}m{text}\x1b[0m" if style and self.in_colour else text

    def columns(self) -> int:
        """How wide the screen is."""
        import shutil

        given = self.env.get("COLUMNS", "")
        return int(given) if given.isdigit() and int(given) else shutil.get_terminal_size().columns

    @property
    def watched(self) -> bool:
        """True when a person waits, at a terminal that can redraw a line."""
        return self.stderr.isatty() and not self.quiet and self.env.get("TERM") != "dumb"

    def progress(
        self, title: str, total: int | None = None, size: Callable[[int], str] = "{:,}".format
    ) -> Progress:
        """How far something is that may take more than two seconds, for people at a terminal.

        `with output.progress("importing", total) as step: step.advance()`; `size` makes a number readable.
        """
        from mairust_cli.progress import Progress

        screen = self.stderr if self.watched else None
        return Progress(screen, title, total, size=size, columns=self.columns, lang=self.lang)

    def page(self, page: Page[T], columns: Columns[T]) -> None:
        """Print a list, and to stderr how to see the rest of it."""
        if self.json:
            self.document(page)
            return
        columns = self._titled(columns)
        rows = [[self._cell(column, item) for column in columns] for item in page.items]
        if self.on_terminal and rows:
            styles = [
                [column.style(item) if column.style else "" for column in columns] for item in page.items
            ]
            self._table(columns, rows, styles)
        elif rows:
            self._lines(columns, rows)
        more = page.next_cursor
        if more is not None or (self.on_terminal and not rows):
            from mairust_core.i18n import say

            told = say("list.none" if more is None else "list.more", self.lang, cursor=clean(more or ""))
            self.note(told)

    def item(self, value: T, fields: Columns[T]) -> None:
        """Print one object, a line for each field."""
        if self.json:
            self.document(value)
            return
        fields = self._titled(fields)
        edge = max(width(field.title) for field in fields) + 2
        self.lines([pad(f"{field.title}:", edge) + self._cell(field, value) for field in fields])

    def change(self, value: T, fields: Columns[T]) -> None:
        """Print the object a change left behind, unless results of changes are not wanted."""
        if self.json or not self.quiet:
            self.item(value, fields)

    def several(self, done: Sequence[T], failed: Mapping[str, MaiRustError], fields: Columns[T]) -> None:
        """Print what became of several: the objects as a list, and by id why the others failed."""
        if self.json:
            told = [{"id": one, "error": self._told(error)} for one, error in failed.items()]
            self.document({"items": done, "failed": told})
            return
        if not self.quiet:
            self.page(Page(items=tuple(done)), fields)
        for error in failed.values():
            self.error(error)

    def removed(self, removed: Removed, noun: str) -> None:
        """Say what was removed."""
        if self.json:
            self.document(removed)
        elif not self.quiet:
            from mairust_core.i18n import label, say

            noun = label(noun, self.lang)
            self.lines([say("list.removed", self.lang, noun=noun, name=clean(removed.name))])

    def document(self, value: object) -> None:
        """Print the JSON document of a value, as REST returns it."""
        self.raw([wire.dumps(value), b"\n"])

    def lines(self, lines: Sequence[str]) -> None:
        """Print lines; their parts are clean already."""
        encoding = self.stdout.encoding or "utf-8"
        self.raw(line.encode(encoding, "replace") + b"\n" for line in lines)

    def raw(self, chunks: Iterable[bytes]) -> None:
        """Print bytes untouched; raises `MaiRustError` when nothing more can be written."""
        with told_if_full():
            self.stdout.flush()
        out = self.stdout.buffer
        for chunk in chunks:
            with told_if_full():
                out.write(chunk)
        with told_if_full():
            out.flush()

    def note(self, text: str) -> None:
        """Tell a person something that is no result."""
        if not self.quiet:
            self._talk(f"mairust: {text}")

    def tell(self, text: str) -> None:
        """Say a line to a person who is to decide; also to those who want no notes."""
        self._talk(text)

    def warn(self, text: str) -> None:
        """Tell what is wrong although the command goes on; also to those who want no notes."""
        self._talk(f"mairust: {clean(text)}")

    def error(self, error: MaiRustError) -> None:
        """Say what went wrong and how to mend it: one line on stderr, or the JSON document of stdout."""
        told = self._told(error)
        if self.json:
            self.document({"error": told})
        else:
            self._talk("mairust: error: " + clean(f"{told['message']} {told['hint']}"))

    def _told(self, error: MaiRustError) -> dict[str, str]:
        from mairust_core.i18n import explain

        what, hint = explain(error, self.lang)
        return {"code": error.code, "message": what, "hint": hint}

    def _talk(self, text: str) -> None:
        encoding = self.stderr.encoding or "utf-8"
        try:
            print(text.encode(encoding, "replace").decode(encoding), file=self.stderr, flush=True)
        except OSError:  # nobody can be told; the exit code still says it
            lead_nowhere(self.stderr)

    def _cell(self, column: Column[T], item: T) -> str:
        return clean(worded(column.text(item), self.lang))

    def _titled(self, columns: Columns[T]) -> Columns[T]:
        if self.lang == "en":
            return columns
        from mairust_core.i18n import label

        return tuple(
            replace(column, title=label(column.title, self.lang, column.sense)) for column in columns
        )

    def _lines(self, columns: Columns[Any], rows: Sequence[Sequence[str]]) -> None:
        titles = [column.title.upper() for column in columns]
        widths = [max(map(width, cells)) for cells in zip(titles, *rows, strict=True)]
        self.lines([_line(columns, row, widths) for row in (titles, *rows)])

    def _table(
        self, columns: Columns[Any], rows: Sequence[Sequence[str]], styles: Sequence[Sequence[str]]
    ) -> None:
        from rich.box import SIMPLE_HEAD
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        header = "bold" if self.in_colour else ""
        table = Table(box=SIMPLE_HEAD, header_style=header, pad_edge=False, show_edge=False)
        for column in columns:
            justify: Any = "right" if column.right else "left"
            table.add_column(column.title, justify=justify, no_wrap=not column.shrink, overflow="ellipsis")
        for row, painted in zip(rows, styles, strict=True):
            cells = zip(row, painted, strict=True)
            table.add_row(
                *(Text(cell, style=style, no_wrap=True, overflow="ellipsis") for cell, style in cells)
            )
        wide = max(self.columns(), _least_width(columns, rows))  # rather wrapped by the terminal than cut
        console = Console(
            file=self.stdout, width=wide, no_color=not self.in_colour or None, highlight=False, markup=False
        )
        with console.capture() as drawn:
            console.print(table, crop=False)
        self.lines(drawn.get().rstrip("\n").split("\n"))  # which says ? for what the terminal cannot show


def _least_width(columns: Columns[Any], rows: Sequence[Sequence[str]]) -> int:
    """The width below which a table would lose something of a column that must not shrink."""
    needed = 0
    for column, *cells in zip(columns, *rows, strict=True):
        natural = max(map(width, (column.title, *cells)))
        needed += (min(natural, SHRUNK_COLUMNS) if column.shrink else natural) + 3
    return needed


def lead_nowhere(stream: TextIO) -> None:
    """Drop what a stream still holds, also when the interpreter flushes it at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


@contextmanager
def told_if_full() -> Iterator[None]:
    """Where stdout is written: say so when it takes no more, as `MaiRustError`."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise MaiRustError("output", why=error.strerror) from error


def _line(columns: Columns[Any], row: Sequence[str], widths: Sequence[int]) -> str:
    cells = zip(columns, row, widths, strict=True)
    return "  ".join(pad(cell, columns_, right=column.right) for column, cell, columns_ in cells).rstrip()
