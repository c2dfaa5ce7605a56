"""Text for a terminal."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mairust_cli.text import clean, clean_lines, crop, moment, pad, size, width


@pytest.mark.parametrize(
    "unsafe",
    [
        "\x1b[31mred\x1b[0m",
        "bell\x07 and \x9b31m",
        "\u202egnp.exe",
        "\u2066isolated\u2069",
        "line\u2028line",
        "marks\u200e\u200f\u061c",
        "half \ud83d",
    ],
)
def test_trap_t3_control_and_bidi_characters_never_reach_the_terminal(unsafe: str) -> None:
    """Subjects and names cannot move the cursor, colour the screen or turn the line around."""
    assert clean(unsafe).isprintable()


@given(st.text())
def test_trap_t3_any_text_becomes_one_printable_line(text: str) -> None:
    """Whatever a mail says, it stays on its line, can be encoded, and cleaning it again changes nothing."""
    cleaned = clean(text)
    assert "\n" not in cleaned
    assert "\r" not in cleaned
    assert "\x1b" not in cleaned
    assert cleaned.encode("utf-8").decode("utf-8") == cleaned
    assert clean(cleaned) == cleaned


def test_words_and_full_width_text_are_kept() -> None:
    """Cleaning is not censoring: tabs and line ends become spaces, letters of any script stay."""
    assert clean("見積\u3000書\tの件\r\n 続き") == "見積 書 の件 続き"


@pytest.mark.parametrize(
    ("text", "columns"),
    [("abc", 3), ("日本", 4), ("ｶﾅ", 2), ("e\u0301", 1), ("ＡＢ", 4), ("", 0), ("👍", 2)],
)
def test_width_counts_columns_not_characters(text: str, columns: int) -> None:
    """Wide characters take two columns, half-width ones one, combining ones none."""
    assert width(text) == columns


def test_padding_fills_to_a_width() -> None:
    """Left by default, right for numbers; what is too long stays whole."""
    assert pad("日本", 6) == "日本  "
    assert pad("7", 3, right=True) == "  7"
    assert pad("long", 2) == "long"


@pytest.mark.parametrize(
    ("size_bytes", "shown"),
    [
        (None, "-"),
        (0, "0 B"),
        (1023, "1023 B"),
        (1536, "1.5 KiB"),
        (5 << 30, "5.0 GiB"),
        (1 << 60, "1048576.0 TiB"),
    ],
)
def test_sizes_are_shown_in_binary_units(size_bytes: int | None, shown: str) -> None:
    """Each unit is 1024 of the one before."""
    assert size(size_bytes) == shown


def test_moments_are_shown_in_utc() -> None:
    """Whatever zone a time comes in."""
    assert moment(datetime(2026, 11, 22, 10, 55, 37, tzinfo=UTC)) == "2026-11-22 10:55:37Z"
    tokyo = timezone(timedelta(hours=9))
    assert moment(datetime(2026, 11, 22, 9, 0, tzinfo=tokyo)) == "2026-11-22 00:00:00Z"
    assert moment(None) == "-"


@given(st.text(), st.integers(0, 40))
def test_cropped_text_fits(text: str, columns: int) -> None:
    """And is what it was, or begins as it did and ends with an ellipsis."""
    cropped = crop(text, columns)
    assert width(cropped) <= columns
    assert cropped == text or not columns or (cropped[-1] == "…" and text.startswith(cropped[:-1]))


@given(st.text())
def test_trap_t3_any_text_becomes_printable_lines(text: str) -> None:
    """The body of a mail, as many lines as it has, cannot do to a terminal what its subject cannot."""
    lines = clean_lines(text)
    assert len(lines) == text.count("\n") + 1
    assert all(not set(line) & set("\x1b\x07\r\t\u202e\u2066\x9b") for line in lines)


def test_lines_keep_their_layout() -> None:
    """Indentation and blank lines mean something in a body."""
    assert clean_lines("a\n\n  b\tc \r\n") == ["a", "", "  b     c", ""]
