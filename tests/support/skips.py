"""A skip that `tests/allowed_skips.txt` does not name is a failure: nothing goes untested unnoticed."""

from __future__ import annotations

from collections.abc import Generator
from functools import cache
from pathlib import Path
from typing import TypeVar

import pytest

ALLOWED = Path(__file__).parents[1] / "allowed_skips.txt"


@cache
def allowed_reasons() -> frozenset[str]:
    """The reasons of the list, one a line; lines that begin with # explain."""
    lines = ALLOWED.read_text(encoding="utf-8").splitlines()
    return frozenset(line.strip() for line in lines if line.strip() and not line.startswith("#"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn the report of a skip for an unlisted reason into a failure."""
    report = yield
    return _judged(report)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for a whole file."""
    report = yield
    return _judged(report)


Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)


def _judged(report: Report) -> Report:
    if report.skipped and not hasattr(report, "wasxfail") and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2].removeprefix("Skipped: ")
        if reason not in allowed_reasons():
            report.outcome = "failed"
            report.longrepr = f"{report.nodeid} was skipped ({reason!r}), which {ALLOWED.name} does not allow"
    return report
