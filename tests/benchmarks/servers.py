"""Servers under measurement, each a process of its own that ends with the benchmark."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.processes import process_tree

CHECKOUT = Path(__file__).parents[2]
READY_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 30.0

DIE_WITH_US = ("setpriv", "--pdeathsig", "KILL")


class ServerFailed(RuntimeError):
    """A server did not get ready or ended badly; the message carries the end of its stderr."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running server: its process, the ready line it printed, and where it listens for SMTP."""

    pid: int
    ready: Mapping[str, Any]

    @property
    def host(self) -> str:
        """The SMTP listener's address."""
        return str(self.ready["smtp"]).rpartition(":")[0]

    @property
    def port(self) -> int:
        """The SMTP listener's port."""
        return int(str(self.ready["smtp"]).rpartition(":")[2])

    def processes(self) -> list[int]:
        """The server and all its descendants."""
        return process_tree(self.pid)


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Our environment without settings that would change what is measured, plus ``extra``.

    ``PYTHONDONTWRITEBYTECODE`` would make each start compile; ``MAIRUST_…`` would configure the server.
    """
    dropped = ("MAIRUST_", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    return {**kept, "PYTHONPATH": str(CHECKOUT), **(extra or {})}


@contextlib.contextmanager
def running(
    command: Sequence[str], directory: Path, extra_environment: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """Start ``command`` in the fresh ``directory``, wait for its ready line, end it by SIGTERM.

    Raises: ServerFailed.
    """
    directory.mkdir(parents=True, exist_ok=True)
    errors = directory / "server.stderr"
    with open(errors, "wb") as stderr:
        process = subprocess.Popen(
            [*DIE_WITH_US, *command],
            cwd=directory,
            env=clean_environment(extra_environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
        )
    with process:
        try:
            yield Server(process.pid, _ready_line(process, errors))
        finally:
            end(process)
        if process.returncode not in (0, -signal.SIGTERM):
            raise ServerFailed(f"{command[-1]}: exit {process.returncode}: {tail(errors)}")


def _ready_line(process: subprocess.Popen[bytes], errors: Path) -> dict[str, Any]:
    assert process.stdout is not None
    readable, _, _ = select.select([process.stdout], [], [], READY_TIMEOUT_S)
    line = process.stdout.readline() if readable else b""
    if not line:
        raise ServerFailed(f"no ready line within {READY_TIMEOUT_S} s: {tail(errors)}")
    ready: dict[str, Any] = json.loads(line)
    return ready


def end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()


def tail(errors: Path) -> str:
    return errors.read_text(errors="replace")[-2000:].strip() or "nothing on stderr"


def python(module: str, *arguments: object) -> list[str]:
    """The command line of one of our modules under this interpreter."""
    return [sys.executable, "-m", module, *map(str, arguments)]


def output_of(command: Sequence[str], **environment: str) -> dict[str, Any]:
    """Run a command of ours to its end and read its one JSON line, whatever its exit code.

    Raises: ServerFailed when there is no such line.
    """
    done = subprocess.run(
        command, cwd=CHECKOUT, env=clean_environment(environment), capture_output=True, check=False
    )
    try:
        document: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        raise ServerFailed(
            f"{' '.join(command[:4])}: {done.stderr.decode(errors='replace')[-2000:]}"
        ) from None
    return document


Processes = Callable[[], Sequence[int]]
"""Process ids at this moment; a database's, say."""
