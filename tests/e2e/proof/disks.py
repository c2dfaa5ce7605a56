"""Small disks: a tmpfs in a mount namespace of its own, which is gone with the last process in it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.server import CHECKOUT

NO_NAMESPACE = "no mount namespace to be had: needs root or unprivileged user namespaces"
INSIDE = "MAIRUST_TEST_INSIDE_NAMESPACE"
"""Set to 1 in the process that runs a test inside a namespace."""
TIMEOUT_S = 180.0


def ran_in_namespace(request: pytest.FixtureRequest, tmp_path: Path) -> bool:
    """Run the calling test in a process with mounts of its own; False in that process, where it is to work.

    Skips the test where the machine forbids it.
    """
    if os.environ.get(INSIDE) == "1":
        return False
    who = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-r", "-m"]
    if subprocess.run([*who, "true"], capture_output=True, check=False).returncode:
        pytest.skip(NO_NAMESPACE)
    options = ("-n", "0", "-q", "-p", "no:cacheprovider", "--basetemp", str(tmp_path / "inside"))
    done = subprocess.run(
        [
            "setpriv",
            "--pdeathsig",
            "KILL",
            *who,
            sys.executable,
            "-m",
            "pytest",
            *options,
            request.node.nodeid,
        ],
        cwd=CHECKOUT,
        env={**os.environ, INSIDE: "1"},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallDisk:
    """A file system of limited size."""

    path: Path

    def remount(self, options: str) -> None:
        """Change how it is mounted: `ro`, `rw`."""
        subprocess.run(["mount", "-o", f"remount,{options}", str(self.path)], check=True)

    def fill(self) -> Path:
        """Write a file until there is no room for one more byte; delete it to make room again."""
        filler = self.path / "filler"
        fd = os.open(filler, os.O_CREAT | os.O_WRONLY)
        try:
            for size in (1 << 16, 1 << 12, 1):
                _write_until_full(fd, bytes(size))
        finally:
            os.close(fd)
        return filler


@contextmanager
def small_disk(path: Path, size_bytes: int) -> Iterator[SmallDisk]:
    """An empty disk of that size, mounted in this process's namespace."""
    path.mkdir()
    options = f"size={size_bytes},mode=0700"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(path)], check=True)
    try:
        assert shutil.disk_usage(path).total <= size_bytes
        yield SmallDisk(path=path)
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def _write_until_full(fd: int, data: bytes) -> None:
    try:
        while os.write(fd, data) == len(data):
            pass
    except OSError:
        return  # ENOSPC: that was the aim
