"""Ways to plugins, opened when first needed, replaced when the plugin changes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from mairust_core.hooks.transport import Alive, CallFailed, Staffed, Transport
from mairust_core.model.plugin import Protocol, Runnable

Open = Callable[[Runnable], Transport]
"""Makes the transport of a plugin; raises `CallFailed` when it cannot be spoken to."""
Ready = Callable[[], Open]
"""What a way to plugins takes before its first use; may block: imports, a look at the machine."""

log = logging.getLogger("mairust.hooks")


@dataclass(slots=True)
class _Way:
    transport: Transport
    calls: int = 0
    left: bool = False


class Transports:
    """One transport for each plugin in use; belongs to one event loop.

    A plugin that changes gets a new one for new calls. The old one stays while calls of it are under way, and
    is closed beside everything else: no call waits for processes of another to end, whichever came first.
    """

    def __init__(self, ways: Mapping[Protocol, Ready]) -> None:
        self._getting_ready = ways
        self._openers: dict[Protocol, Open] = {}
        self._faults: dict[Protocol, str] = {}
        self._ways: dict[tuple[str, int], _Way] = {}
        """By plugin and generation: mail under way may still ask the one that was in force when it came."""
        self._wanted: dict[str, int] | None = None
        self._closing: set[asyncio.Task[None]] = set()

    def prepare(self, plugins: Iterable[Runnable]) -> None:
        """Get ready for these; blocks, so it is called on a thread, before any of them is asked.

        A way that cannot be got ready fails the calls of its plugins, and is tried again next time.
        """
        for protocol in {one.entry.protocol for one in plugins} - self._openers.keys():
            if (get_ready := self._getting_ready.get(protocol)) is None:
                continue
            try:
                self._openers[protocol] = get_ready()
            except (OSError, ImportError) as error:
                log.exception("plugins of protocol %s cannot be asked for now", protocol.value)
                self._faults[protocol] = f"this server is not ready for it: {error}"

    @asynccontextmanager
    async def to(self, plugin: Runnable) -> AsyncIterator[Transport]:
        """The transport of a plugin, kept open while the block runs. Raises `CallFailed`."""
        way = self._way(plugin)
        way.calls += 1
        try:
            yield way.transport
        finally:
            way.calls -= 1
            if way.left and not way.calls:
                self._close(way)

    def _way(self, plugin: Runnable) -> _Way:
        key = (plugin.id, plugin.generation)
        if (way := self._ways.get(key)) is None:
            way = _Way(self._open(plugin))
            if self._wanted is None or self._wanted.get(plugin.id) == plugin.generation:
                self._ways[key] = way
            else:  # mail that came before the change asks for the last time
                way.left = True
        return way

    def _open(self, plugin: Runnable) -> Transport:
        opener = self._openers.get(plugin.entry.protocol)
        if opener is None:
            protocol = plugin.entry.protocol
            unknown = f"this server cannot speak {protocol.value} to plugins"
            raise CallFailed(self._faults.get(protocol, unknown))
        return opener(plugin)

    def keep(self, plugins: Iterable[Runnable]) -> None:
        """Let go of all others, once their calls are over."""
        self._wanted = {one.id: one.generation for one in plugins}
        for key in list(self._ways):
            if self._wanted.get(key[0]) != key[1]:
                self._leave(key)

    def _leave(self, key: tuple[str, int]) -> None:
        way = self._ways.pop(key)
        way.left = True
        if not way.calls:
            self._close(way)

    def _close(self, way: _Way) -> None:
        task = asyncio.get_running_loop().create_task(way.transport.close())
        self._closing.add(task)
        task.add_done_callback(self._closed)

    def _closed(self, task: asyncio.Task[None]) -> None:
        self._closing.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a way to a plugin could not be closed", exc_info=error)

    def workers(self) -> dict[str, Alive]:
        """How many processes each local plugin has here, by its id."""
        found: dict[str, Alive] = {}
        for (id_, _), way in self._ways.items():
            if isinstance(way.transport, Staffed):
                found[id_] = way.transport.alive
        return found

    async def close(self) -> None:
        """End all of them; calls under way fail."""
        for key in list(self._ways):
            way = self._ways.pop(key)
            self._close(way)
        while self._closing:
            await asyncio.wait(self._closing)
