"""The log of hooks on its way: what cannot be written costs nothing but itself."""

from __future__ import annotations

import pytest

from mairust_core.errors import StorageDown
from mairust_core.hooks.answers import Said
from mairust_core.hooks.calls import Outcome
from mairust_core.hooks.log import Lines, Noted
from mairust_core.hooks.steps import Step
from tests.support.hooking import registered


def _step(hook: str) -> Step:
    return Step(
        registered=registered(hook), accounts=(1,), at_ms=1, delivery_id="d", recipient="a@b", request=b"",
        outcome=Outcome(said=Said(), ms=1.0),
    )  # fmt: skip


class _Target:
    def __init__(self, fault: Exception | None = None) -> None:
        self.fault = fault
        self.written: list[str] = []

    def record(self, noted: Noted) -> None:
        """Take them, all or none; one of hook `odd` cannot be taken."""
        if self.fault is not None:
            raise self.fault
        for one in noted.lines:
            one.hook.encode("ascii")
        self.written += [one.hook for one in noted.lines]


def test_a_line_that_cannot_be_written_costs_no_other(caplog: pytest.LogCaptureFixture) -> None:
    """The others are there, and the next ones too."""
    target = _Target()
    lines = Lines(target)
    lines.note([_step("a"), _step("é"), _step("b")], 1, {})
    assert lines.flush() == 2
    assert target.written == ["a", "b"]
    assert "1 calls of hooks are not in their log" in caplog.text
    lines.note([_step("c")], 1, {})
    assert lines.flush() == 1


def test_a_store_that_is_down_is_tried_once(caplog: pytest.LogCaptureFixture) -> None:
    """Not once for each line."""
    lines = Lines(_Target(StorageDown("open", url="x", why="gone")))
    lines.note([_step("a"), _step("b")], 1, {})
    assert lines.flush() == 0
    assert caplog.text.count("cannot be written") == 1
