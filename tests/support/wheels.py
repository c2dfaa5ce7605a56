"""Wheels of the packages in `extensions/`, and virtual environments that have them installed.

A wheel is a zip with some files about itself (PEP 427); nothing of it needs a network.
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
    """The wheel of a package beside this file, of a distribution that is called like it."""
    files = {f"{package}/{path.name}": path.read_bytes() for path in (PACKAGES / package).glob("*.py")}
    return wheel_of(directory, package, version, entry_points, files)


def wheel_of(
    directory: Path, name: str, version: str, entry_points: Mapping[str, str], files: Mapping[str, bytes]
) -> Path:
    """The wheel of some files, whose entry points are of the group `mairust`."""
    escaped = name.replace("-", "_")
    info = f"{escaped}-{version}.dist-info"
    points = "".join(f"{point} = {target}\n" for point, target in entry_points.items())
    every = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[mairust]\n{points}".encode(),
    }
    record = "".join(f"{path},{_digest(data)},{len(data)}\n" for path, data in every.items())
    every[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    made = directory / f"{escaped}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(made, "w") as wheel:
        for path, data in every.items():
            wheel.writestr(path, data)
    return made


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
    if wheels:
        install(python, *wheels)
    return python


def install(python: Path, *wheels: Path) -> None:
    """Have pip install wheels into the environment of a Python, from these files alone."""
    pip = [_with_pip(), "-m", "pip", "--python", str(python), "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--quiet", "--no-index", "--no-deps", *map(str, wheels)], check=True)


def _with_pip() -> str:
    """A Python that has pip: that of the tests, or the one it was made from."""
    for python in (sys.executable, f"{sys.base_prefix}/bin/python3", "python3"):
        asked = subprocess.run([python, "-m", "pip", "--version"], capture_output=True, check=False)
        if asked.returncode == 0:
            return python
    raise AssertionError("no Python here has pip")
