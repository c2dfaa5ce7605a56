"""Ways to plugins, opened when first needed, replaced when the plugin changes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from mairust_core.errors import MaiRustError
from mairust_core.hooks.transport import Alive, CallEnded, CallFailed, Staffed, Transport
from mairust_core.model.plugin import Runnable

Open = Callable[[Runnable], Transport]
"""Makes the transport of a plugin; raises `CallFailed` when it cannot be spoken to."""
Find = Callable[[str], Open | None]
"""Gets a way ready by the name that plugin.toml has for it, None for one that nobody knows.

It may block: imports, a look at the machine.
"""
Files = Callable[[Iterable[Runnable]], Mapping[str, str]]
"""Has the files of plugins here; why not, by the ids of those whose files cannot be had. May block."""

LOOK_S = 0.05
"""So often a call looks whether its plugin is ready."""

log = logging.getLogger("mairust.hooks")


@dataclass(slots=True)
class _Way:
    generation: int
    transport: Transport
    calls: set[asyncio.Timeout] = field(default_factory=set)
    """Those under way, each by what can end it."""
    left: bool = False
    ended: bool = False
    """Its plugin is not to be asked any more: calls of it end."""


class Transports:
    """One transport for each plugin in use; belongs to one event loop.

    A plugin that changes gets a new one for new calls. The old one stays while calls of it are under way, and
    is closed beside everything else: no call waits for processes of another to end, whichever came first.
    """

    def __init__(self, find: Find, files: Files = lambda _: {}) -> None:
        self._find = find
        self._files = files
        self._without_files: dict[str, str] = {}
        self._ready: dict[str, int] = {}
        """The generation of each plugin that was got ready, whatever came of it."""
        self.preparing: asyncio.Task[None] | None = None
        """What gets plugins ready beside this; their calls wait for it."""
        self._openers: dict[str, Open] = {}
        self._faults: dict[str, str] = {}
        self._ways: dict[str, _Way] = {}
        self._wanted: dict[str, int] | None = None
        """The generation of each plugin that may be asked; None as long as nobody has said."""
        self._closing: set[asyncio.Task[None]] = set()

    def prepare(self, plugins: Iterable[Runnable]) -> None:
        """Get ready for these; blocks, so it is called on a thread, before any of them is asked.

        A way that cannot be got ready fails the calls of its plugins, as files do that cannot be had; both
        are tried again next time.
        """
        wanted = {one.id: one for one in plugins}
        self._open_ways({one.entry.way for one in wanted.values()})
        for one in wanted.values():
            if missing := self._files([one]).get(one.id):
                self._without_files[one.id] = missing
            else:
                self._without_files.pop(one.id, None)
            self._ready[one.id] = one.generation
        for gone in self._ready.keys() - wanted.keys():
            del self._ready[gone]
            self._without_files.pop(gone, None)

    def _open_ways(self, names: set[str]) -> None:
        for name in names - self._openers.keys():
            try:
                opener = self._find(name)
            except (OSError, ImportError, MaiRustError) as error:
                log.exception("plugins of protocol %s cannot be asked for now", name)
                self._faults[name] = f"this server is not ready for it: {error}"
                continue
            if opener is not None:
                self._openers[name] = opener

    @asynccontextmanager
    async def to(self, plugin: Runnable, within_s: float | None = None) -> AsyncIterator[Transport]:
        """The transport of a plugin, kept open while the block runs.

        Raises `CallFailed`, `CallEnded` when the plugin is not to be asked, or ceases to be meanwhile, and
        `TimeoutError` when the block took longer than that, with all it had to wait for.
        """
        limit = asyncio.timeout(within_s)
        way: _Way | None = None
        try:
            async with limit:
                if self._ready.get(plugin.id, -1) < plugin.generation:
                    await self._wait_for(plugin)
                way = self._way(plugin)
                way.calls.add(limit)
                yield way.transport
        except TimeoutError:
            if way is None or not (way.ended and limit.expired()):
                raise
            raise CallEnded("it was removed or disabled meanwhile") from None
        finally:
            if way is not None:
                self._over(way, limit)

    def _over(self, way: _Way, call: asyncio.Timeout) -> None:
        way.calls.discard(call)
        if way.left and not way.calls:
            self._close(way)

    def _way(self, plugin: Runnable) -> _Way:
        wanted = plugin.generation if self._wanted is None else self._wanted.get(plugin.id)
        if wanted is None or plugin.generation > wanted:
            raise CallEnded("it is not asked any more as it was")
        if wanted != plugin.generation:  # mail that came before the change asks for the last time
            last = self._open(plugin)
            last.left = True
            return last
        known = self._ways.get(plugin.id)
        if known is not None and known.generation == plugin.generation:
            return known
        way = self._ways[plugin.id] = self._open(plugin)
        if known is not None:
            self._leave(known)
        return way

    async def _wait_for(self, plugin: Runnable) -> None:
        """Wait while a plugin is got ready; as long as the caller likes."""
        while (
            self._ready.get(plugin.id, -1) < plugin.generation
            and (self._wanted is None or plugin.id in self._wanted)
            and (task := self.preparing) is not None
            and not task.done()
        ):
            await asyncio.wait({task}, timeout=LOOK_S)

    def _open(self, plugin: Runnable) -> _Way:
        if (missing := self._without_files.get(plugin.id)) is not None:
            raise CallFailed(missing)
        name = plugin.entry.way
        opener = self._openers.get(name)
        if opener is None:
            raise CallFailed(self._faults.get(name, f"this server cannot speak {name} to plugins"))
        return _Way(plugin.generation, opener(plugin))

    def keep(self, plugins: Iterable[Runnable]) -> None:
        """Let go of all others: calls of an older generation come to their end, those of a plugin that is
        not among these are ended (rule D3).
        """
        self._wanted = {one.id: one.generation for one in plugins}
        for name, way in list(self._ways.items()):
            if self._wanted.get(name) != way.generation:
                del self._ways[name]
                if name not in self._wanted:
                    way.ended = True
                    _end(way.calls)
                self._leave(way)

    def _leave(self, way: _Way) -> None:
        """Close it, after its last call."""
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
        for id_, way in self._ways.items():
            if isinstance(way.transport, Staffed):
                found[id_] = way.transport.alive
        return found

    async def close(self) -> None:
        """End all of them; calls under way fail."""
        ways, self._ways = list(self._ways.values()), {}
        for way in ways:
            self._close(way)
        while self._closing:
            await asyncio.wait(self._closing)


def _end(calls: Iterable[asyncio.Timeout]) -> None:
    now = asyncio.get_running_loop().time()
    for one in calls:
        one.reschedule(now)
