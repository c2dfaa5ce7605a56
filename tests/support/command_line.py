"""Running the command line: in this process for breadth, as one of its own for what only that shows."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support import forks

CHECKOUT = Path(__file__).parents[2]
TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """How a command ended and what it wrote."""

    code: int
    stdout: bytes
    stderr: str

    @property
    def out(self) -> str:
        """Its results as text."""
        return self.stdout.decode()

    @property
    def json(self) -> Any:
        """The one JSON document of stdout; fails when there is not exactly one."""
        return json.loads(self.stdout)


Run = Callable[..., Ran]
"""Runs a command in this process: `run("domain", "list")`."""


def environment_of_mairust() -> list[str]:
    """The variables of this process that would change what a command does."""
    return [
        name
        for name in os.environ
        if name.startswith(("MAIRUST_", "XDG_", "LC_")) or name in {"STATE_DIRECTORY", "NO_COLOR", "COLUMNS"}
    ]


def environment(home: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """What a command sees: an own home directory and nothing of MaiRust's from outside."""
    kept = {name: os.environ[name] for name in os.environ.keys() - set(environment_of_mairust())}
    return {**kept, "HOME": str(home), "PYTHONPATH": str(CHECKOUT), "LANG": "C.UTF-8", **(extra or {})}


def process(home: Path, *arguments: str, stdin: bytes = b"", extra: Mapping[str, str] | None = None) -> Ran:
    """Run a command as a process with an empty environment of MaiRust's."""
    done = forks.run(
        command_line(*arguments), env=environment(home, extra), cwd=home, timeout=TIMEOUT_S, input=stdin
    )
    return Ran(code=done.returncode, stdout=done.stdout, stderr=done.stderr.decode())


def started(home: Path, *arguments: str, stdin: bytes = b"", extra: Mapping[str, str] | None = None) -> Ran:
    """The same as a user starts it, with all that happens before the command runs."""
    done = subprocess.run(
        command_line(*arguments),
        env=environment(home, extra),
        cwd=home,
        capture_output=True,
        check=False,
        timeout=TIMEOUT_S,
        input=stdin,
    )
    return Ran(code=done.returncode, stdout=done.stdout, stderr=done.stderr.decode())


def command_line(*arguments: str) -> list[str]:
    """What runs a command."""
    return [sys.executable, "-m", "mairust_cli.entry", *arguments]


def heed_interrupts() -> None:
    """As from a terminal: a shell that runs these tests in its background has SIGINT ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
