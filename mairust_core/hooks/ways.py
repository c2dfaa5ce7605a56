"""The ways from a site to its plugins: over HTTP, over UNIX sockets, into the sandbox.

What a way takes before it can be used, such as a look at what the machine offers, may block: `Ready` does it,
on a thread.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import cached_property
from urllib.parse import urlsplit

from mairust_core.config import Settings
from mairust_core.config.addresses import ListenAddress
from mairust_core.hooks.credentials import Credentials
from mairust_core.hooks.pool import Open, Ready
from mairust_core.model.plugin import Protocol, Runnable
from mairust_core.sandbox.reach import Site

Listening = Callable[[], Mapping[str, tuple[str, int]]]
"""Host and port of what runs on this site now, by the names of its listeners."""


class Ways:
    """The ways to plugins that a site has, and what of the network is its own."""

    def __init__(self, settings: Settings, credentials: Credentials, listening: Listening) -> None:
        self._settings = settings
        self._credentials = credentials
        self._listening = listening
        self._stores_at: set[tuple[str, int]] = set()

    @cached_property
    def by_protocol(self) -> dict[Protocol, Ready]:
        """How to get ready for plugins of each protocol."""
        return {Protocol.HTTP: self._tcp, Protocol.UNIX: self._unix, Protocol.STDIN: self._sandbox}

    @cached_property
    def site(self) -> Site:
        """What plugins may not reach, and what they may although it is not public (rule H2)."""
        return Site(
            listeners=lambda: [*self._listeners(), *self._stores(), *self._stores_at],
            callbacks=self._callbacks,
            private=self._settings.plugins.private_networks,
        )

    async def health(self, plugin: Runnable) -> None:
        """Return when a plugin says that it is well; raises `CallFailed`."""
        from mairust_core.hooks.health import ask_health

        await asyncio.to_thread(self._resolve_stores)
        await ask_health(plugin, self.site, self._settings.plugins.socket_dir)

    def callback_base(self) -> str:
        """Where plugins reach our API; empty where they cannot."""
        if self._settings.plugins.callback_url:
            return self._settings.plugins.callback_url.rstrip("/")
        at = self._listening().get("http")
        if at is None:
            return ""
        scheme = "http" if self._settings.http.tls_cert is None else "https"
        return f"{scheme}://{ListenAddress(host=at[0], port=at[1])}"

    def _tcp(self) -> Open:
        from mairust_core.hooks.http import over_tcp

        self._resolve_stores()
        return lambda plugin: over_tcp(plugin, self._credentials, self.site)

    def _unix(self) -> Open:
        from mairust_core.hooks.http import over_unix

        return lambda plugin: over_unix(plugin, self._credentials, self._settings.plugins.socket_dir)

    def _sandbox(self) -> Open:
        from mairust_core.hooks.stdin import open_stdin
        from mairust_core.sandbox.site import confinement_of

        self._resolve_stores()
        confinement = confinement_of(self._settings, self.site)
        servers = self._settings.node.workers
        return lambda plugin: open_stdin(plugin, confinement, servers)

    def _listeners(self) -> Iterator[tuple[str, int]]:
        """As they are, and as they are set: the server may be about to start."""
        yield from self._listening().values()
        for listen in (self._settings.smtp.listen, self._settings.lmtp.listen, self._settings.http.listen):
            if listen.port:
                yield listen.host, listen.port

    def _callbacks(self) -> Iterator[tuple[str, int]]:
        if (at := self._listening().get("http")) is not None:
            yield at
        if self._settings.http.listen.port:
            yield self._settings.http.listen.host, self._settings.http.listen.port

    def _stores(self) -> Iterator[tuple[str, int]]:
        settings = self._settings
        for url, port in ((settings.database.url, 5432), (settings.blobs.s3.endpoint_url or "", 443)):
            parts = urlsplit(url)
            if parts.hostname:
                yield parts.hostname, parts.port or port

    def _resolve_stores(self) -> None:
        """Learn at which addresses they are now; blocks. A name that means nothing is kept as a name."""
        for host, port in self._stores():
            with suppress(OSError):
                found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
                self._stores_at |= {(str(one[4][0]), port) for one in found}
