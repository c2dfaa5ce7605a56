"""Completion in a real shell."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

from tests.support.command_line import TIMEOUT_S

SCRIPT = Path(__file__).parents[3] / "completions/mairust.bash"
ASK = """
source {script}
COMP_WORDS=({words})
COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_mairust
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


def offered(*words: str) -> set[str]:
    """What bash offers for the last word."""
    asked = ASK.format(script=shlex.quote(str(SCRIPT)), words=shlex.join(words))
    done = subprocess.run(
        ["bash", "-c", asked], capture_output=True, text=True, check=True, timeout=TIMEOUT_S
    )
    assert done.stderr == ""
    return set(done.stdout.split())


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
        (("mairust", "message", "list", "--account", ""), set()),
    ],
)
def test_bash_offers_what_may_follow(words: tuple[str, ...], expected: set[str]) -> None:
    """Commands after a group, options after a command, values where they are known."""
    found = offered(*words)
    assert {word for word in found if not word.startswith("-")} | (
        found if words[-1].startswith("-") else set()
    ) == expected


def test_bash_offers_files_where_a_file_is_wanted(tmp_path: Path) -> None:
    """After `--config` for one."""
    (tmp_path / "mairust.toml").touch()
    assert offered("mairust", "--config", f"{tmp_path}/mai") == {f"{tmp_path}/mairust.toml"}
