"""Breakers as one process sees them: told of failures, asked before every call (rule E5).

The rows are written on a thread and only when something fails or recovers; a process that cannot write goes
on with what it knows. Probes run beside the mail that made them necessary.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy import Connection

from mairust_core.errors import MaiRustError
from mairust_core.ids import now_ms
from mairust_core.model.breaker import (
    CLOSED,
    OPEN_MS,
    THRESHOLDS,
    Breaker,
    BreakerState,
    after_failed_probe,
    after_failure,
)
from mairust_core.model.hook import Hook
from mairust_core.store import StorageBackend, breakers

T = TypeVar("T")
Probe = Callable[[], Awaitable[bool]]
"""Asks the hook about a benign mail; True when it answers."""

log = logging.getLogger("mairust.hooks")


class Breakers:
    """All breakers of a site; belongs to one event loop."""

    def __init__(self, storage: StorageBackend, threads: ThreadPoolExecutor) -> None:
        self._storage = storage
        self._threads = threads
        self._known: dict[str, Breaker] = {}
        self._poison: frozenset[tuple[str, str]] = frozenset()
        self._probes: set[asyncio.Task[None]] = set()

    async def poll(self) -> None:
        """Read what other processes wrote."""
        found = await self._on_thread(self._read, None)
        if found is not None:
            self._known, self._poison = found.breakers, found.poison

    def _read(self) -> breakers.Failures:
        with self._storage.read() as tx:
            return breakers.load(self._storage, tx)

    async def refusal(self, hook: Hook, mail: str) -> str | None:
        """Why this hook is not to be asked about this mail now; None when it is."""
        if (hook.name, mail) in self._poison:
            return "this mail made it fail before"
        if (known := self._known.get(hook.name)) is None:
            return None
        state = known.state(now_ms())
        if state is BreakerState.CLOSED:
            return None
        if state is BreakerState.HALF_OPEN and await self._take_trial(hook.name, known):
            return None
        return f"its breaker is open: {known.last_error}"

    async def _take_trial(self, name: str, known: Breaker) -> bool:
        self._known[name] = Breaker(
            failures=known.failures, open_until_ms=now_ms() + OPEN_MS, last_error=known.last_error
        )
        taken = await self._write(lambda tx: breakers.take_trial(self._storage, tx, name, known))
        return taken is not False  # where nobody can write it down, this process decides alone

    async def answered(self, hook: Hook) -> None:
        """Note that the hook gave an answer."""
        if self._known.pop(hook.name, None) is not None:
            await self._write(lambda tx: breakers.succeed(tx, hook.name))

    async def failed(self, hook: Hook, mail: str, why: str, probe: Probe) -> None:
        """Note that it gave none; begins the probe when its failures are enough to open."""
        threshold = THRESHOLDS[hook.type]
        found = await self._write(
            lambda tx: breakers.fail(self._storage, tx, hook.name, mail, why, threshold)
        )
        if found is None:
            known = self._known.get(hook.name, CLOSED)
            found = after_failure(known, mail, why, threshold, now_ms())
        self._known[hook.name] = found[0]
        if found[1]:
            task = asyncio.create_task(self._find_out(hook, probe))
            self._probes.add(task)
            task.add_done_callback(self._probes.discard)

    async def _find_out(self, hook: Hook, probe: Probe) -> None:
        """Is it the hook, or only these mails?"""
        name = hook.name
        if await probe():
            mails = await self._write(lambda tx: breakers.poison(self._storage, tx, name))
            mails = mails or self._known.get(name, CLOSED).failures
            self._poison |= {(name, mail) for mail in mails}
            self._known.pop(name, None)
            if mails:  # none where the breaker was reset, or another process was told, meanwhile
                log.warning("hook %s answers, but not on %d mails: it sees them no more", name, len(mails))
            return
        found = await self._write(lambda tx: breakers.open_(self._storage, tx, name))
        self._known[name] = found or after_failed_probe(self._known.get(name, CLOSED), now_ms())
        log.error("hook %s is left alone for a minute: %s", name, self._known[name].last_error)

    async def settle(self) -> None:
        """Wait for the probes under way."""
        while self._probes:
            await asyncio.wait(self._probes)

    async def close(self) -> None:
        """End the probes under way."""
        for task in self._probes:
            task.cancel()
        await self.settle()

    async def _write(self, work: Callable[[Connection], T]) -> T | None:
        def write() -> T:
            with self._storage.write() as tx:
                return work(tx)

        return await self._on_thread(write, None)

    async def _on_thread(self, work: Callable[[], T], otherwise: T | None) -> T | None:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except MaiRustError as error:
            log.warning("breakers of hooks are not shared for now: %s", error)
            return otherwise


class NoBreakers:
    """For trials: every hook is asked, and no failure counts."""

    async def refusal(self, hook: Hook, mail: str) -> str | None:
        """None."""
        return None

    async def answered(self, hook: Hook) -> None:
        """Nothing to note."""

    async def failed(self, hook: Hook, mail: str, why: str, probe: Probe) -> None:
        """Nothing to note."""
