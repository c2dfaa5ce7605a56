"""Listeners on loopback, under both event loops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import pytest
import uvloop

from mairust_core.observe.counters import Counters
from mairust_core.smtp.memory import MemoryReceiver
from mairust_core.smtp.server import Listener
from mairust_core.smtp.settings import ListenerSettings

Listen = Callable[..., Awaitable[str]]


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Every test here runs on both loops."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture
def receiver() -> MemoryReceiver:
    """A road that knows Ann, Bob and the postmaster, and takes up to 1 MiB."""
    return MemoryReceiver(
        ["ann@example.org", "bob@example.org", "postmaster", "日本@example.org"], max_size_bytes=1 << 20
    )


@pytest.fixture
async def listen(receiver: MemoryReceiver) -> AsyncIterator[Listen]:
    """Start a listener with these settings; returns its address. All are stopped at the end."""
    listeners = []

    async def start(at: Any = "127.0.0.1:0", **settings: Any) -> str:
        listener = Listener(
            receiver, ListenerSettings(hostname="mx.example.org", **settings), Counters.alone()
        )
        listeners.append(listener)
        return await listener.start(at)

    yield start
    for listener in listeners:
        await listener.stop(0)
