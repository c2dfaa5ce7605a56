"""The plugin of the benchmark ``hooks``: a bare ASGI app in a process of its own, which allows everything.

``python -m tests.benchmarks.hook_server`` prints ``{"port": …}`` when it listens. ``/slow/MS`` answers after
so many milliseconds.
"""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any

import uvicorn

ANSWER = b'{"action":"deliver"}'
HEADERS = [(b"content-type", b"application/json"), (b"content-length", str(len(ANSWER)).encode())]


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Read the request, allow the mail."""
    while (await receive()).get("more_body"):
        pass
    if scope["path"].startswith("/slow/"):
        await asyncio.sleep(int(scope["path"].rpartition("/")[2]) / 1000)
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": ANSWER})


def main() -> None:
    """Serve until killed."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
    print(json.dumps({"port": listening.getsockname()[1]}), flush=True)
    config = uvicorn.Config(app, log_level="error", lifespan="off", access_log=False, timeout_keep_alive=60)
    uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main()
