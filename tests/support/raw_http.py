"""HTTP by hand, for requests that no well-behaved client sends."""

from __future__ import annotations

import http.client
import json
import socket
from dataclasses import dataclass
from types import TracebackType
from typing import Any

TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A response, headers by lower-case name."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class RawConnection:
    """One TCP connection to `http://HOST:PORT` on which any bytes can be sent."""

    def __init__(self, url: str) -> None:
        host, _, port = url.removeprefix("http://").rpartition(":")
        self.sock = socket.create_connection((host, int(port)), timeout=TIMEOUT_S)

    def send(self, data: bytes) -> None:
        """Send bytes."""
        self.sock.sendall(data)

    def answer(self, method: str = "GET") -> Answer:
        """Read one response to a request of that method."""
        response = http.client.HTTPResponse(self.sock, method=method)
        try:
            response.begin()
            headers = {name.lower(): value for name, value in response.getheaders()}
            return Answer(status=response.status, headers=headers, body=response.read())
        finally:
            response.close()

    def rest(self) -> bytes:
        """Everything until the server closes."""
        received = b""
        while piece := self.sock.recv(1 << 16):
            received += piece
        return received

    def close(self) -> None:
        """Close the connection at once."""
        self.sock.close()

    def __enter__(self) -> RawConnection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def ask(url: str, head: str, body: bytes = b"") -> Answer:
    """Send `head` (lines; Host and the blank line are added) and `body`, and read the response."""
    with RawConnection(url) as connection:
        lines = "\r\n".join([*head.strip().splitlines(), "Host: x", "", ""])
        connection.send(lines.encode("latin-1") + body)
        return connection.answer(head.split(" ", 1)[0])
