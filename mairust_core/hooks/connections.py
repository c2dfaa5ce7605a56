"""Connections to a plugin, kept for a moment: over TCP to judged addresses, or to a UNIX socket (rule H2)."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import stat
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from aiohappyeyeballs import start_connection

from mairust_core.hooks.destinations import Destination, Misled
from mairust_core.hooks.exchange import Exchange, Judge, Lost
from mairust_core.hooks.transport import CallFailed
from mairust_core.sandbox.names import Names

MOST = 64
KEPT_S = 2.0
"""How long an idle connection is kept: less than servers usually do."""
NEXT_ADDRESS_S = 0.25
"""After this the next address of a name is tried beside the last one (RFC 8305 §5)."""
UNIX = "unix:"
CLOSING = "it is being closed"

Connect = Callable[[], Awaitable[Exchange]]
"""Makes a new connection; raises `CallFailed`."""


class Connections:
    """Those to one place; belongs to one event loop."""

    def __init__(self, connect: Connect, most: int = MOST, kept_s: float = KEPT_S) -> None:
        self._connect = connect
        self._kept_s = kept_s
        self._places = asyncio.Semaphore(most)
        self._all: set[Exchange] = set()
        self._idle: deque[tuple[float, Exchange]] = deque()
        self._closing_old: asyncio.TimerHandle | None = None
        self._closed = False

    async def ask(self, head: bytes, body: bytes, judge: Judge) -> bytes:
        """The body of the answer; raises `CallFailed`.

        A request on a connection that was closed meanwhile is sent once more, on a new one.
        """
        if self._closed:
            raise CallFailed(CLOSING)
        async with self._places:
            if (kept := self._kept()) is not None:
                try:
                    return await self._asked(kept, head, body, judge)
                except Lost:
                    pass
            return await self._asked(await self._new(), head, body, judge)

    async def _asked(self, exchange: Exchange, head: bytes, body: bytes, judge: Judge) -> bytes:
        try:
            return await exchange.ask(head, body, judge)
        finally:
            if exchange.is_free and not self._closed:
                self._keep(exchange)
            else:
                exchange.close()
                self._all.discard(exchange)

    async def _new(self) -> Exchange:
        exchange = await self._connect()
        if self._closed:
            exchange.close()
            raise CallFailed(CLOSING)
        self._all.add(exchange)
        return exchange

    def _kept(self) -> Exchange | None:
        """The connection used last, if it is still good."""
        while self._idle:
            since_s, exchange = self._idle.pop()
            if exchange.is_open and asyncio.get_running_loop().time() - since_s <= self._kept_s:
                return exchange
            exchange.close()
            self._all.discard(exchange)
        return None

    def _keep(self, exchange: Exchange) -> None:
        loop = asyncio.get_running_loop()
        self._idle.append((loop.time(), exchange))
        if self._closing_old is None:
            self._closing_old = loop.call_later(self._kept_s, self._close_old)

    def _close_old(self) -> None:
        loop = asyncio.get_running_loop()
        self._closing_old = None
        while self._idle and self._idle[0][0] <= loop.time() - self._kept_s:
            _, exchange = self._idle.popleft()
            exchange.close()
            self._all.discard(exchange)
        if self._idle:
            self._closing_old = loop.call_later(self._kept_s, self._close_old)

    async def close(self) -> None:
        """Close all; calls under way fail."""
        self._closed = True
        if self._closing_old is not None:
            self._closing_old.cancel()
        self._idle.clear()
        while self._all:
            exchange = self._all.pop()
            exchange.close()
            await asyncio.wait([exchange.gone])


def to_place(destination: Destination, names: Names, tls: ssl.SSLContext | None) -> Connect:
    """Connects to where the destination is at that moment, every address judged."""

    async def connect() -> Exchange:
        try:
            connected = await start_connection(
                await destination.addresses(names), happy_eyeballs_delay=NEXT_ADDRESS_S
            )
        except OSError as error:
            raise CallFailed(_why_not(error)) from error
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return await _over(connected, destination, tls)

    return connect


async def _over(connected: socket.socket, destination: Destination, tls: ssl.SSLContext | None) -> Exchange:
    loop = asyncio.get_running_loop()
    try:
        context = None if destination.plain else tls or await asyncio.to_thread(trusting)
        name = None if context is None else destination.target.host
        _, exchange = await loop.create_connection(
            Exchange, sock=connected, ssl=context, server_hostname=name
        )
    except OSError as error:
        connected.close()
        raise CallFailed(_why_not(error)) from error
    except BaseException:
        connected.close()
        raise
    return exchange


def trusting() -> ssl.SSLContext:
    """Trust in the authorities of this machine; blocks."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


def _why_not(error: OSError) -> str:
    """A word on it, without addresses or content."""
    if isinstance(error, Misled):
        return str(error)
    if isinstance(error, socket.gaierror):
        return "its name is not found"
    if isinstance(error, ssl.CertificateError):
        return "its certificate is not trusted"
    if isinstance(error, ssl.SSLError) or not error.errno:
        return "it cannot be reached: no connection"
    return f"it cannot be reached: {os.strerror(error.errno)}"  # its text may hold the address


def to_socket(socket_dir: Path, endpoint: str) -> Connect:
    """Connects to the socket that lies below a directory at that very moment (rule H2).

    The plugin may write there: what was a socket when the transport was opened may be a link by now.
    """

    async def connect() -> Exchange:
        with _held_below(socket_dir, endpoint) as path:
            try:
                _, exchange = await asyncio.get_running_loop().create_unix_connection(Exchange, path)
            except OSError as error:
                raise CallFailed(_why_not(error)) from error
        return exchange

    return connect


@contextmanager
def _held_below(socket_dir: Path, endpoint: str) -> Iterator[str]:
    """A path to the socket that nobody can turn elsewhere while the block runs; raises `CallFailed`."""
    found = socket_below(socket_dir, endpoint)
    try:
        held = os.open(found, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise CallFailed(f"its socket cannot be reached: {error.strerror}") from error
    try:
        path = f"/proc/self/fd/{held}"
        if os.readlink(path) != str(found) or not stat.S_ISSOCK(os.fstat(held).st_mode):
            raise CallFailed("its socket was replaced at this moment")
        yield path
    finally:
        os.close(held)


def socket_below(socket_dir: Path, endpoint: str) -> Path:
    """The real path of a socket that lies below the directory, links followed; raises `CallFailed`."""
    given = Path(endpoint.removeprefix(UNIX))
    try:
        found = given.resolve(strict=True)
        inside = found.is_relative_to(socket_dir.resolve(strict=True))
        is_socket = stat.S_ISSOCK(found.stat().st_mode)
    except OSError as error:
        raise CallFailed(f"its socket cannot be reached: {error.strerror}") from error
    if not given.is_absolute() or not inside:
        raise CallFailed("its socket is not below plugins.socket_dir")
    if not is_socket:
        raise CallFailed("its endpoint is no socket")
    return found
