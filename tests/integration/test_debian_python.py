"""Packages under Debian's own Python 3.11.2, with the dependencies of the Python that runs the tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.support.hostile import HOSTILE

ROOT = Path(__file__).parents[2]
DEBIAN = "/usr/bin/python3"
VERSION = "3.11.2"


def version_of(python: str) -> str:
    """Which version a Python says it is."""
    told = "import platform; print(platform.python_version())"
    return subprocess.run([python, "-c", told], capture_output=True, text=True, check=True).stdout.strip()


def test_packages_work_under_debians_own_python(tmp_path: Path) -> None:
    """Signed, verified, installed, approved and unpacked; every hostile archive refused as elsewhere."""
    if not os.path.exists(DEBIAN) or version_of(DEBIAN) != VERSION:
        pytest.skip(f"the system's own Python is not {VERSION}")
    if sys.version_info[:2] != (3, 11):
        pytest.skip("the dependencies that are installed are of another Python than the system's own")
    here = f"{ROOT}{os.pathsep}{sysconfig.get_path('platlib')}"
    command = [DEBIAN, "-S", "-m", "tests.support.packages_tried", str(tmp_path)]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": here, "HOME": str(tmp_path)}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, text=True, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["python"], told["verified"]) == (VERSION, True)
    assert (told["installed"], told["approved"]) == ("pending", "enabled")
    assert {"plugin.toml", "plugin.sh"} <= set(told["unpacked"])
    assert told["refused"] == {name: f"package_{why}" for name, (_, why) in HOSTILE.items()}
