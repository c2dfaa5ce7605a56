"""Plugins that are HTTP services, over TCP or a UNIX socket: one POST for each question (contract §4).

No redirect is followed, no proxy is used, no cookie kept, nothing decompressed; the answer is JSON by its own
word and bounded. A request on a kept connection that the plugin closed meanwhile is sent once more, on a new
one: its delivery id is the same, and nothing of an answer had come.
"""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp.connector import Connection
from aiohttp.http import RawResponseMessage

from mairust_core.hooks.credentials import Credentials
from mairust_core.hooks.destinations import Destination, Misled, PinnedResolver
from mairust_core.hooks.signature import headers
from mairust_core.hooks.transport import MAX_ANSWER_BYTES, Answer, Call, CallFailed
from mairust_core.model.plugin import Runnable
from mairust_core.sandbox.names import Names
from mairust_core.sandbox.reach import Site

CONNECTIONS = 64
KEPT_S = 2.0
"""How long an idle connection is kept: less than servers usually do."""
FRESH_S, GOOD_S = 0.4, 0.9
"""Secrets that were read are read again after the first, and used no longer than the second (rule D3)."""
MAX_INFORMATIONAL = 8
UNIX = "unix:"

log = logging.getLogger("mairust.hooks")
_FIXED = {
    "Content-Type": "application/json",
    "Accept": "application/json",
    "Accept-Encoding": "identity",
    "User-Agent": "MaiRust",
}


class _Secrets:
    """The secrets of one plugin, read by one call for all others; belongs to one event loop."""

    def __init__(self, plugin: Runnable, credentials: Credentials) -> None:
        self._plugin = plugin
        self._credentials = credentials
        self._known: Sequence[str] = ()
        self._read_at = float("-inf")
        self._reading: asyncio.Task[None] | None = None

    async def get(self) -> Sequence[str]:
        """Raises the errors of the store, for everybody who has to wait."""
        age_s = time.monotonic() - self._read_at
        if age_s > FRESH_S and self._reading is None:
            self._reading = asyncio.create_task(self._read())
            self._reading.add_done_callback(self._over)
        if age_s > GOOD_S and self._reading is not None:
            await asyncio.shield(self._reading)
        return self._known

    async def _read(self) -> None:
        began = time.monotonic()
        self._known = await asyncio.to_thread(self._credentials.secrets, self._plugin)
        self._read_at = began

    def _over(self, reading: asyncio.Task[None]) -> None:
        self._reading = None
        if not reading.cancelled() and (error := reading.exception()) is not None:
            log.warning("the secrets of %s cannot be read for now: %s", self._plugin.id, error)

    async def close(self) -> None:
        if self._reading is not None:
            await asyncio.wait([self._reading])


class _Response(aiohttp.ClientResponse):
    """A response with few informational ones (RFC 9110 §15.2) before it: aiohttp skips any number."""

    async def start(self, connection: Connection) -> aiohttp.ClientResponse:
        """Read up to the body; raises `CallFailed` when something else comes again and again."""
        protocol = connection.protocol
        assert protocol is not None
        read, left = protocol.read, MAX_INFORMATIONAL

        async def bounded() -> tuple[RawResponseMessage, aiohttp.StreamReader]:
            nonlocal left
            found = await read()
            left -= 100 <= found[0].code <= 199
            if left < 0:
                raise CallFailed(f"more than {MAX_INFORMATIONAL} informational responses came first")
            return found

        protocol.read = bounded  # type: ignore[method-assign]
        try:
            return await super().start(connection)
        finally:
            del protocol.read


class HttpTransport:
    """One plugin over HTTP; belongs to one event loop."""

    def __init__(
        self,
        plugin: Runnable,
        url: str,
        credentials: Credentials,
        connect: Callable[[], aiohttp.BaseConnector],
    ) -> None:
        self._plugin = plugin
        self._url = url
        self._credentials = credentials
        self._connect = connect
        self._secrets = _Secrets(plugin, credentials)
        self._answered = float("-inf")
        self._session: aiohttp.ClientSession | None = None

    async def call(self, call: Call) -> Answer:
        """Ask once; raises `CallFailed`. Who calls it cancels it when the time is over."""
        try:
            return await self._ask(call)
        except aiohttp.ClientError as error:
            raise CallFailed(why_not(error)) from error

    async def _ask(self, call: Call) -> Answer:
        told = await self._headers(call)
        try:
            return await self._post(call, told)
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
            if time.monotonic() - self._answered > KEPT_S:
                raise  # no connection is kept: this one was new
        return await self._post(call, told)

    async def _post(self, call: Call, told: dict[str, str]) -> Answer:
        async with self._open().post(
            self._url, data=call.body, headers=told, allow_redirects=False
        ) as response:
            _check(response)
            body = bytearray()
            async for chunk in response.content.iter_chunked(1 << 16):
                body += chunk
                if len(body) > MAX_ANSWER_BYTES:
                    response.close()
                    raise CallFailed(f"the answer is larger than {MAX_ANSWER_BYTES} bytes")
            self._answered = time.monotonic()
            return Answer(body=bytes(body))

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=self._connect(),
                auto_decompress=False,
                response_class=_Response,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),
                trust_env=False,
            )
        return self._session

    async def _headers(self, call: Call) -> dict[str, str]:
        secrets = await self._secrets.get()
        found = headers(secrets, int(time.time()), call.delivery_id, self._plugin.id, call.body) | _FIXED
        if token := self._credentials.call_token(self._plugin, call.delivery_id):
            found["Authorization"] = f"Bearer {token}"
        return found

    async def close(self) -> None:
        """End its connections."""
        await self._secrets.close()
        if self._session is not None:
            await self._session.close()
            self._session = None


def over_tcp(
    plugin: Runnable, credentials: Credentials, site: Site, tls: ssl.SSLContext | None = None
) -> HttpTransport:
    """The transport of an `http` plugin; raises `CallFailed` when it may not be where it is (rule H2)."""
    destination, names = Destination.of(plugin.entry.endpoint, plugin.limits, site), Names()

    def connect() -> aiohttp.BaseConnector:
        return aiohttp.TCPConnector(
            resolver=PinnedResolver(destination, names),
            use_dns_cache=False,
            limit=CONNECTIONS,
            keepalive_timeout=KEPT_S,
            ssl=tls or True,
        )

    return HttpTransport(plugin, destination.url, credentials, connect)


def over_unix(plugin: Runnable, credentials: Credentials, socket_dir: Path) -> HttpTransport:
    """The transport of a `unix` plugin, whose socket lies below `socket_dir`; raises `CallFailed`."""
    endpoint = plugin.entry.endpoint
    socket_below(socket_dir, endpoint)

    def connect() -> aiohttp.BaseConnector:
        return _BelowConnector(socket_dir, endpoint)

    return HttpTransport(plugin, "http://plugin/", credentials, connect)


class _BelowConnector(aiohttp.UnixConnector):
    """Connects to the socket that lies below a directory at that very moment (rule H2).

    The plugin may write there: what was a socket when the transport was opened may be a link by now.
    """

    def __init__(self, socket_dir: Path, endpoint: str) -> None:
        super().__init__(path=endpoint, limit=CONNECTIONS, keepalive_timeout=KEPT_S)
        self._socket_dir = socket_dir
        self._endpoint = endpoint

    async def _create_connection(self, *asked: Any, **more: Any) -> Any:
        with _held_below(self._socket_dir, self._endpoint) as path:
            self._path = path
            return await super()._create_connection(*asked, **more)


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


def _check(response: aiohttp.ClientResponse) -> None:
    """Return when what comes may be an answer; raises `CallFailed`."""
    if 300 <= response.status < 400:
        raise CallFailed(f"HTTP {response.status}: redirects are not followed")
    if response.status != 200:
        raise CallFailed(f"HTTP {response.status}")
    if response.content_type != "application/json":
        raise CallFailed("the answer is not application/json")
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise CallFailed("the answer is compressed")
    if response.content_length is not None and response.content_length > MAX_ANSWER_BYTES:
        raise CallFailed(f"the answer is larger than {MAX_ANSWER_BYTES} bytes")


def why_not(error: aiohttp.ClientError) -> str:
    """A word on it, without addresses or content."""
    cause: BaseException | None = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else None
    if isinstance(cause, Misled):
        return str(cause)
    if isinstance(error, aiohttp.InvalidURL):
        return "its endpoint is no http URL"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return "its certificate is not trusted"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its name is not found"
    if isinstance(error, aiohttp.ClientConnectorError):
        number = error.os_error.errno  # its text may hold the address
        return f"it cannot be reached: {os.strerror(number) if number else 'no connection'}"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "it closed the connection before it answered"
    if isinstance(error, aiohttp.ClientPayloadError):
        return "its answer is not complete"
    return f"its answer is not HTTP ({type(error).__name__})"
