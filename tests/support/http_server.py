"""A real HTTP server of one site in a process of its own, for tests.

`python -m tests.support.http_server --data-dir D` opens the site at D, listens on a free port of 127.0.0.1
and on `D/http.sock`, and prints one line `{"http": "127.0.0.1:PORT", "unix": PATH}`. It ends with its
standard input, so it never outlives the test that started it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import select
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mairust_core.app import opened
from mairust_core.config import load_settings
from tests.support import forks

START_TIMEOUT_S = 60.0
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpServerProcess:
    """Where the server listens; `log` is the file of its standard error."""

    url: str
    unix: Path
    log: Path
    pid: int


@contextlib.contextmanager
def running(data_dir: Path, database_url: str | None = None) -> Iterator[HttpServerProcess]:
    """A server for the site at `data_dir`, for the length of a block."""
    log = data_dir / "http.log"
    command = [sys.executable, "-m", "tests.support.http_server", "--data-dir", str(data_dir)]
    if database_url:
        command += ["--database-url", database_url]
    with (
        open(log, "wb") as stderr,
        forks.Popen[bytes](
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr
        ) as process,
    ):
        try:
            line = _first_line(process)
            if not line:
                raise RuntimeError(f"the server did not come up: {log.read_text(errors='replace')[-3000:]}")
            said = json.loads(line)
            yield HttpServerProcess(
                url=f"http://{said['http']}", unix=Path(said["unix"]), log=log, pid=process.pid
            )
        finally:
            process.kill()


def _first_line(process: subprocess.Popen[bytes]) -> bytes:
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], START_TIMEOUT_S)
    return process.stdout.readline() if ready else b""


def _bind(data_dir: Path) -> tuple[socket.socket, socket.socket, Path]:
    tcp = socket.create_server(("127.0.0.1", 0))
    path = data_dir / "http.sock"
    path.unlink(missing_ok=True)
    unix = socket.socket(socket.AF_UNIX)
    unix.bind(str(path))
    unix.listen()
    return tcp, unix, path


async def _serve(data_dir: Path, database_url: str | None) -> None:
    from mairust_core.api import create_app
    from mairust_core.api.server import HttpServer

    settings = load_settings(data_dir=data_dir, env={}, overrides={"database.url": database_url})
    with opened(settings) as site:
        server = HttpServer(create_app(site))
        tcp, unix, path = _bind(data_dir)
        host, port = tcp.getsockname()
        await server.start([tcp, unix])
        print(json.dumps({"http": f"{host}:{port}", "unix": str(path)}), flush=True)
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_reader(0, lambda: ended.set() if not os.read(0, 1) else None)
        await ended.wait()
        await server.stop(1.0)


def main() -> None:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--database-url")
    options = parser.parse_args()
    import logging

    logging.basicConfig(level=logging.INFO, format="%(name)s %(levelname)s %(message)s")
    asyncio.run(_serve(options.data_dir, options.database_url))


if __name__ == "__main__":
    main()
