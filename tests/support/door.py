"""`mairust` for a shell of a test: every call is forked (`tests.support.forks`), as if Python had started.

    path = door.script(directory)       # to be called by whatever the test runs
    subprocess.run(["sh", "-c", f"{path} domain list | sort"], …)

The script is a process of its own with the exit code of the command; when it is killed, so is the command.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import shutil
import socket
import sys
import tempfile
import threading
from functools import cache
from pathlib import Path

from tests.support import forks

_ASKS = """\
import json, os, socket, sys
with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as door:
    door.connect({door!r})
    asked = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
    socket.send_fds(door, [asked], [0, 1, 2])
    code = int(door.recv(16) or -9)
sys.exit(code if code >= 0 else 128 - code)
"""
_LARGEST_BYTES = 1 << 20


def script(directory: Path) -> Path:
    """Write the program `mairust` into a directory; its path."""
    asks = directory / "asks.py"
    asks.write_text(_ASKS.format(door=str(_door())))
    tool = directory / "mairust"
    # Without `site` it starts in a hundredth of a second.
    python = f'exec "{sys.executable}" -I -S "{asks}" "$@"'
    tool.write_text(f'#!/bin/sh\nPYTHONPATH="{forks.CHECKOUT}" {python}\n')
    tool.chmod(0o700)
    return tool


@cache
def _door() -> Path:
    """Where the scripts of this test process ask."""
    directory = Path(tempfile.mkdtemp(prefix="mrdoor-", dir="/tmp"))
    atexit.register(shutil.rmtree, directory)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listening.bind(str(directory / "door"))
    listening.listen()
    threading.Thread(target=_open, args=(listening,), daemon=True).start()
    return directory / "door"


def _open(listening: socket.socket) -> None:
    while True:
        asking, _ = listening.accept()
        threading.Thread(target=_run, args=(asking,), daemon=True).start()


def _run(asking: socket.socket) -> None:
    with asking:
        asked, fds, _, _ = socket.recv_fds(asking, _LARGEST_BYTES, 3)
        words, directory, environment = json.loads(asked)
        process = forks.Popen[bytes](
            [sys.executable, "-m", "mairust_cli.entry", *words],
            cwd=directory,
            env=environment,
            stdin=fds[0],
            stdout=fds[1],
            stderr=fds[2],
        )
        for fd in fds:
            os.close(fd)
        either: list[socket.socket | forks.Popen[bytes]] = [asking, process]
        if asking in select.select(either, [], [])[0]:
            process.kill()  # as was the script
            process.wait()
            return
        asking.send(b"%d" % process.wait())
