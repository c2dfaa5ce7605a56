"""A server to which something is refused that a shell may do, as by a unit of systemd or a container."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from mairust_core.model.isolation import Layer
from mairust_core.sandbox.machine import look
from tests.support.filtered import UNIT, command
from tests.support.linking import allow_unsigned, approved, manifest_text, new_id
from tests.support.server import Server, Site, make_site
from tests.support.users import needs_root_and_setpriv

PATIENCE_S = 60.0


def findings(site: Site) -> dict[str, str]:
    """What `mairust doctor` finds at a shell about the sandbox, by id."""
    told = json.loads(site.command("doctor", "--json").stdout)["findings"]
    return {one["id"]: one["what"] for one in told if one["id"].startswith("sandbox.")}


@needs_root_and_setpriv
def test_commands_beside_a_server_tell_how_its_plugins_are_held(tmp_path: Path) -> None:
    """Not how theirs would be; and the server stops at once although nothing can be started."""
    if not look().has(Layer.LANDLOCK):
        pytest.skip("this kernel has no Landlock")
    allow_unsigned(tmp_path / "site")
    site = make_site(tmp_path / "site", accounts=1)
    with site.opened() as here:
        id_ = approved(here, tmp_path / "plugin", manifest_text(new_id()))
    assert "sandbox.not_enough" not in findings(site)
    refused = [name for name in UNIT if name != "capset"]  # by which a test's servers come to life
    with Server(site=site, wrapper=command(refused)) as server:
        until = time.monotonic() + PATIENCE_S
        while "sandbox.not_enough" not in findings(site):
            assert time.monotonic() < until, server.stderr_file.read_text()
        assert "Operation not permitted" in findings(site)["sandbox.not_enough"]
        shown = json.loads(site.command("plugin", "show", id_, "--json").stdout)
        assert shown["sandbox"]["enough"] is False
        assert "cannot be kept from local plugins" in server.stderr_file.read_text()
        assert server.terminate() == 0
    assert "sandbox.not_enough" not in findings(site)
