"""Lines of TOML are found in time that grows as the text does, whoever wrote it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mairust_core.config.toml_text import read_toml, statements
from mairust_core.errors import BadConfig


def calls(text: str) -> int:
    """How many functions are called to find all lines of a text."""
    count = 0

    def counting(_frame: object, event: str, _arg: object) -> None:
        nonlocal count
        count += event == "call"

    before = sys.getprofile()
    sys.setprofile(counting)
    try:
        statements(text)
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize(
    ("begin", "line", "end"),
    [("x = [\n", "1,\n", "]\n"), ('x = """\n', "\\t\n", '"""\n'), ("x = [\n", "1,\n", "")],
)
def test_a_long_value_is_parsed_once(begin: str, line: str, end: str) -> None:
    """Twice as many lines are twice the work, not four times, also where the value never ends."""
    few, many = (calls(begin + count * line + end) for count in (300, 600))
    assert many < 3 * few


def test_where_a_statement_ends_strings_and_brackets_tell() -> None:
    """Brackets and quotes within strings and comments end nothing, nor does what is quoted in them."""
    text = "a = '''\n[b\n''''  # [\nb.\"c\n\" = 1\n"
    assert [(one.first, one.last) for one in statements(text)[0]] == [(1, 3)]
    assert statements(text)[1] == 4
    text = 'a = [ # ]\n"]", \'[\', { b = 1 } ]\n[t]\n"c]" = """\\"""\n"""""\nd = 1\n'
    found, broken = statements(text)
    assert [(one.first, one.last, one.paths[-1]) for one in found] == [
        (1, 2, ("a",)), (3, 3, ("t",)), (4, 5, ("t", "c]")), (6, 6, ("t", "d")),
    ]  # fmt: skip
    assert broken is None


@pytest.mark.parametrize("text", ["\n{key} = 1\n", "\n[{key}]\n", "\nx = {{ {key} = 1 }}\n"])
def test_a_key_has_so_many_parts_at_most(text: str) -> None:
    """The parser takes time by their square; numbers and texts with many dots are none."""
    with pytest.raises(BadConfig) as caught:
        read_toml(Path("f"), text.format(key=".".join(["a"] * 65)))
    assert (caught.value.detail, caught.value.values["line"]) == ("too_deep", 2)
    assert read_toml(Path("f"), text.format(key=".".join(["a"] * 64))).tree
    assert read_toml(Path("f"), f"a = [{'1.5, ' * 99}'{'.' * 99}'] # {'.' * 99}\n").tree
