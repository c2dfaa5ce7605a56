"""Plugins that are HTTP services, over TCP or a UNIX socket: one POST for each question (contract §4).

No redirect is followed, no proxy is used, no cookie kept, nothing decompressed; the answer is bounded, and by
its own word nothing else than JSON. A request on a kept connection that the plugin closed meanwhile is sent
once more, on a new one: its delivery id is the same, and nothing of an answer had come.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from mairust_core.hooks.connections import Connect, Connections, socket_below, to_place, to_socket
from mairust_core.hooks.credentials import Credentials
from mairust_core.hooks.destinations import Destination
from mairust_core.hooks.signature import headers
from mairust_core.hooks.transport import Answer, Call, CallFailed
from mairust_core.model.plugin import Runnable
from mairust_core.sandbox.names import Names
from mairust_core.sandbox.reach import Site

FRESH_S, GOOD_S = 0.4, 0.9
"""Secrets that were read are read again after the first, and used no longer than the second (rule D3)."""
ONLOOKER_S = 0.5
JSON = "application/json"

log = logging.getLogger("mairust.hooks")


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


class HttpTransport:
    """One plugin over HTTP; belongs to one event loop."""

    def __init__(
        self, plugin: Runnable, to: tuple[str, str], credentials: Credentials, connect: Connect
    ) -> None:
        """`to` are what is asked for, path and query, and the place that has it."""
        self._plugin = plugin
        self._credentials = credentials
        self._secrets = _Secrets(plugin, credentials)
        self._connections = Connections(connect)
        self._head = (
            f"POST {to[0]} HTTP/1.1\r\nHost: {to[1]}\r\nUser-Agent: MaiRust\r\nAccept: application/json\r\n"
            "Accept-Encoding: identity\r\nContent-Type: application/json\r\n"
        )

    async def call(self, call: Call) -> Answer:
        """Ask once; raises `CallFailed`. Who calls it cancels it when the time is over."""
        secrets = await self._secrets.get()
        # Mail comes in bursts, and a token's signature is three times as fast right after another one, whose
        # tables are in the cache: let all requests of this turn of the loop come so far before one is signed.
        await asyncio.sleep(0)
        told = headers(secrets, int(time.time()), call.delivery_id, self._plugin.id, call.body)
        if token := self._credentials.call_token(self._plugin, call.delivery_id):
            told["Authorization"] = f"Bearer {token}"
        fields = "".join([f"{name}: {value}\r\n" for name, value in told.items()])
        head = f"{self._head}{fields}Content-Length: {len(call.body)}\r\n\r\n"
        if call.trial:
            return Answer(body=await _Onlooker().ask(self._connections, head.encode("ascii"), call.body))
        return Answer(body=await self._connections.ask(head.encode("ascii"), call.body, _judge))

    async def close(self) -> None:
        """End its connections."""
        await self._secrets.close()
        await self._connections.close()


def over_tcp(
    plugin: Runnable, credentials: Credentials, site: Site, tls: ssl.SSLContext | None = None
) -> HttpTransport:
    """The transport of an `http` plugin; raises `CallFailed` when it may not be where it is (rule H2)."""
    destination = Destination.of(plugin.entry.endpoint, plugin.limits, site)
    to = destination.request_target, destination.place
    return HttpTransport(plugin, to, credentials, to_place(destination, Names(), tls))


def over_unix(plugin: Runnable, credentials: Credentials, socket_dir: Path) -> HttpTransport:
    """The transport of a `unix` plugin, whose socket lies below `socket_dir`; raises `CallFailed`."""
    endpoint = plugin.entry.endpoint
    socket_below(socket_dir, endpoint)
    return HttpTransport(plugin, ("/", "plugin"), credentials, to_socket(socket_dir, endpoint))


class _Onlooker:
    """One call of a trial: of what is no answer the body is waited for, a moment, and told with the fault."""

    def __init__(self) -> None:
        self._fault: CallFailed | None = None
        self._limit = asyncio.timeout(None)

    async def ask(self, connections: Connections, head: bytes, body: bytes) -> bytes:
        """The body of the answer; raises `CallFailed`."""
        try:
            async with self._limit:
                found = await connections.ask(head, body, self._judge)
        except (CallFailed, TimeoutError) as error:
            raise self._fault or error from None
        if self._fault is not None:
            self._fault.body = found
            raise self._fault
        return found

    def _judge(self, status: int, fields: Mapping[str, str]) -> bool:
        try:
            return _judge(status, fields)
        except CallFailed as fault:
            self._fault = fault
            self._limit.reschedule(asyncio.get_running_loop().time() + ONLOOKER_S)
            return True


def _judge(status: int, fields: Mapping[str, str]) -> bool:
    """True when what comes may be an answer; raises `CallFailed`."""
    if 300 <= status < 400:
        raise CallFailed(f"HTTP {status}: redirects are not followed")
    if status != 200:
        raise CallFailed(f"HTTP {status}")
    # what no field names is looked at: it must be JSON in any case (RFC 9110 §8.3)
    if fields.get("content-type", JSON).partition(";")[0].strip().lower() != JSON:
        raise CallFailed("the answer is not application/json")
    if fields.get("content-encoding", "identity").lower() != "identity":
        raise CallFailed("the answer is compressed")
    return True
