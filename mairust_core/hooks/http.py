"""Plugins that are HTTP services, over TCP or a UNIX socket: one POST for each question (contract §4).

No redirect is followed, no proxy is used, no cookie kept, nothing decompressed; the answer is JSON by its own
word and bounded. A request on a kept connection that the plugin closed meanwhile is sent once more, on a new
one: its delivery id is the same, and nothing of an answer had come.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import stat
import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp

from mairust_core.hooks.credentials import Credentials
from mairust_core.hooks.destinations import Destination, Misled, PinnedResolver, Surroundings
from mairust_core.hooks.signature import headers
from mairust_core.hooks.transport import MAX_ANSWER_BYTES, Answer, Call, CallFailed, CallTimedOut
from mairust_core.model.plugin import Runnable

CONNECTIONS = 64
KEPT_S = 2.0
"""How long an idle connection is kept: less than servers usually do."""
KEYS_S = 0.5
"""For so long secrets are good that were read (rule D3)."""
UNIX = "unix:"


@dataclass(frozen=True, slots=True)
class _Keys:
    secrets: tuple[str, ...]
    until: float


class HttpTransport:
    """One plugin over HTTP; belongs to one event loop."""

    def __init__(self, plugin: Runnable, url: str, credentials: Credentials, connector: Connect) -> None:
        self._plugin = plugin
        self._url = url
        self._credentials = credentials
        self._connect = connector
        self._keys: _Keys | None = None
        self._session: aiohttp.ClientSession | None = None

    async def call(self, call: Call) -> Answer:
        """Ask once; raises `CallFailed`."""
        try:
            async with asyncio.timeout(call.timeout_ms / 1000):
                return await self._ask(call)
        except TimeoutError:
            raise CallTimedOut(f"no answer within {call.timeout_ms} ms") from None
        except aiohttp.ClientError as error:
            raise CallFailed(_why(error)) from error

    async def _ask(self, call: Call) -> Answer:
        told = await self._headers(call)
        kept = SimpleNamespace(reused=False)
        try:
            return await self._post(call, told, kept)
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
            if not kept.reused:
                raise
        return await self._post(call, told, SimpleNamespace(reused=False))

    async def _post(self, call: Call, told: dict[str, str], kept: SimpleNamespace) -> Answer:
        async with self._open().post(
            self._url, data=call.body, headers=told, allow_redirects=False, trace_request_ctx=kept
        ) as response:
            _check(response)
            body = bytearray()
            async for chunk in response.content.iter_chunked(1 << 16):
                body += chunk
                if len(body) > MAX_ANSWER_BYTES:
                    response.close()
                    raise CallFailed(f"the answer is larger than {MAX_ANSWER_BYTES} bytes")
            return Answer(body=bytes(body))

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            reuse = aiohttp.TraceConfig()
            reuse.on_connection_reuseconn.append(_note_reuse)
            self._session = aiohttp.ClientSession(
                connector=self._connect(),
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),
                trace_configs=[reuse],
                trust_env=False,
            )
        return self._session

    async def _headers(self, call: Call) -> dict[str, str]:
        now = time.monotonic()
        if self._keys is None or self._keys.until < now:
            secrets = await asyncio.to_thread(self._credentials.secrets, self._plugin)
            self._keys = _Keys(tuple(secrets), now + KEYS_S)
        found = headers(self._keys.secrets, int(time.time()), call.delivery_id, self._plugin.id, call.body)
        found |= {"Content-Type": "application/json", "Accept": "application/json", "Accept-Encoding": "identity"}
        if token := self._credentials.call_token(self._plugin, call.delivery_id):
            found["Authorization"] = f"Bearer {token}"
        return found

    async def close(self) -> None:
        """End its connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None


class Connect:
    """Makes the connector of one plugin."""

    def __call__(self) -> aiohttp.BaseConnector:
        """A new one, on the running loop."""
        raise NotImplementedError
