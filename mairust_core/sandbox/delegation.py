"""Below a group that systemd has given us: version 2 limits only groups whose parent has no processes itself.

`Delegate=yes` puts the server into that group; `DelegateSubgroup=`, which does what is done here, came with
systemd 254.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

from mairust_core.sandbox.cgroups import ROOT, write_to

SUBGROUP = "main"
TOLD = Path("/proc/self/cgroup")
"""Where the kernel says in which groups a process is (cgroups(7))."""
DELEGATED = "user.delegate"
"""What systemd writes on a group that it leaves to its service (systemd.resource-control(5), from 251 on)."""

log = logging.getLogger("mairust.sandbox")


def settle(root: Path = ROOT, told: Path = TOLD) -> None:
    """Move this process into a group of its own below the one it was given, if that is a service's own.

    To be called before any other process is started. Where nothing was given, nothing happens; where it
    fails, plugins are held without groups, and what tells of layers says so.
    """
    own = _own(root, told)
    if own is None or not _is_delegated(own):
        return
    try:
        subgroup = own / SUBGROUP
        subgroup.mkdir(exist_ok=True)
        write_to(subgroup / "cgroup.procs", 0)
    except OSError as error:
        log.info("plugins will have no control groups: %s: %s", error.filename, error.strerror)


def _own(root: Path, told: Path) -> Path | None:
    """Our group of the second version, where that is the only one."""
    try:
        lines = told.read_text("utf-8").splitlines()
    except OSError:  # a system without groups
        return None
    if len(lines) != 1 or not lines[0].startswith("0::/"):
        return None
    return root / lines[0].removeprefix("0::/")


def _is_delegated(group: Path) -> bool:
    try:
        return os.getxattr(group, DELEGATED) == b"1"
    except OSError:  # nobody wrote it, or there is no such group
        return False
