"""An http plugin in a thread of the test: it answers every request alike and remembers what it was sent."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from mairust_core.plugins.for_authors.mairust_plugin import verify

PATIENCE_S = 60.0
POLL_S = 0.02
"""How soon it notices that it shall end."""
TAGS_ALL = b'{"action": "deliver", "tags": ["seen"]}'


@dataclass(slots=True, kw_only=True)
class HttpPlugin:
    """Where it listens, what it says, and the requests with their headers so far."""

    port: int
    says: bytes | Callable[[dict[str, Any]], bytes] = TAGS_ALL
    status: int = 200
    gate: threading.Event = field(default_factory=threading.Event)
    """Open; while it is closed every answer waits."""
    secret: str = ""
    """When it has one, requests that verify under it in neither header are answered 401, and counted."""
    refused: int = 0
    asked: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)


@contextmanager
def http_plugin(says: bytes | Callable[[dict[str, Any]], bytes] = TAGS_ALL) -> Iterator[HttpPlugin]:
    """A plugin on a free port of 127.0.0.1, for the length of a block."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if plugin.secret and not verify(plugin.secret, dict(self.headers), body):
                plugin.refused += 1
                self.send_response(401)
                self.send_header("content-length", "0")
                self.end_headers()
                return
            asked = json.loads(body)
            plugin.asked.append(asked)
            plugin.bodies.append(body)
            plugin.headers.append({name.lower(): value for name, value in self.headers.items()})
            plugin.gate.wait(PATIENCE_S)
            says = plugin.says(asked) if callable(plugin.says) else plugin.says
            self.send_response(plugin.status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(says)))
            self.end_headers()
            with suppress(BrokenPipeError):  # who asked was killed
                self.wfile.write(says)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        plugin = HttpPlugin(port=server.server_address[1], says=says)
        plugin.gate.set()
        thread = threading.Thread(target=server.serve_forever, args=(POLL_S,), daemon=True)
        thread.start()
        try:
            yield plugin
        finally:
            server.shutdown()
            thread.join()
