"""Ways to plugins, opened when first needed, replaced when the plugin changes."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from mairust_core.errors import MaiRustError
from mairust_core.hooks.transport import CallFailed, Transport
from mairust_core.model.plugin import Runnable

Open = Callable[[Runnable], Transport]
"""Makes the transport of a plugin; raises `CallFailed` when it cannot be spoken to."""
Find = Callable[[str], Open | None]
"""Gets a way ready by the name that plugin.toml has for it, None for one that nobody knows.

It may block: imports, a look at the machine.
"""

log = logging.getLogger("mairust.hooks")


@dataclass(slots=True)
class _Way:
    generation: int
    transport: Transport
    calls: int = 0
    left: bool = False


class Transports:
    """One transport for each plugin in use; belongs to one event loop."""

    def __init__(self, find: Find) -> None:
        self._find = find
        self._openers: dict[str, Open] = {}
        self._faults: dict[str, str] = {}
        self._ways: dict[str, _Way] = {}

    def prepare(self, plugins: Iterable[Runnable]) -> None:
        """Get ready for these; blocks, so it is called on a thread, before any of them is asked.

        A way that cannot be got ready fails the calls of its plugins, and is tried again next time.
        """
        for name in {one.entry.way for one in plugins} - self._openers.keys():
            try:
                opener = self._find(name)
            except (OSError, ImportError, MaiRustError) as error:
                log.exception("plugins of protocol %s cannot be asked for now", name)
                self._faults[name] = f"this server is not ready for it: {error}"
                continue
            if opener is not None:
                self._openers[name] = opener

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
        name = plugin.entry.way
        opener = self._openers.get(name)
        if opener is None:
            raise CallFailed(self._faults.get(name, f"this server cannot speak {name} to plugins"))
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
