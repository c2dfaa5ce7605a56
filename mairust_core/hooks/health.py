"""Asking a plugin whether it is well: one GET of its `health_endpoint`, bounded in all it takes.

The same words judge where it may be as judge its endpoint (rule H2); nothing is signed, no redirect followed,
and what it answers is not read: 2xx means that it is well.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp

from mairust_core.hooks.destinations import Destination, PinnedResolver
from mairust_core.hooks.http import socket_below, why_not
from mairust_core.hooks.transport import CallFailed
from mairust_core.model.plugin import Protocol, Runnable
from mairust_core.sandbox.names import Names
from mairust_core.sandbox.reach import Site

TIMEOUT_S = 5.0
UNIX_URL = "http://plugin/health"
"""What is asked for over a UNIX socket, which may be that of the endpoint."""


async def ask_health(plugin: Runnable, site: Site, socket_dir: Path) -> None:
    """Return when the plugin says that it is well; raises `CallFailed`, which says why not."""
    try:
        async with asyncio.timeout(TIMEOUT_S):
            await _ask(plugin, site, socket_dir)
    except TimeoutError:
        raise CallFailed(f"it did not answer within {TIMEOUT_S:g} s") from None
    except aiohttp.ClientError as error:
        raise CallFailed(why_not(error)) from None


async def _ask(plugin: Runnable, site: Site, socket_dir: Path) -> None:
    url, connector = _way(plugin, site, socket_dir)
    async with (
        aiohttp.ClientSession(
            connector=connector,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
            trust_env=False,
        ) as session,
        session.get(url, allow_redirects=False, headers={"User-Agent": "MaiRust"}) as response,
    ):
        if not 200 <= response.status < 300:
            raise CallFailed(f"HTTP {response.status}")


def _way(plugin: Runnable, site: Site, socket_dir: Path) -> tuple[str, aiohttp.BaseConnector]:
    endpoint = plugin.entry.health_endpoint
    if plugin.entry.protocol is Protocol.UNIX:
        return UNIX_URL, aiohttp.UnixConnector(path=str(socket_below(socket_dir, endpoint)), limit=1)
    destination = Destination.of(endpoint, plugin.limits, site)
    connector = aiohttp.TCPConnector(
        resolver=PinnedResolver(destination, Names()), use_dns_cache=False, limit=1, ssl=True
    )
    return destination.url, connector
