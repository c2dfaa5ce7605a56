"""Completion in real shells: what may follow, in bash, zsh and fish alike."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mairust_cli.completions import SHELLS as GENERATED
from tests.support.command_line import CHECKOUT, environment
from tests.support.shells import SHELLS, require_shell

SCRIPT = CHECKOUT / "completions/mairust.bash"

Offered = Callable[..., set[str]]


@pytest.fixture(params=sorted(SHELLS))
def offered(request: pytest.FixtureRequest, home: Path, tmp_path: Path) -> Offered:
    """Says what a shell offers for the last of some words; `mairust` is on its path."""
    require_shell(request.param)
    programs = tmp_path / "bin"
    programs.mkdir()
    tool = programs / "mairust"
    tool.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m mairust_cli.entry "$@"\n')
    tool.chmod(0o755)
    directory = tmp_path / "here"
    directory.mkdir()

    def ask(*words: str) -> set[str]:
        kept = {name: os.environ[name] for name in ("MAIRUST_DATA_DIR",) if name in os.environ}
        env = environment(home, {"PATH": f"{programs}:{os.environ['PATH']}", **kept})
        return SHELLS[request.param](words, env, directory)

    return ask


def test_every_shell_is_tried() -> None:
    """A script that is generated is one that these tests run."""
    assert SHELLS.keys() == GENERATED.keys()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("mairust", "do"), {"domain", "doctor"}),
        (("mairust", "domain", ""), {"add", "list", "show", "remove"}),
        (("mairust", "--json", "domain", "a"), {"add"}),
        (("mairust", "--config", "domain", "alias", "s"), {"show"}),
        (("mairust", "domain", "list", "--li"), {"--limit"}),
        (("mairust", "domain", "add", "x.example", "--js"), {"--json"}),
        (("mairust", "--lang", ""), {"en", "ja"}),
        (("mairust", "completion", ""), {"bash", "fish", "zsh"}),
        (("mairust", "job", "list", "--state", "d"), {"done", "dead"}),
        (("mairust", "hook", "log", "x", "--outcome", "s"), {"skipped"}),
        (("mairust", "hook", "add", "x", "--type", "pre"), {"pre_receive", "pre_delivery"}),
        (("mairust", "export", "maildir", "--layout", "n"), {"nested"}),
        (("mairust", "token", "create", "--lang", ""), {"en", "ja"}),
        (("mairust", "message", "list", "--account", ""), set()),
        (("mairust", "backup", "create", "x", "--recipient", ""), set()),
    ],
)
def test_what_may_follow_is_offered(offered: Offered, words: tuple[str, ...], expected: set[str]) -> None:
    """Commands after a group, options after a command, values where they are known."""
    found = offered(*words)
    assert {word for word in found if not word.startswith("-")} | (
        found if words[-1].startswith("-") else set()
    ) == expected


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("mairust", "domain", "show", ""), {"example.org"}),
        (("mairust", "account", "show", "b"), {"bob@example.org"}),
        (("mairust", "message", "list", "--account", ""), {"ann@example.org", "bob@example.org"}),
        (("mairust", "message", "list", "--account", "ann@example.org", "--mailbox", ""), {"INBOX"}),
    ],
)
def test_names_of_the_site_are_offered(
    offered: Offered, site: Path, words: tuple[str, ...], expected: set[str]
) -> None:
    """After a command or an option that names something that is there."""
    assert offered(*words) == expected


@pytest.mark.parametrize(
    "words",
    [("mairust", "--config"), ("mairust", "message", "append"), ("mairust", "import", "maildir"),
     ("mairust", "restore"), ("mairust", "backup", "verify")],
    ids=" ".join,
)  # fmt: skip
def test_files_are_offered_where_one_is_wanted(
    offered: Offered, tmp_path: Path, words: tuple[str, ...]
) -> None:
    """As the value of an option, and as what a command works on."""
    (tmp_path / "here" / "mail of may.eml").touch()
    assert {one.rstrip("/") for one in offered(*words, "mai")} == {"mail of may.eml"}
