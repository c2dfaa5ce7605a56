"""A server whose own system calls are filtered, as by a unit of systemd: its plugins are held, or not run."""

from __future__ import annotations

import json
import sys

import pytest

from mairust_core.model.isolation import Layer
from mairust_core.sandbox.machine import look
from tests.support import forks
from tests.support.filtered import UNIT, command
from tests.support.server import CHECKOUT, clean_environment
from tests.support.users import needs_root_and_setpriv

PATIENCE_S = 60.0
FOUND = """
import json, sys
from mairust_core.sandbox.probing import probe
found = probe().isolation
print(json.dumps([found.is_enough, found.present, {one.layer: one.why for one in found.missing}]))
"""
ALLOWED = {
    word
    for line in (CHECKOUT / "deploy/mairust.service").read_text("utf-8").splitlines()
    if line.startswith("SystemCallFilter=") and "@" not in line
    for word in line.removeprefix("SystemCallFilter=").split()
}
"""What our unit allows by name, beside groups that differ from one systemd to the next."""


def found(refused: list[str]) -> tuple[bool, set[str], dict[str, str]]:
    """What a process finds out about the sandbox under a filter."""
    done = forks.run(
        command(refused, sys.executable, "-c", FOUND),
        env=clean_environment(),
        cwd=CHECKOUT,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stderr.decode()
    enough, present, missing = json.loads(done.stdout)
    return enough, set(present), missing


@pytest.fixture(autouse=True)
def _with_landlock() -> None:
    if not look().has(Layer.LANDLOCK):
        pytest.skip("this kernel has no Landlock")


@needs_root_and_setpriv
def test_under_our_unit_plugins_are_held_by_landlock_and_seccomp() -> None:
    """The calls of which these are made are allowed there by name: `@system-service` may not have them."""
    enough, present, missing = found([name for name in UNIT if name not in ALLOWED])
    assert enough
    assert {Layer.LANDLOCK, Layer.SECCOMP} <= present
    assert {Layer.NAMESPACES} <= missing.keys()


@needs_root_and_setpriv
def test_without_what_a_sandbox_is_made_of_that_is_found_out_and_told() -> None:
    """It ends, and names a reason, also where the layer to blame is missing anyway."""
    enough, _, missing = found([*UNIT])
    assert not enough
    assert "Operation not permitted" in " ".join(missing.values())
