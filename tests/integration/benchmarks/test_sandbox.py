"""The benchmark of the sandbox measures what it says, at a size that takes seconds."""

from __future__ import annotations

import pytest

from tests.benchmarks import sandbox


def test_the_benchmark_runs_and_judges(capsys: pytest.CaptureFixture[str]) -> None:
    """A goal out of reach is missed."""
    few = ["--calls", "50", "--rounds", "1"]
    assert sandbox.main([*few, "--goal", "1e6"]) == 0
    said = capsys.readouterr().out
    assert "rlimits" in said
    assert "met" in said
    assert sandbox.main([*few, "--goal", "0"]) == 1
    assert "MISSED" in capsys.readouterr().out
