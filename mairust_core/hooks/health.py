"""Asking a plugin whether it is well: one GET of its `health_endpoint`, bounded in all it takes.

The same words judge where it may be as judge its endpoint (rule H2); nothing is signed, no redirect followed,
and what it answers is not read: 2xx means that it is well.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from mairust_core.hooks.connections import Connect, Connections, socket_below, to_place, to_socket
from mairust_core.hooks.destinations import Destination
from mairust_core.hooks.transport import CallFailed
from mairust_core.model.plugin import Protocol, Runnable
from mairust_core.sandbox.names import Names
from mairust_core.sandbox.reach import Site

TIMEOUT_S = 5.0
UNIX_TARGET = "/health", "plugin"
"""What is asked for over a UNIX socket, which may be that of the endpoint, and of whom."""


async def ask_health(plugin: Runnable, site: Site, socket_dir: Path) -> None:
    """Return when the plugin says that it is well; raises `CallFailed`, which says why not."""
    try:
        async with asyncio.timeout(TIMEOUT_S):
            await _ask(plugin, site, socket_dir)
    except TimeoutError:
        raise CallFailed(f"it did not answer within {TIMEOUT_S:g} s") from None


async def _ask(plugin: Runnable, site: Site, socket_dir: Path) -> None:
    (target, place), connect = _way(plugin, site, socket_dir)
    head = f"GET {target} HTTP/1.1\r\nHost: {place}\r\nUser-Agent: MaiRust\r\nAccept: */*\r\n\r\n"
    connections = Connections(connect)
    try:
        await connections.ask(head.encode("ascii"), b"", _judge)
    finally:
        await connections.close()


def _judge(status: int, _: Mapping[str, str]) -> bool:
    """False, for no body is wanted; raises `CallFailed` when it is not well."""
    if not 200 <= status < 300:
        raise CallFailed(f"HTTP {status}")
    return False


def _way(plugin: Runnable, site: Site, socket_dir: Path) -> tuple[tuple[str, str], Connect]:
    endpoint = plugin.entry.health_endpoint
    if plugin.entry.protocol is Protocol.UNIX:
        socket_below(socket_dir, endpoint)
        return UNIX_TARGET, to_socket(socket_dir, endpoint)
    destination = Destination.of(endpoint, plugin.limits, site)
    return (destination.request_target, destination.place), to_place(destination, Names(), None)
