"""What a server may do beyond its user, before its ports are bound and after."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.support.server import CHECKOUT, clean_environment
from tests.support.users import AS_NOBODY, needs_root_and_setpriv

BIND = ["--inh-caps=+net_bind_service", "--ambient-caps=+net_bind_service"]
"""As `AmbientCapabilities=` of the unit has it."""
NAMES = ("CapInh", "CapPrm", "CapEff", "CapAmb")
TOLD = """
import json, subprocess, sys
from pathlib import Path
from mairust_core.serve.powers import give_up_powers
def powers(text):
    lines = dict(line.split(":", 1) for line in text.splitlines())
    return [int(lines[name], 16) for name in sys.argv[1:]]
def all_of_them():
    child = subprocess.run(["cat", "/proc/self/status"], capture_output=True, text=True, check=True)
    return [powers(Path("/proc/self/status").read_text()), powers(child.stdout)]
before = all_of_them()
give_up_powers()
print(json.dumps([before, all_of_them()]))
"""


def found(*who: str) -> tuple[list[list[int]], list[list[int]]]:
    """The capabilities of a server and of what it starts, before and after it gave them up."""
    done = subprocess.run(
        [*who, sys.executable, "-c", TOLD, *NAMES],
        env=clean_environment(), cwd=CHECKOUT, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    before, after = json.loads(done.stdout)
    return before, after


@needs_root_and_setpriv
def test_once_ports_are_bound_nothing_is_kept_and_nothing_handed_on() -> None:
    """Bubblewrap refuses to start with a capability that was inherited."""
    before, after = found(*AS_NOBODY, *BIND)
    assert all(one for process in before for one in process)
    assert after == [[0] * len(NAMES)] * 2


@needs_root_and_setpriv
def test_root_keeps_its_own() -> None:
    """It makes each plugin a user."""
    before, after = found()
    assert before == after
    assert before[0][NAMES.index("CapEff")]
