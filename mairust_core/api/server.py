"""The HTTP listener: uvicorn in the running loop, on sockets that somebody else bound.

uvicorn has no limit on how long or how large a request's head is, nor on a client that stops reading;
`connection` adds them.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import socket
import ssl
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Protocol

import uvicorn

from mairust_core.api.connection import HttpLimits, connection_class

if TYPE_CHECKING:
    from uvicorn._types import ASGIApplication

CERTIFICATE_POLL_S = 1.0


class Certificates(Protocol):
    """Where the TLS context comes from; `mairust_core.tls.CertificateStore` is one."""

    def context(self) -> ssl.SSLContext:
        """The one context, brought up to date with its files."""
        ...


class HttpServer:
    """Serves an ASGI application over HTTP/1.1, with TLS when there are certificates.

    No signal handlers, no log configuration: those belong to the process.
    """

    def __init__(
        self, app: Any, *, tls: Certificates | None = None, limits: HttpLimits | None = None
    ) -> None:
        self._tls = tls
        self._limits = limits or HttpLimits()
        self._server = _Server(self._configure(app))
        self._tasks: list[asyncio.Task[None]] = []

    def _configure(self, app: ASGIApplication) -> uvicorn.Config:
        config = uvicorn.Config(
            app,
            http=connection_class(self._limits),
            ws="none",
            lifespan="on",
            interface="asgi3",
            log_config=None,
            log_level="warning",
            access_log=False,
            proxy_headers=False,  # a client's X-Forwarded-For would make it loopback (rule G4)
            server_header=False,
            timeout_keep_alive=self._limits.keep_alive_s,
        )
        config.load()
        config.ssl = self._tls.context() if self._tls else None
        return config

    async def start(self, sockets: list[socket.socket]) -> None:
        """Take connections on these bound sockets; returns when they are taken."""
        serving = asyncio.create_task(self._server.serve(sockets))
        up = asyncio.create_task(self._server.up.wait())
        self._tasks = [serving]
        await asyncio.wait({serving, up}, return_when=asyncio.FIRST_COMPLETED)
        if not up.done():
            up.cancel()
            await serving
        if self._tls is not None:
            self._tasks.append(asyncio.create_task(_follow(self._tls)))

    async def stop(self, grace_s: float) -> None:
        """Stop accepting, let requests under way finish within the grace period, then break off."""
        if not self._tasks:
            return
        serving, *others = self._tasks
        for task in others:
            task.cancel()
        self._server.config.timeout_graceful_shutdown = math.ceil(grace_s)
        self._server.should_exit = True
        await asyncio.gather(serving, *others, return_exceptions=True)
        for connection in list(self._server.server_state.connections):
            connection.transport.abort()


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


async def _follow(tls: Certificates) -> None:
    """Renew the certificate soon after its files changed; handshakes use the same context."""
    while True:
        await asyncio.sleep(CERTIFICATE_POLL_S)
        tls.context()
