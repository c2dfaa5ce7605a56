"""Crash points have known names, and the environment can name no other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import mairust_core
from mairust_core.errors import BadConfig
from mairust_core.observe.faults import STEPS, Fault, crash_point, parse

SOURCE = Path(mairust_core.__file__).parent


def test_every_crash_point_in_the_code_is_registered() -> None:
    """A misspelt step would never be reached by a kill test."""
    known = {step.name for step in STEPS}
    used = {
        name
        for path in SOURCE.rglob("*.py")
        for name in re.findall(r"crash_point\(\"([^\"]+)\"\)", path.read_text("utf-8"))
    }
    assert used
    assert used <= known


def test_every_step_is_named_once_and_explained() -> None:
    """The registry has no doubles and no silent entries."""
    assert len({step.name for step in STEPS}) == len(STEPS)
    assert all(step.meaning for step in STEPS)


def test_a_step_may_have_a_count() -> None:
    """`step` is the first arrival, `step:3` the third, and only that step counts."""
    fault = parse("segment.written:3")
    assert isinstance(fault, Fault)
    arrivals = ["segment.written", "segment.synced", "segment.written", "segment.written", "segment.written"]
    assert [fault.due(step) for step in arrivals] == [False, False, False, True, False]
    first = parse("segment.synced")
    assert first is not None
    assert first.due("segment.synced")


@pytest.mark.parametrize("text", ["segment.writen", "segment.written:0", "segment.written:x", ":1", "all"])
def test_an_unknown_step_is_an_error(text: str) -> None:
    """A typo does not make a kill test pass for want of a kill."""
    with pytest.raises(BadConfig, match="MAIRUST_CRASH_AT"):
        parse(text)


def test_nothing_asked_is_nothing_armed() -> None:
    """Without the variable a crash point does nothing."""
    assert parse("") is None
    crash_point("segment.written")
