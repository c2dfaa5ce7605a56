"""The benchmark of the queue measures what it says, at a size that takes seconds."""

from __future__ import annotations

import pytest

from tests.benchmarks import jobs


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_the_benchmark_runs_and_judges(database: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Both ways and the run with kills; a goal out of reach is missed."""
    few = ["--database", database, "--jobs", "300", "--rounds", "1"]
    assert jobs.main([*few, "--goal", "1"]) == 0
    said = capsys.readouterr().out
    assert "MaiRust / plain loop" in said
    assert "VOID" not in said
    assert jobs.main([*few, "--goal", "1e9"]) == 1
    assert "MISSED" in capsys.readouterr().out
