"""Names of hosts looked up for plugins, on threads that nobody else needs.

A look-up holds a thread until the resolver gives up, whoever waits for it: one of the plugin's own few, and
never one that the server works with. Who waits for its turn or for an answer holds none.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from mairust_core.networks import plain_address

AT_ONCE = 2
"""Look-ups of one plugin at a time."""
FAILED_S = 5.0
"""For so long a name that led nowhere is not looked up again."""
MAX_FAILED = 256

Found = list[tuple[Any, ...]]
"""As `socket.getaddrinfo` gives it."""
LookUp = Callable[[str, int], Found]


def _by_resolver(host: str, port: int) -> Found:
    return list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))


class Names:
    """The look-ups of one plugin; belongs to one event loop."""

    def __init__(self, look_up: LookUp = _by_resolver, failed_s: float = FAILED_S) -> None:
        self._look_up = look_up
        self._failed_s = failed_s
        self._free = asyncio.Semaphore(AT_ONCE)
        self._looking: dict[tuple[str, int], asyncio.Future[Found | OSError]] = {}
        self._failed: dict[tuple[str, int], tuple[float, OSError]] = {}

    async def find(self, host: str, port: int) -> Found:
        """What the name leads to; raises `OSError`. Those who want the same at once share one look-up."""
        if plain_address(host) is not None:
            return _by_resolver(host, port)  # asks nobody
        key = host, port
        while True:
            self._refuse_failed(key)
            if (looking := self._looking.get(key)) is not None:
                found = await asyncio.shield(looking)
                if isinstance(found, OSError):
                    raise found
                return found
            await self._free.acquire()
            if key in self._looking:
                self._free.release()
            else:
                self._begin(key)

    def _refuse_failed(self, key: tuple[str, int]) -> None:
        until, error = self._failed.get(key, (0.0, None))
        if error is not None and asyncio.get_running_loop().time() < until:
            raise error

    def _begin(self, key: tuple[str, int]) -> None:
        loop = asyncio.get_running_loop()
        self._looking[key] = loop.create_future()

        def look() -> None:
            found: Found | OSError
            try:
                found = self._look_up(*key)
            except (OSError, UnicodeError) as error:
                found = error if isinstance(error, OSError) else OSError(str(error))
            with suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(self._over, key, found)

        threading.Thread(target=look, name="names", daemon=True).start()

    def _over(self, key: tuple[str, int], found: Found | OSError) -> None:
        self._free.release()
        if isinstance(found, OSError):
            if len(self._failed) >= MAX_FAILED:
                self._failed.clear()
            self._failed[key] = (asyncio.get_running_loop().time() + self._failed_s, found)
        looking = self._looking.pop(key)
        if not looking.done():
            looking.set_result(found)
