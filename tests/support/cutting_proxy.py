"""A proxy before PostgreSQL that cuts the connection at COMMIT: before the server hears it, or after."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from pathlib import Path
from typing import Literal

PORT = 5432
CHUNK = 1 << 16
When = Literal["before", "after", "never"]


class CuttingProxy:
    """Listens on a UNIX socket in `directory`; `when` says what becomes of the next COMMIT."""

    def __init__(self, directory: Path, server: Path) -> None:
        self.when: When = "never"
        self.cuts = 0
        self._server = str(server / f".s.PGSQL.{PORT}")
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(directory / f".s.PGSQL.{PORT}"))
        self._listener.listen()
        self._sessions: list[_Session] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """End every connection."""
        _shut(self._listener)
        self._listener.close()
        for session in self._sessions:
            session.close()

    def take_order(self) -> When:
        """What to do with this COMMIT; the next one passes."""
        when, self.when = self.when, "never"
        self.cuts += when != "never"
        return when

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            server.connect(self._server)
            self._sessions.append(_Session(self, client, server))


class _Session:
    """One connection through the proxy."""

    def __init__(self, proxy: CuttingProxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self._muted = False
        self._answering = threading.Thread(target=self._answer, daemon=True)
        self._forwarding = threading.Thread(target=self._forward, daemon=True)
        self._answering.start()
        self._forwarding.start()

    def close(self) -> None:
        """End it, both ways."""
        for end in (self._client, self._server):
            _shut(end)
        self._forwarding.join()
        self._answering.join()
        self._client.close()
        self._server.close()

    def _forward(self) -> None:
        while data := _receive(self._client):
            when = self._proxy.take_order() if b"COMMIT\0" in data else "never"
            self._muted = when != "never"
            if when != "before":
                with suppress(OSError):  # the server left first: the client hears of it by `_answer`'s end
                    self._server.sendall(data)
            if self._muted:
                break
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_WR)
        self._answering.join()  # until the server, having done what it was told, ends the session
        _shut(self._client)

    def _answer(self) -> None:
        while data := _receive(self._server):
            if not self._muted:
                with suppress(OSError):
                    self._client.sendall(data)


def _receive(end: socket.socket) -> bytes:
    try:
        return end.recv(CHUNK)
    except OSError:
        return b""


def _shut(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
