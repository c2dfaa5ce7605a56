"""Whom a command of a test runs as: nobody, or somebody whom permissions bind; put before its words."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from mairust_core.sandbox.directories import closed_to_others

NOBODY = 65_534
"""The number of a user, and of a group, to whom nothing belongs."""

_IS_ROOT = os.geteuid() == 0
_HAS_SETPRIV = shutil.which("setpriv") is not None

AS_NOBODY = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"] if _IS_ROOT else []
"""Nobody; whoever runs the tests, when that is not root."""
POWERLESS = ["setpriv", "--inh-caps=-all", "--bounding-set=-all"] if _IS_ROOT else []
"""Whoever runs the tests, without the capabilities by which root passes over permissions."""

needs_root_and_setpriv = pytest.mark.skipif(not (_IS_ROOT and _HAS_SETPRIV), reason="needs root and setpriv")
needs_setpriv_as_root = pytest.mark.skipif(_IS_ROOT and not _HAS_SETPRIV, reason="needs root and setpriv")


def let_others_in(directory: Path) -> None:
    """Open the way to a directory of this run for every user: pytest keeps it to its own."""
    while (closed := closed_to_others(directory)) is not None:
        assert closed != Path.home(), f"{directory} lies in a home: tests need a place that others may enter"
        closed.chmod(closed.stat().st_mode | 0o055)
