"""The one way out of a sandbox: an HTTP proxy on a UNIX socket that connects only where it may (rule H2).

It understands CONNECT and requests with an absolute URI (RFC 9112 §3.2). A name is resolved once, each
address is judged, and the connection goes to one of those that were judged (trap H4). Whatever it decides
is logged.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import shutil
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from aiohappyeyeballs import start_connection

from mairust_core.sandbox.names import Found, Names
from mairust_core.sandbox.reach import Reach, Target

HEAD_BYTES = 16 << 10
HEAD_S = 10.0
CONNECT_S = 10.0
NEXT_ADDRESS_S = 0.25
"""For an address that does not answer, then the next one is tried beside it (RFC 8305 §5)."""
IDLE_S = 60.0
LINGER_S = 1.0
MOST_BYTES = 64 << 20
"""One way, through one connection."""
CONNECTIONS = 32
_CHUNK = 1 << 16
_HTTP_PORT = 80

log = logging.getLogger("mairust.sandbox.egress")


_CALLBACK = re.compile(r"/api/v1/plugin/(callback/[\w-]+|metrics)", re.ASCII)
_ODD = re.compile(rb"[\x00\r\n]")
"""What one reader takes for the end of a line and another does not."""
_PREFIX = "mairust-egress-"


_Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Denied(Exception):
    """A request that is not carried out: the status line, and why."""

    def __init__(self, status: str, why: str) -> None:
        super().__init__(why)
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    """Where to, and what is said there first; nothing for CONNECT.

    `callback_bytes`: it is a plugin's callback, and so much of a body may follow, nothing else.
    """

    target: Target
    first: bytes | None
    callback_bytes: int | None = None


class Egress:
    """The proxy of one plugin; belongs to one event loop."""

    def __init__(self, plugin: str, reach: Reach, names: Names | None = None) -> None:
        self._plugin = plugin
        self.reach = reach
        self._names = names or Names()
        self._directory: Path | None = None
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    async def socket(self) -> Path:
        """The path of its socket, which it listens on from the first call on."""
        if self._directory is None:
            _sweep(Path(tempfile.gettempdir()))
            self._directory = Path(
                tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-")
            )  # 0700: nobody gets in
            path = self._directory / "proxy"
            self._server = await asyncio.start_unix_server(self._accept, path, limit=HEAD_BYTES)
            os.chmod(path, 0o666)  # noqa: S103 - the plugin's own user, through its sandbox
        return self._directory / "proxy"

    async def close(self) -> None:
        """End every connection, and take the socket away."""
        if self._server is not None:
            self._server.close()
        for task in [*self._open]:
            task.cancel()
        if self._open:
            await asyncio.wait(self._open)
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            await self._serve(reader, writer)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # one side went away, or said nothing for too long, or we are closing
        finally:
            self._open.discard(task)
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if len(self._open) > CONNECTIONS:
                raise Denied("503 Service Unavailable", "too many connections")
            request = await self._request(reader)
            there = await self._connected(request)
        except Denied as denied:
            log.info("%s: refused: %s", self._plugin, denied)
            await _deny((reader, writer), denied)
            return
        try:
            if request.first is None:
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                there[1].write(request.first)
            await _both_ways((reader, writer), there, request.callback_bytes)
        finally:
            there[1].transport.abort()

    async def _request(self, reader: asyncio.StreamReader) -> _Request:
        try:
            async with asyncio.timeout(HEAD_S):
                head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            raise Denied("431 Request Header Fields Too Large", "too long a request") from None
        line, *fields = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
        if any(_ODD.search(one) for one in (line, *fields)):
            raise Denied("400 Bad Request", "not a request to a proxy: a control character in its head")
        try:
            method, where, version = line.decode("ascii").split(" ")
            if method == "CONNECT":
                return _Request(target=Target.parse(where), first=None)
            return _absolute(method, where, version, fields)
        except ValueError as error:
            raise Denied("400 Bad Request", f"not a request to a proxy: {error}") from None

    async def _connected(self, request: _Request) -> _Stream:
        target = request.target
        name = f"{target.host}:{target.port}"
        if not self.reach.lists(target):
            raise Denied("403 Forbidden", f"{name} is not among the addresses that this plugin may reach")
        try:
            async with asyncio.timeout(CONNECT_S):
                judged = self._judged(request, await self._names.find(target.host, target.port))
                there = await start_connection(judged, happy_eyeballs_delay=NEXT_ADDRESS_S)
        except (OSError, TimeoutError) as error:
            raise Denied("502 Bad Gateway", f"{name} cannot be reached: {error}") from None
        log.info("%s: connected to %s at %s", self._plugin, name, there.getpeername()[0])
        return await asyncio.open_connection(sock=there, limit=_CHUNK)

    def _judged(self, request: _Request, found: Found) -> Found:
        """Those that may be connected to, of all addresses that the name has."""
        allowed, why, is_callback = [], "it has no address", request.callback_bytes is not None
        for one in found:
            address = str(one[4][0])
            refusal = self.reach.refusal(address, request.target, is_callback=is_callback)
            if refusal is None:
                allowed.append(one)
            else:
                why = f"{address} is {refusal}"
        if not allowed:
            raise Denied("403 Forbidden", f"{request.target.host} may not be reached: {why}")
        return allowed


async def _deny(here: _Stream, denied: Denied) -> None:
    """Say why, and listen on for a moment: closing on what was not read would take the answer back."""
    reader, writer = here
    text = f"{denied}\n".encode()
    head = f"HTTP/1.1 {denied.status}\r\nContent-Type: text/plain; charset=utf-8\r\n"
    writer.write(f"{head}Content-Length: {len(text)}\r\nConnection: close\r\n\r\n".encode() + text)
    await writer.drain()
    writer.write_eof()
    async with asyncio.timeout(LINGER_S):
        while await reader.read(_CHUNK):
            pass


def _absolute(method: str, where: str, version: str, fields: list[bytes]) -> _Request:
    """A request as its origin server takes it, and no other after it. Raises `ValueError`."""
    if version not in ("HTTP/1.1", "HTTP/1.0"):
        raise ValueError("unknown version")
    url = urlsplit(where)
    if url.scheme != "http" or url.hostname is None or url.username is not None:
        raise ValueError("no URI of scheme http")
    host = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
    target = Target.parse(f"{host}:{url.port or _HTTP_PORT}")
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    lines = [f"{method} {path} {version}".encode("ascii"), b"Host: " + url.netloc.encode("ascii")]
    lines += [field for field in fields if _is_forwarded(field)]
    first = b"\r\n".join([*lines, b"Connection: close", b"", b""])
    length = _callback_bytes(path, fields) if method == "POST" else None
    return _Request(target=target, first=first, callback_bytes=length)


def _callback_bytes(path: str, fields: list[bytes]) -> int | None:
    """How much of a body a plugin's callback has; None when it is none, or does not say it plainly."""
    named = [
        (name.strip().lower(), value.strip()) for name, _, value in (one.partition(b":") for one in fields)
    ]
    lengths = [value for name, value in named if name == b"content-length"]
    plain = len(lengths) == 1 and lengths[0].isdigit() and b"transfer-encoding" not in dict(named)
    return int(lengths[0]) if plain and _CALLBACK.fullmatch(path) else None


def _is_forwarded(field: bytes) -> bool:
    name = field.partition(b":")[0].strip().lower()
    return not name.startswith(b"proxy-") and name not in (b"host", b"connection", b"keep-alive")


def _sweep(directory: Path) -> None:
    """Remove what servers that were killed have left."""
    for left in directory.glob(f"{_PREFIX}*-*"):
        pid = left.name.removeprefix(_PREFIX).partition("-")[0]
        if pid.isdecimal() and not Path("/proc", pid).exists():
            shutil.rmtree(left, ignore_errors=True)  # if it is ours


async def _both_ways(here: _Stream, there: _Stream, callback_bytes: int | None) -> None:
    """Carry bytes until both sides have said all, or one is gone."""
    most_bytes = MOST_BYTES if callback_bytes is None else callback_bytes
    stays_open = callback_bytes is not None
    ways = [
        asyncio.ensure_future(_carry(here[0], there[1], most_bytes, stays_open=stays_open)),
        asyncio.ensure_future(_carry(there[0], here[1], MOST_BYTES)),
    ]
    try:
        await asyncio.gather(*ways)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)


async def _carry(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, left: int, *, stays_open: bool = False
) -> None:
    """Carry so many bytes and then the end; with `stays_open` the end only when it came before them."""
    while left > 0:
        async with asyncio.timeout(IDLE_S):
            data = await reader.read(min(_CHUNK, left))
        if not data:
            break
        left -= len(data)
        writer.write(data)
        await writer.drain()
    else:
        if stays_open:
            return  # an HTTP server takes the end for a client that waits for no answer
    with suppress(OSError):
        writer.write_eof()
