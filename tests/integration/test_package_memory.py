"""Whoever sends a package does not choose how much memory reading it takes (trap H6)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support.archives import FILES, Entry, entries, gzip, package, tar
from tests.support.command_line import CHECKOUT

PEAK = """
import sys
from pathlib import Path
from mairust_core.errors import Invalid
from mairust_core.plugins.manifest import on_paper
from mairust_core.plugins.package import read_package
from tests.support.archives import package
def peak():
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])

read_package(package(), on_paper())
before = peak()
for name in sys.argv[1:]:
    try:
        with open(name, "rb") as file:
            read_package(file, on_paper())
    except Invalid as error:
        print(error.detail)
print(peak() - before)
"""


def deep(number: int) -> str:
    """A path of sixteen parts, all of them its own."""
    return "/".join(f"{number:04}{'d' * 10}" for _ in range(16))


def bombs() -> dict[str, bytes]:
    """What would take the most memory of a reader that believed it."""
    crowd = {f"{'d' * 100}/{n:05}{'x' * 90}": b"" for n in range(4000)}
    return {
        "zeros": gzip(tar(entries(more=[Entry(name="zeros", data=bytes(64 << 20))])), 9),
        "objects": package(manifest=b'{"files":[' + b"{}," * 340_000 + b"{}]}").getvalue(),
        "long": package(manifest=b'{"id":"' + b"\\u3042" * 170_000 + b'"}').getvalue(),
        "crowd in its limits": package(
            {**FILES, **{f"{'d' * 80}/{n:05}": b"" for n in range(3900)}}
        ).getvalue(),
        "crowd": package({**FILES, **crowd}).getvalue(),
        "deep crowd": gzip(tar(Entry(name=deep(n)) for n in range(4000))),
        "many": gzip(tar(Entry(name=f"{n}") for n in range(100_000))),
        "header": gzip(tar([Entry(name="x", kind=b"L", size=(8 << 30) - 1)])),
    }


def test_trap_h6_reading_takes_little_memory_whatever_comes(tmp_path: Path) -> None:
    """The peak of a process of its own rises by less than 16 MB, over one that has read a small package."""
    made = bombs()
    for name, data in made.items():
        (tmp_path / name).write_bytes(data)
    done = subprocess.run(
        [sys.executable, "-c", PEAK, *(str(tmp_path / name) for name in made)],
        cwd=CHECKOUT, check=True, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    *details, risen = done.stdout.split()
    assert details == [
        "package_bomb_ratio",
        "package_json_long",
        "package_json_missing",
        "package_file_long",
        "package_too_many_files",
        "package_too_many_files",
        "package_extended",
    ]
    assert int(risen) < 16 << 10
