"""The normal form of text (trap T1): what makes two writings the same, and what parts words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mairust_core.search.normal import LEAST_STRETCH, is_run, normal


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello,  World!\r\n", "hello world"),
        ("e-mail foo_bar ann@example.org", "e mail foo bar ann example org"),
        ("ＡＢＣ１２３", "abc123"),
        ("Straße ΣΊΣΥΦΟΣ", "strasse σίσυφοσ"),
        ("cafe\u0301 café", "café café"),
        ("ﬁne ½", "fine 1 2"),
        ("soft\u00adhyphen zero\u200bwidth \ufeffbom r\u202etl", "softhyphen zerowidth bom rtl"),
        ("日本\u3000東京", "日本 東京"),
        ("ｶﾞｷﾞｸﾞ", "ガギグ"),
        ("葛\U000e0100城 ❤️", "葛城"),
        ("5月3日はmailを", "5 月 3 日は mail を"),
        ("東京、大阪", "東京 大阪"),
        ("हिन्दी", "हिन्दी"),
        ("สวัสดี hello", "สวัสดี hello"),
        ("🎉 — …", ""),
        ("", ""),
    ],
)
def test_trap_t1_what_looks_the_same_is_the_same(text: str, expected: str) -> None:
    """Width, case, composition and what nobody sees make no difference; punctuation parts words."""
    assert normal(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("長い行は途中で折\nり返されます", "長い行は途中で折り返されます"),
        ("末尾に空白 \r\nがある", "末尾に空白がある"),
        ("段落の終わり\n\n次の段落", "段落の終わり 次の段落"),
        ("句点。\n次の文", "句点 次の文"),
        ("> 引用の行\n> 次の行", "引用の行 次の行"),
        ("last word\nnext word", "last word next word"),
        ("語\nword", "語 word"),
    ],
)
def test_a_line_broken_inside_a_run_is_no_boundary(text: str, expected: str) -> None:
    """Japanese mail is wrapped in the middle of words; a blank line, a mark or a quote still parts."""
    assert normal(text) == expected


@given(st.text())
def test_it_is_normal_whatever_came(text: str) -> None:
    """One space between pieces, none around; a piece is a run or has none; again, it stays as it is."""
    found = normal(text)
    pieces = found.split(" ") if found else []
    assert all(pieces)
    assert not any(char.isspace() and char != " " for char in found)
    assert all(len({is_run(char) for char in piece}) == 1 for piece in pieces)
    assert normal(found) == found


@given(st.lists(st.text("aA é\u0301東\u3000\u200b\ufeff\r\v\u2028.Ａ\x1c", max_size=4), max_size=8))
def test_lines_apart_are_what_they_are_together(lines: list[str]) -> None:
    """A long text is read in stretches of lines, ASCII or not; a short one as a whole, unless it is ASCII."""
    text = "\n".join(["é", *lines])
    long = "x" * LEAST_STRETCH * 10
    assert normal(f"{long}\n\n{text}") == f"{long} {normal(text)}"
