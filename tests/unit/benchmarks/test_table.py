"""Goals and tables: a bound is judged on the right side, a void run never passes."""

from __future__ import annotations

import pytest

from tests.benchmarks.table import Goal, render, verdict


@pytest.mark.parametrize(
    ("measured", "at_least", "met"),
    [(5.0, True, True), (4.99, True, False), (5.0, False, True), (5.01, False, False)],
)
def test_a_goal_is_met_on_its_bound_and_on_its_good_side(measured: float, at_least: bool, met: bool) -> None:
    """Rates are at least, costs at most; the bound itself counts as met."""
    goal = Goal("x", measured, 5.0, at_least=at_least)
    assert goal.met is met
    assert ("MISSED" in str(goal)) is not met


def test_a_void_run_fails_though_its_goals_are_met(capsys: pytest.CaptureFixture[str]) -> None:
    """Ratios of a hindered run are no success, and the reason is printed."""
    assert verdict([Goal("x", 1.0, 2.0)]) == 0
    assert verdict([Goal("x", 3.0, 2.0)]) == 1
    assert verdict([Goal("x", 1.0, 2.0)], ["hindered"]) == 1
    assert "VOID: hindered" in capsys.readouterr().out


def test_columns_line_up() -> None:
    """Every line of a table is as long as the others, the first column flush left."""
    lines = render(("name", "n"), [("a", 1), ("longer", 1000)]).splitlines()
    assert lines == ["name       n", "a          1", "longer  1000"]
