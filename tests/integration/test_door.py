"""A command that a shell calls by the script of `tests/support/door.py` is one like any other."""

from __future__ import annotations

import json
import os
import select
import subprocess
from pathlib import Path

from tests.support import door
from tests.support.command_line import environment

TIMEOUT_S = 60.0


def shell(directory: Path, line: str) -> subprocess.CompletedProcess[str]:
    """Run a line where `mairust` is on the path."""
    tool = door.script(directory)
    env = environment(directory, {"PATH": f"{tool.parent}:{os.environ['PATH']}"})
    return subprocess.run(
        ["sh", "-c", line],
        cwd=directory,
        env=env,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def test_streams_directory_environment_and_exit_code_are_those_of_the_shell(tmp_path: Path) -> None:
    """Through pipes and redirections, in the directory it is in, and what it says is told apart."""
    made = "mairust init --data-dir site --quiet"
    done = shell(tmp_path, f"{made} && cd site && mairust --data-dir . domain list --json | cat")
    assert (done.returncode, done.stdout) == (0, '{"items":[],"next_cursor":null}\n'), done.stderr
    told = "MAIRUST_DATA_DIR=$PWD/site"
    assert shell(tmp_path, f"{told} mairust domain add x.example --json > out").returncode == 0
    assert json.loads((tmp_path / "out").read_text())["name"] == "x.example"
    password = "printf 'correct horse battery' | "
    added = shell(tmp_path, f"{password}{told} mairust account add ann@x.example --password-stdin --json")
    assert json.loads(added.stdout)["address"] == "ann@x.example", added.stderr
    failed = shell(tmp_path, "mairust --data-dir nowhere domain list")
    assert (failed.returncode, failed.stdout) == (78, "")
    assert failed.stderr.startswith(f"mairust: error: There is no site at {tmp_path}/nowhere.")


def test_a_command_dies_with_its_script(tmp_path: Path) -> None:
    """SIGKILL for the one is the end of the other: a test that ends a shell leaves nothing behind."""
    tool = door.script(tmp_path)
    call: list[str | Path] = [tool, "--data-dir", tmp_path / "site", "serve", "--json"]
    listeners = ["--smtp", "127.0.0.1:0", "--lmtp", "off", "--http", "off"]
    with subprocess.Popen([*call, *listeners], env=environment(tmp_path), stdout=subprocess.PIPE) as script:
        assert script.stdout is not None
        ready = json.loads(script.stdout.readline())
        ended = os.pidfd_open(ready["pid"])
        assert not select.select([ended], [], [], 0)[0]
        script.kill()
        assert select.select([ended], [], [], TIMEOUT_S)[0], "it is still there"
        os.close(ended)
