"""Following a document: a fresh home, its commands in a shell, a server that `mairust serve` started."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support import door
from tests.support.command_line import environment_of_mairust
from tests.support.docs import CHECKOUT

READY_TIMEOUT_S = 60.0
COMMAND_TIMEOUT_S = 600.0
ANY_PORT = {f"MAIRUST_{name}__LISTEN": "127.0.0.1:0" for name in ("SMTP", "LMTP", "HTTP")}
"""The documents name fixed ports; tests take free ones and put them into the commands."""

_READY = re.compile(r"ready: SMTP \S+:(\d+), LMTP \S+:(\d+), HTTP \S+:(\d+) \(process (\d+)\)")
_OURS = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"}
_CURL = """\
import sys, urllib.request
url = next(word for word in sys.argv[1:] if word.startswith("http"))
headers = dict(sys.argv[n + 1].split(": ", 1) for n, word in enumerate(sys.argv) if word == "-H")
print(urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=60).read().decode())
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Somebody who types what a document says, in `directory`, with an empty `home`."""

    directory: Path
    home: Path

    @property
    def environment(self) -> dict[str, str]:
        """An empty home, nothing of MaiRust's, and not the Python that runs the tests."""
        dropped = {*environment_of_mairust(), *_OURS}
        kept = {name: value for name, value in os.environ.items() if name not in dropped}
        own = Path(sys.prefix, "bin")
        path = [one for one in os.environ["PATH"].split(os.pathsep) if Path(one) != own]
        return {**kept, "HOME": str(self.home), "LANG": "C.UTF-8", "PATH": os.pathsep.join(path)}

    def types(self, script: str, **extra: str) -> str:
        """Run a script in one shell, stopping at the first command that fails; what it printed."""
        done = subprocess.run(
            ["sh", "-euc", script],
            cwd=self.directory,
            env={**self.environment, **extra},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            text=True,
            timeout=COMMAND_TIMEOUT_S,
        )
        assert done.returncode == 0, f"exit {done.returncode}: {done.stdout}\n{done.stderr}"
        return done.stdout


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A server and where it listens."""

    smtp: str
    http: str
    pid: str

    def in_place(self, script: str) -> str:
        """The script with this server's ports and process number for those of the documents."""
        for written, real in {"2525": self.smtp, "8025": self.http, "8175": self.pid}.items():
            script = re.sub(rf"\b{written}\b", real, script)
        return script


def reader(directory: Path) -> Reader:
    """A reader with a directory and an empty home below `directory`."""
    home, work = directory / "home", directory / "work"
    home.mkdir()
    work.mkdir()
    return Reader(directory=work, home=home)


def with_tools(who: Reader, interpreter: Path | None = None) -> Reader:
    """Give the reader `.venv/bin` with `mairust`, `python`, and `curl` if there is none.

    `mairust` is this checkout's, forked, or that of an interpreter, which is started for each call.
    """
    tools = who.directory / ".venv" / "bin"
    tools.mkdir(parents=True)
    python = f'exec "{interpreter or sys.executable}"'
    scripts = {"python": f'{python} "$@"'}
    if interpreter is None:
        door.script(tools)
    else:
        scripts["mairust"] = f'PYTHONPATH="{CHECKOUT}" {python} -m mairust_cli.entry "$@"'
    if shutil.which("curl") is None:  # a bare Debian has none
        (tools / "curl.py").write_text(_CURL)
        scripts["curl"] = f'{python} "{tools}/curl.py" "$@"'
    for name, script in scripts.items():
        (tools / name).write_text(f"#!/bin/sh\n{script}\n")
        (tools / name).chmod(0o700)
    return who


@contextlib.contextmanager
def serving(who: Reader, command: str) -> Iterator[Running]:
    """Run the command of a server until the block ends; it dies with the tests, too."""
    said = who.directory / "serve.stderr"
    with open(said, "wb") as stderr:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "sh", "-euc", f"exec {command}"],
            cwd=who.directory,
            env={**who.environment, **ANY_PORT},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            start_new_session=True,
        )
    try:
        yield _ready(process, said)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _ready(process: subprocess.Popen[bytes], said: Path) -> Running:
    deadline = time.monotonic() + READY_TIMEOUT_S
    while (found := _READY.search(said.read_text("utf-8"))) is None:
        assert process.poll() is None, said.read_text("utf-8")
        assert time.monotonic() < deadline, f"not ready: {said.read_text('utf-8')}"
        time.sleep(0.05)
    smtp, _, http, pid = found.groups()
    return Running(smtp=smtp, http=http, pid=pid)
