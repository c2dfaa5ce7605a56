"""Plain tables and verdicts, alike for all benchmarks."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Goal:
    """A measured ratio and its bound: ``at_least`` or, otherwise, at most."""

    name: str
    measured: float
    bound: float
    at_least: bool = False
    unit: str = "x"

    @property
    def met(self) -> bool:
        """Whether the bound holds."""
        return self.measured >= self.bound if self.at_least else self.measured <= self.bound

    def __str__(self) -> str:
        relation = ">=" if self.at_least else "<="
        verdict = "met" if self.met else "MISSED"
        goal = f"goal {relation} {self.bound:g} {self.unit}"
        return f"{self.name}: {self.measured:.2f} {self.unit} ({goal}) {verdict}"


def render(heading: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Columns of equal width, the first one left-aligned."""
    cells = [tuple(heading), *(tuple(map(str, row)) for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(heading))]
    padded = ([cell.rjust(width) for cell, width in zip(row, widths, strict=True)] for row in cells)
    return "\n".join("  ".join([row[0].strip().ljust(widths[0]), *row[1:]]) for row in padded)


def verdict(goals: Sequence[Goal], void: Sequence[str] = ()) -> int:
    """Print goals and reasons to distrust the run; 0 when all is met, 1 otherwise."""
    for goal in goals:
        print(goal)
    for reason in void:
        print(f"VOID: {reason}")
    sys.stdout.flush()
    return 0 if not void and all(goal.met for goal in goals) else 1
