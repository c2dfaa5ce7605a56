"""The ways from a site to its plugins: over HTTP, over UNIX sockets, into the sandbox, inside this process.

What a way takes before it can be used, such as a look at what the machine offers, may block: `open_transport`
does it, on a thread.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mairust_core.config import Settings
from mairust_core.config.addresses import ListenAddress
from mairust_core.config.resources import POSTGRESQL
from mairust_core.hooks.credentials import Credentials
from mairust_core.hooks.inprocess import Function, InProcess
from mairust_core.hooks.pool import Open
from mairust_core.hooks.transport import CallFailed
from mairust_core.model.isolation import Isolation
from mairust_core.model.plugin import Protocol, Runnable
from mairust_core.sandbox.reach import Site

if TYPE_CHECKING:
    from mairust_core.sandbox.confinement import Confinement

_PORTS = {"http": 80, "https": 443}

Listening = Callable[[], Mapping[str, tuple[str, int]]]
"""Host and port of what runs on this site now, by the names of its listeners."""
Heard = Callable[[Isolation], object]
"""Who wants to know how local plugins are held."""
Functions = Callable[[], Mapping[str, Function]]
"""What answers for plugins inside this process, by their ids."""


class Ways:
    """The ways to plugins that a site has, and what of the network is its own."""

    def __init__(
        self,
        settings: Settings,
        credentials: Credentials,
        listening: Listening,
        functions: Functions = dict,
    ) -> None:
        self._settings = settings
        self._credentials = credentials
        self._listening = listening
        self._functions = functions
        self._stores_at: set[tuple[str, int]] = set()
        self.tell_isolation: Heard = lambda _: None
        """Hears once how local plugins are held here, before the first of them is started."""

    @cached_property
    def by_protocol(self) -> dict[str, Callable[[], Open]]:
        """How to get ready for plugins of each protocol."""
        return {
            Protocol.HTTP: self._tcp,
            Protocol.UNIX: self._unix,
            Protocol.STDIN: self._sandbox,
            Protocol.INPROCESS: self._inside,
        }

    def open_transport(self, protocol: str) -> Open | None:
        """Our implementation of the specification of this name (`extend`)."""
        get_ready = self.by_protocol.get(protocol)
        return None if get_ready is None else get_ready()

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

        self._resolve_stores()
        confinement, servers = self._confinement, self._settings.node.workers
        return lambda plugin: open_stdin(plugin, confinement, servers)

    @cached_property
    def _confinement(self) -> Confinement:
        from mairust_core.sandbox.site import confinement_of

        found = confinement_of(self._settings, self.site)
        self.tell_isolation(found.machine.holding(self._settings.packages_dir).isolation)
        return found

    def _inside(self) -> Open:
        functions = self._functions()

        def opened(plugin: Runnable) -> InProcess:
            if plugin.id not in functions:
                raise CallFailed("no extension that is installed here has it")
            return InProcess(functions[plugin.id])

        return opened

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
        url = self._settings.database.url
        if url.startswith(POSTGRESQL):
            yield from _of_database(url)
        parts = urlsplit(self._settings.blobs.s3.endpoint_url or "")
        if parts.hostname:
            yield parts.hostname, parts.port or _PORTS.get(parts.scheme, 443)

    def _resolve_stores(self) -> None:
        """Learn at which addresses they are now; blocks. A name that means nothing is kept as a name."""
        for host, port in self._stores():
            with suppress(OSError):
                found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
                self._stores_at |= {(str(one[4][0]), port) for one in found}


def _of_database(url: str) -> Iterator[tuple[str, int]]:
    """Where libpq looks for the database: its URL may name hosts in its query, and several of them."""
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    try:
        known = conninfo_to_dict(url)
    except ProgrammingError:
        return  # nothing connects by it

    def named(key: str, variable: str) -> list[str]:
        return [one for one in str(known.get(key) or os.environ.get(variable, "")).split(",") if one]

    ports = named("port", "PGPORT") or ["5432"]
    for key, variable in (("host", "PGHOST"), ("hostaddr", "PGHOSTADDR")):
        for number, host in enumerate(named(key, variable)):
            if not host.startswith(("/", "@")):
                yield host, int(ports[number if number < len(ports) else -1])
