"""Lengths of time for people."""

from __future__ import annotations

import pytest

from mairust_cli.durations import duration


@pytest.mark.parametrize(
    ("seconds", "english", "japanese"),
    [
        (-3, "0 s", "0 秒"),
        (0.4, "0 s", "0 秒"),
        (59, "59 s", "59 秒"),
        (60, "1 min", "1 分"),
        (3599, "59 min", "59 分"),
        (3600 * 5 + 120, "5 h 2 min", "5 時間 2 分"),
        (86_400 * 3 + 7200, "3 d 2 h", "3 日 2 時間"),
    ],
)
def test_the_two_largest_units(seconds: float, english: str, japanese: str) -> None:
    """In words of the language."""
    assert (duration(seconds), duration(seconds, "ja")) == (english, japanese)
