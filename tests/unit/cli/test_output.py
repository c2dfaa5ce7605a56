"""Results in three forms from the same value."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from typing import Any

import pytest

from mairust_cli.commands.message_changes import CHANGED
from mairust_cli.output import Column, Columns, Output
from mairust_cli.text import width
from mairust_core import wire
from mairust_core.errors import Conflict, MaiRustError, NotFound
from mairust_core.model.forms import Page, Removed
from mairust_core.model.ids import Id
from mairust_core.model.message import MessageRef


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """Something to show."""

    name: str
    size: int


COLUMNS: Columns[Thing] = (
    Column("Name", lambda thing: thing.name),
    Column("Size", lambda thing: str(thing.size), right=True),
)
TWO = Page(items=(Thing(name="日本語", size=7), Thing(name="ab", size=1200)), next_cursor="ab")


class Screen(io.TextIOWrapper):
    """A stream in memory that is a terminal when it is told to be."""

    def __init__(self, *, terminal: bool = False, encoding: str = "utf-8") -> None:
        self.bytes = io.BytesIO()
        self.terminal = terminal
        super().__init__(self.bytes, encoding=encoding, write_through=True)

    def isatty(self) -> bool:
        return self.terminal

    @property
    def shown(self) -> str:
        return self.bytes.getvalue().decode(self.encoding)


def output(*, terminal: bool = False, encoding: str = "utf-8", env: dict[str, str] | None = None) -> Output:
    """An output on two screens."""
    return Output(stdout=Screen(terminal=terminal, encoding=encoding), stderr=Screen(), env=env or {})


def shown(out: Output) -> tuple[str, str]:
    """What is on stdout and stderr."""
    assert isinstance(out.stdout, Screen)
    assert isinstance(out.stderr, Screen)
    return out.stdout.shown, out.stderr.shown


def test_a_list_is_plain_aligned_lines_off_a_terminal() -> None:
    """Columns line up by width on screen, numbers at the right; how to see more is on stderr."""
    out = output()
    out.page(TWO, COLUMNS)
    stdout, stderr = shown(out)
    assert stdout == "NAME    SIZE\n日本語     7\nab      1200\n"
    assert stderr == "mairust: there are more: --all, or --cursor ab\n"


@pytest.mark.parametrize("encoding", ["ascii", "iso8859-1", "shift_jis"])
def test_a_table_on_a_terminal_that_is_not_utf8(encoding: str) -> None:
    """What it cannot show is a question mark, as in lines, and no crash."""
    out = output(terminal=True, encoding=encoding, env={"COLUMNS": "80"})
    out.page(Page(items=(Thing(name="日本語 ✓ é", size=7),)), COLUMNS)
    stdout, _ = shown(out)
    assert "?" in stdout
    assert "7" in stdout
    assert ("日本語" in stdout) == (encoding == "shift_jis")


def test_an_empty_list_prints_nothing() -> None:
    """So that counting lines counts nothing."""
    out = output()
    out.page(Page(items=()), COLUMNS)
    assert shown(out) == ("", "")


@pytest.mark.parametrize(
    ("page", "told"),
    [
        (Page(items=()), "mairust: there is nothing to list\n"),
        (Page(items=(), next_cursor="c"), "mairust: there are more: --all, or --cursor c\n"),
    ],
)
def test_an_empty_list_is_told_on_a_terminal(page: Page[Thing], told: str) -> None:
    """In place of a table of nothing; one that may go on says so instead."""
    out = output(terminal=True)
    out.page(page, COLUMNS)
    assert shown(out) == ("", told)


def test_json_is_the_body_that_rest_returns() -> None:
    """Byte for byte, and nothing else on stdout."""
    out = output()
    out.json = True
    out.page(TWO, COLUMNS)
    assert shown(out)[0].encode() == wire.dumps(TWO) + b"\n"


def test_an_object_is_a_line_for_each_field() -> None:
    """With the titles aligned."""
    out = output()
    out.item(TWO.items[1], COLUMNS)
    assert shown(out)[0] == "Name: ab\nSize: 1200\n"


def test_trap_t3_names_are_cleaned_in_every_form_for_people() -> None:
    """In lists, objects, removals and errors; JSON escapes what it must and keeps the rest."""
    evil = "a\x1b]0;x\x07\u202eb"
    out = output()
    out.page(Page(items=(Thing(name=evil, size=1),)), COLUMNS)
    out.item(Thing(name=evil, size=1), COLUMNS)
    out.removed(Removed(name=evil), "thing")
    out.error(Conflict("domain", name=evil))
    stdout, stderr = shown(out)
    assert "\x1b" not in stdout + stderr
    assert "\u202e" not in stdout + stderr
    out.json = True
    out.item(Thing(name=evil, size=1), COLUMNS)
    assert "\x1b" not in shown(out)[0]


def test_quiet_silences_notes_and_results_of_changes_only() -> None:
    """What was asked for is printed all the same, and so is JSON."""
    out = output()
    out.quiet = True
    out.change(TWO.items[1], COLUMNS)
    out.removed(Removed(name="x"), "thing")
    out.note("by the way")
    assert shown(out) == ("", "")
    out.page(TWO, COLUMNS)
    assert shown(out)[0] != ""
    out.json = True
    out.change(TWO.items[1], COLUMNS)
    assert shown(out)[0].endswith('{"name":"ab","size":1200}\n')


def test_an_error_is_one_line_on_stderr() -> None:
    """What happened, then how to mend it."""
    out = output()
    out.error(NotFound("domain", name="x.example"))
    assert shown(out) == (
        "",
        "mairust: error: There is no domain x.example. `mairust domain list` shows those there are.\n",
    )


def test_an_error_is_the_json_document_of_stdout() -> None:
    """With code, message and hint, in the language asked for."""
    out = output()
    out.json, out.lang = True, "ja"
    out.error(NotFound("domain", name="x.example"))
    stdout, stderr = shown(out)
    error = json.loads(stdout)["error"]
    assert set(error) == {"code", "message", "hint"}
    assert error["code"] == "not_found"
    assert "ありません" in error["message"]
    assert stderr == ""


def test_an_error_whose_text_is_missing_is_told_all_the_same() -> None:
    """Badly, but with its key and values."""
    out = output()
    out.error(MaiRustError("of_no_catalogue", path="/x"))
    assert shown(out)[1] == "mairust: error: failed.of_no_catalogue: path /x\n"


def test_a_terminal_of_a_poor_encoding_gets_what_it_can_show() -> None:
    """Nothing fails for a character that cannot be encoded."""
    out = output(encoding="ascii")
    out.page(TWO, COLUMNS)
    assert "???" in shown(out)[0]


def test_a_list_is_a_table_on_a_terminal() -> None:
    """Markup in a name is a name; NO_COLOR takes all colour away."""
    page = Page(items=(Thing(name="[red]x[/red]", size=1),))
    out = output(terminal=True, env={"NO_COLOR": "1", "COLUMNS": "80"})
    out.page(page, COLUMNS)
    stdout, _ = shown(out)
    assert "[red]x[/red]" in stdout
    assert "Name" in stdout
    assert "\x1b[3" not in stdout


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """Something with an id and a long subject."""

    id: str
    subject: str


LETTERS: Columns[Letter] = (
    Column("Id", lambda letter: letter.id, style=lambda _: "green"),
    Column("Subject", lambda letter: letter.subject, shrink=True),
    Column("When", lambda _: "2026-11-25 22:44:16Z"),
)
LETTER = Letter(id="251478121574825985", subject="全角の件名がとても長いメール、" * 9)


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_a_narrow_terminal_cuts_subjects_and_no_id(columns: int) -> None:
    """Every line fits, by width on screen; what must not shrink is whole."""
    out = output(terminal=True, env={"NO_COLOR": "1", "COLUMNS": str(columns)})
    out.page(Page(items=(LETTER, Letter(id="7", subject="short"))), LETTERS)
    lines = shown(out)[0].splitlines()
    assert all(width(line) <= columns for line in lines)
    assert LETTER.id in lines[2]
    assert "…" in lines[2]
    assert lines[2].rstrip().endswith("2026-11-25 22:44:16Z")
    starts = [width(line.partition("2026")[0]) for line in lines[2:]]
    assert len(set(starts)) == 1, "the columns stand one below the other, full-width characters or not"


def test_on_a_very_narrow_terminal_ids_are_still_whole() -> None:
    """The terminal may wrap the line: an id that is cut is worth nothing."""
    out = output(terminal=True, env={"NO_COLOR": "1", "COLUMNS": "20"})
    out.page(Page(items=(LETTER,)), LETTERS)
    assert LETTER.id in shown(out)[0]


@pytest.mark.parametrize(
    ("terminal", "env", "coloured"),
    [
        (True, {}, True),
        (True, {"NO_COLOR": "1"}, False),
        (True, {"NO_COLOR": ""}, True),
        (True, {"TERM": "dumb"}, False),
        (False, {}, False),
    ],
)
def test_colours_only_where_they_are_wanted(terminal: bool, env: dict[str, str], coloured: bool) -> None:
    """On a terminal that can, unless NO_COLOR is set to something (no-color.org)."""
    out = output(terminal=terminal, env={"COLUMNS": "100", **env})
    assert (out.paint("x", "red") == "\x1b[31mx\x1b[0m") is coloured
    assert out.paint("x", "") == "x"
    out.page(Page(items=(LETTER,)), LETTERS)
    assert ("\x1b[32m" in shown(out)[0]) is coloured


@pytest.mark.parametrize("terminal", [True, False])
def test_titles_are_in_the_readers_language(terminal: bool) -> None:
    """Of tables, lines and fields; JSON has the keys of the API."""
    out = output(terminal=terminal)
    out.lang = "ja"
    out.page(TWO, COLUMNS)
    out.item(TWO.items[1], COLUMNS)
    out.removed(Removed(name="example.org"), "domain")
    words, _ = shown(out)
    assert "名前" in words
    assert "サイズ: 1200" in words
    assert "ドメイン example.org を削除しました" in words
    assert "Name" not in words
    assert "NAME" not in words


def test_a_key_without_read_is_shown_the_id_it_changed() -> None:
    """Of a message that it may not read the other columns are empty."""
    changed: Any = MessageRef(id=Id(7))
    assert [column.text(changed) for column in CHANGED] == ["7", *[""] * (len(CHANGED) - 1)]
