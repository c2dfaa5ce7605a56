"""Wheels of the packages beside this file, and a virtual environment that has them installed.

A wheel is a zip with three files about itself (PEP 427); nothing of it needs a network.
"""

from __future__ import annotations

import base64
import hashlib
import site
import subprocess
import sys
import venv
import zipfile
from collections.abc import Mapping
from pathlib import Path

PACKAGES = Path(__file__).parent / "extensions"
CHECKOUT = Path(__file__).parents[2]


def build_wheel(directory: Path, package: str, entry_points: Mapping[str, str], version: str = "1.0") -> Path:
    """The wheel of a package, named like it, whose entry points are of the group `mairust`."""
    info = f"{package}-{version}.dist-info"
    points = "".join(f"{name} = {target}\n" for name, target in entry_points.items())
    files = {f"{package}/{path.name}": path.read_bytes() for path in (PACKAGES / package).glob("*.py")} | {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[mairust]\n{points}".encode(),
    }
    record = "".join(f"{name},{_digest(data)},{len(data)}\n" for name, data in files.items())
    path = directory / f"{package}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for name, data in (files | {f"{info}/RECORD": f"{record}{info}/RECORD,,\n".encode()}).items():
            wheel.writestr(name, data)
    return path


def _digest(data: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"sha256={digest}"


def make_environment(directory: Path, *wheels: Path) -> Path:
    """A fresh virtual environment with these wheels installed by pip; its Python.

    MaiRust and what it needs are those that run the tests, seen through a path file.
    """
    venv.create(directory, with_pip=False, symlinks=True)
    python = directory / "bin" / "python"
    [packages] = directory.glob("lib/python*/site-packages")
    seen = [*site.getsitepackages(), str(CHECKOUT)]
    (packages / "seen.pth").write_text("".join(f"{one}\n" for one in seen))
    pip = [_with_pip(), "-m", "pip", "--python", str(python), "--disable-pip-version-check"]
    subprocess.run(
        [*pip, "install", "--quiet", "--no-index", "--no-deps", *map(str, wheels)], check=True, cwd=directory
    )
    return python


def _with_pip() -> str:
    """A Python that has pip: that of the tests, or the one it was made from."""
    for python in (sys.executable, f"{sys.base_prefix}/bin/python3", "python3"):
        if (
            subprocess.run([python, "-m", "pip", "--version"], capture_output=True, check=False).returncode
            == 0
        ):
            return python
    raise AssertionError("no Python here has pip")
