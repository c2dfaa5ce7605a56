"""Progress: quiet at first and off a terminal, then one line with rate and time left."""

from __future__ import annotations

import io
import os
import pty
import re

import pytest

from mairust_cli.output import Output
from mairust_cli.progress import SHOWN_AFTER_S, Progress
from mairust_cli.text import size, width


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def progress(
    total: int | None, *, columns: int = 100, lang: str = "en"
) -> tuple[Progress, io.StringIO, Clock]:
    """A progress on a screen in memory."""
    screen, clock = io.StringIO(), Clock()
    made = Progress(screen, "importing", total, columns=lambda: columns, lang=lang, clock=clock)
    return made, screen, clock


def test_nothing_is_drawn_in_the_first_two_seconds() -> None:
    """A quick command leaves no flash; its screen stays as it was."""
    step, screen, clock = progress(10)
    with step:
        for _ in range(10):
            clock.now += SHOWN_AFTER_S / 11
            step.advance()
    assert screen.getvalue() == ""
    assert step.done == 10


def test_then_it_tells_share_rate_and_time_left() -> None:
    """And takes its line away at the end."""
    step, screen, clock = progress(4000)
    with step:
        clock.now += 10
        step.advance(1000)
        assert "━━━━━───────────────  25%  1,000 / 4,000  100/s  30 s left" in screen.getvalue()
    assert screen.getvalue().endswith("\r\x1b[2K")


def test_it_tells_where_it_is_and_how_many_bytes_come() -> None:
    """The mailbox, stripped of what would move the cursor, and a second rate."""
    step, screen, clock = progress(4000)
    with step:
        step.advance(100, size_bytes=5 << 20, at="Lists/\x1b[31mPython")
        clock.now += 10
        step.advance(900, size_bytes=5 << 20)
    assert "importing  Lists/[31mPython  ━━━━━" in screen.getvalue()
    assert "1,000 / 4,000  100/s  1.0 MiB/s  30 s left" in screen.getvalue()


def test_what_comes_may_become_known_on_the_way() -> None:
    """Part by part."""
    step, screen, clock = progress(None)
    with step:
        step.expect(10)
        step.expect(30)
        clock.now += 10
        step.advance(10)
    assert "25%  10 / 40" in screen.getvalue()


def test_without_a_total_it_spins() -> None:
    """Each time another sign, with what is done so far."""
    step, screen, clock = progress(None)
    with step:
        for _ in range(3):
            clock.now += 5
            step.advance(50)
    drawn = re.findall(r"(\S) importing  (\d+)  10/s", screen.getvalue())
    assert [count for _, count in drawn] == ["50", "100", "150"]
    assert len({sign for sign, _ in drawn}) == 3


def test_it_draws_ten_times_a_second_at_the_most() -> None:
    """However often it is told."""
    step, screen, clock = progress(10_000)
    clock.now += 3
    with step:
        for _ in range(1000):
            clock.now += 0.001
            step.advance()
    assert screen.getvalue().count("importing") <= 12


@pytest.mark.parametrize("columns", [10, 30, 60])
def test_the_line_fits_the_screen(columns: int) -> None:
    """A line that wraps could not be drawn over."""
    step, screen, clock = progress(10, columns=columns)
    clock.now += 3
    step.advance()
    assert width(screen.getvalue().removeprefix("\r\x1b[2K")) < columns


def test_sizes_and_languages() -> None:
    """Bytes are read as sizes; the time left is told in the language of the command."""
    screen, clock = io.StringIO(), Clock()
    step = Progress(screen, "x", 10 << 20, size=size, columns=lambda: 100, lang="ja", clock=clock)
    clock.now += 4
    step.advance(2 << 20)
    assert "2.0 MiB / 10.0 MiB  512.0 KiB/s  残り 16 秒" in screen.getvalue()


def terminal() -> tuple[int, io.TextIOWrapper]:
    """A real terminal: the end that a screen reads, and the stream that a command writes."""
    ours, theirs = pty.openpty()
    return ours, os.fdopen(theirs, "w", encoding="utf-8")


@pytest.mark.parametrize(("quiet", "env", "drawn"), [
    (False, {}, True), (True, {}, False), (False, {"TERM": "dumb"}, False),
])  # fmt: skip
def test_on_a_real_terminal(quiet: bool, env: dict[str, str], drawn: bool) -> None:
    """It is drawn on stderr, unless nobody wants to see it, or the terminal cannot move its cursor."""
    ours, stderr = terminal()
    out = Output(stdout=io.StringIO(), stderr=stderr, env={"COLUMNS": "100", **env}, quiet=quiet)
    step = out.progress("importing", 100)
    step._clock = lambda: step._began + 5
    with step:
        step.advance(10)
    stderr.write("end\n")
    stderr.flush()
    assert ("importing" in os.read(ours, 4096).decode()) is drawn
    stderr.close()
    os.close(ours)


def test_off_a_terminal_nothing_is_drawn() -> None:
    """A log holds no cursor movements."""
    out = Output(stdout=io.StringIO(), stderr=io.StringIO(), env={})
    step = out.progress("importing")
    step._clock = lambda: step._began + 5
    with step:
        step.advance()
    assert isinstance(out.stderr, io.StringIO)
    assert out.stderr.getvalue() == ""
