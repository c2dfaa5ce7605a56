"""The guard against unnoticed skips."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
CONFTEST = """
from tests.support.skips import pytest_make_collect_report, pytest_runtest_makereport
"""


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("def test_it(): pytest.skip('strace is not installed')", 0),
        ("def test_it(): pytest.skip('it is Monday')", 1),
        ("@pytest.mark.skip(reason='later')\ndef test_it(): pass", 1),
        ("pytest.skip('no such module', allow_module_level=True)", 2),
    ],
)
def test_a_skip_is_allowed_for_a_listed_reason_only(tmp_path: Path, body: str, code: int) -> None:
    """A listed reason passes; any other, on a test or a whole file, fails the run."""
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_it.py").write_text(f"import pytest\n{body}\n")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "no:cacheprovider",
            "--rootdir",
            str(tmp_path),
            "-c",
            "/dev/null",
        ],
        cwd=tmp_path,
        env={"PYTHONPATH": str(CHECKOUT), "PATH": "/usr/bin:/bin", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout
