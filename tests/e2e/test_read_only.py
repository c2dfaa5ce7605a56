"""A site on a file system that is mounted read-only: every command says that, and names the right cure."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.support.server import END_TIMEOUT_S, Site, clean_environment, command_line, make_site

ALONE = ("unshare", "--mount") if os.geteuid() == 0 else ("unshare", "--map-root-user", "--mount")
HAS_NAMESPACE = subprocess.run([*ALONE, "true"], capture_output=True, check=False).returncode == 0
ANN = "user0@example.org"


def _read_only(site: Site, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a command where the site's directory cannot be written to by anybody."""
    at = shlex.quote(str(site.directory))
    mounted = f"mount --bind {at} {at} && mount -o remount,ro,bind {at}"
    return subprocess.run(
        [*ALONE, "sh", "-c", f"{mounted} && exec {shlex.join(command_line(site, *arguments))}"],
        env=clean_environment(), capture_output=True, text=True, timeout=END_TIMEOUT_S, check=False,
    )  # fmt: skip


@pytest.mark.skipif(
    not HAS_NAMESPACE, reason="no mount namespace to be had: needs root or unprivileged user namespaces"
)
def test_a_site_on_a_read_only_file_system_is_told_as_that(tmp_path: Path) -> None:
    """75 for commands, that finding alone of `doctor`; nobody is told to give files to another owner."""
    site = make_site(tmp_path / "site", accounts=1)
    for command in (
        ("message", "list", "--account", ANN),
        ("search", "hello", "--account", ANN),
        ("export", "mbox", tmp_path / "exported", "--account", ANN),
        ("backup", tmp_path / "backup"),
        ("db", "check"),
        ("domain", "add", "example.net"),
    ):
        done = _read_only(site, *command)
        assert (command[0], done.returncode) == (command[0], 75), done.stderr
        assert f"{site.directory}/mairust.db lies on a file system that is mounted read-only" in done.stderr
        assert "chown" not in done.stderr
    (found,) = json.loads(_read_only(site, "doctor", "--json").stdout)["findings"]
    assert (found["id"], found["level"]) == ("data_dir.read_only", "error")
    assert "remount,rw" in found["mend"]
