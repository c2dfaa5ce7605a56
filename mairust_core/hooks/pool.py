"""Ways to plugins, opened when first needed, replaced when the plugin changes."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from mairust_core.hooks.transport import CallFailed, Transport
from mairust_core.model.plugin import Protocol, Runnable

Open = Callable[[Runnable], Transport]
"""Makes the transport of a plugin; raises `CallFailed` when it cannot be spoken to."""

log = logging.getLogger("mairust.hooks")


@dataclass(slots=True)
class _Way:
    generation: int
    transport: Transport
    calls: int = 0
    left: bool = False


class Transports:
    """One transport for each plugin in use; belongs to one event loop."""

    def __init__(self, openers: Mapping[Protocol, Open]) -> None:
        self._openers = openers
        self._ways: dict[str, _Way] = {}

    @asynccontextmanager
    async def to(self, plugin: Runnable) -> AsyncIterator[Transport]:
        """The transport of a plugin, kept open while the block runs. Raises `CallFailed`."""
        way = self._ways.get(plugin.id)
        if way is None or way.generation != plugin.generation:
            if way is not None:
                await self._leave(plugin.id)
            way = self._ways[plugin.id] = self._open(plugin)
        way.calls += 1
        try:
            yield way.transport
        finally:
            way.calls -= 1
            if way.left and not way.calls:
                await way.transport.close()

    def _open(self, plugin: Runnable) -> _Way:
        opener = self._openers.get(plugin.entry.protocol)
        if opener is None:
            raise CallFailed(f"this server cannot speak {plugin.entry.protocol.value} to plugins")
        return _Way(plugin.generation, opener(plugin))

    async def keep(self, plugins: Iterable[Runnable]) -> None:
        """Let go of all others, once their calls are over."""
        wanted = {one.id: one.generation for one in plugins}
        for name, way in list(self._ways.items()):
            if wanted.get(name) != way.generation:
                await self._leave(name)

    async def _leave(self, name: str) -> None:
        way = self._ways.pop(name)
        way.left = True
        if not way.calls:
            await way.transport.close()

    async def close(self) -> None:
        """End all of them; calls under way fail."""
        ways, self._ways = list(self._ways.values()), {}
        for way in ways:
            await way.transport.close()
