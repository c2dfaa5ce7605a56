"""Help in another language: lines counted in cells, broken where that language breaks them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mairust_cli.help_page import HelpPage, wrapped
from mairust_cli.text import width

LETTERS = "aZ9-_`.,;:()[] あアー漢字。、（）「」っゃ…"
NOT_FIRST = set("。、）」ーっゃ")
NOT_LAST = set("（「")


def page(columns: int = 40) -> HelpPage:
    """A page whose texts are said as they are."""
    return HelpPage("ja", columns, lambda text: text)


@given(st.text(LETTERS, max_size=200), st.integers(4, 80))
def test_no_line_is_wider_than_the_screen_and_nothing_is_lost(text: str, columns: int) -> None:
    """Whatever is written; only white space goes where a line ends."""
    lines = wrapped(text, columns)
    assert max(map(width, lines)) <= columns
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


@given(
    st.lists(
        st.sampled_from(["漢字", "かな。", "（例）", "「名」", "サーバー", "あっ、", "`init`", "x"]),
        min_size=4,
    ),
    st.integers(12, 40),
)
def test_a_line_does_not_begin_or_end_with_a_mark_that_belongs_to_its_neighbour(
    words: list[str], columns: int
) -> None:
    """On any screen that has room for a letter between two of them."""
    for line in wrapped("".join(words), columns):
        assert line[:1] not in NOT_FIRST, line
        assert line[-1:] not in NOT_LAST, line


def test_words_stay_whole_and_wide_letters_need_no_space() -> None:
    """An option is no place to break a line; a word that is longer than the screen has to be."""
    assert wrapped("最初に --keep-last で残す", 12) == ["最初に", "--keep-last", "で残す"]
    assert wrapped("まず `domain add` で（必須）", 14) == ["まず", "`domain add`", "で（必須）"]
    assert wrapped("アカウント。[必須]", 16) == ["アカウント。", "[必須]"]
    assert wrapped("一二三四五", 4) == ["一二", "三四", "五"]
    assert wrapped("postgresql://USER", 10) == ["postgresql", "://USER"]
    assert wrapped("", 10) == [""]


def test_what_is_said_stands_beside_the_names_in_one_column() -> None:
    """Below them where they are long."""
    rows = [("-a", "一二三四五六七八九十一二三四五六七八九十"), (f"--{'b' * 40} FILE", "ファイル。")]
    sheet = page(60)
    with sheet.section("オプション"):
        sheet.write_dl(rows)
    assert sheet.getvalue().splitlines() == [
        "オプション:",
        f"  -a{'':30}一二三四五六七八九十一二三",
        f"  {'':32}四五六七八九十",
        f"  --{'b' * 40} FILE",
        f"  {'':32}ファイル。",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The account.  [required]", "<The account.> [<required>]"),
        ("Keep N.  [default: 0; x>=0]", "<Keep N.> [<default>: 0; x>=0]"),
        ("A [bracket] of its own.", "<A [bracket] of its own.>"),
    ],
)
def test_notes_on_a_parameter_are_said_apart(text: str, expected: str) -> None:
    """So that a text is translated once, and what holds without an option stays as it is typed."""
    sheet = HelpPage("ja", 78, lambda part: f"<{part}>")
    sheet.write_dl([("-x", text)])
    assert sheet.getvalue() == f"-x  {expected}\n"


def test_what_follows_a_command_goes_below_where_there_is_no_room() -> None:
    """Else it stands beside it, also in its second line."""
    near, far = HelpPage("ja", 50), HelpPage("ja", 50)
    near.write_usage("mairust alias add", "[OPTIONS] ADDRESS [ADDRESS]...")
    far.write_usage("mairust trust confirm-revocations", "[OPTIONS] KEY")
    edge = " " * width("使い方: mairust alias add ")
    assert near.getvalue() == f"使い方: mairust alias add [OPTIONS] ADDRESS\n{edge}[ADDRESS]...\n"
    assert far.getvalue() == "使い方: mairust trust confirm-revocations\n    [OPTIONS] KEY\n"


def test_a_text_of_an_extension_stays_as_it_is() -> None:
    """The catalogue knows only ours."""
    sheet = HelpPage("ja", 78)
    sheet.write_text("Count the domains of the site.")
    sheet.write_paragraph()
    sheet.write_text("Add a mail domain.")
    assert sheet.getvalue() == "Count the domains of the site.\n\nメールドメインを追加する。\n"
