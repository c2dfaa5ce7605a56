"""The hooks of a site, followed as they change, asked about one mail after another."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from mairust_core.errors import MaiRustError, StorageDown
from mairust_core.hooks import Asked, Told
from mairust_core.hooks.book import HookBook, Registered
from mairust_core.hooks.breakers import Breakers
from mairust_core.hooks.calls import Caller
from mairust_core.hooks.credentials import Credentials
from mairust_core.hooks.filters import Matching, Sieve
from mairust_core.hooks.log import HookLog, Lines
from mairust_core.hooks.payload import Asking, MessagePart, most_bytes, request
from mairust_core.hooks.pool import Files, Find, Transports
from mairust_core.hooks.room import Rooms
from mairust_core.hooks.rounds import Round
from mairust_core.hooks.shadows import Shadows
from mairust_core.hooks.steps import Step
from mairust_core.hooks.transport import Alive
from mairust_core.ids import now_ms
from mairust_core.model.hook import HookType
from mairust_core.model.ids import Id
from mairust_core.model.verdict import DELIVER, Action, Verdict
from mairust_core.store import StorageBackend, generations

THREADS = 2
READY_S = 0.2
"""So long at most one look at changes waits for plugins to be got ready; then it goes on beside it."""
TELL_ALIVE_S = 20.0
"""So often the processes of local plugins are told again: who does not tell is gone."""
NOT_YET = Verdict(action=Action.TEMPFAIL, reply=StorageDown.reply, reason="hooks are not known yet")

log = logging.getLogger("mairust.hooks")


class HookChain:
    """The `Chain` of a site; belongs to one event loop."""

    def __init__(
        self,
        storage: StorageBackend,
        book: HookBook,
        find: Find,
        credentials: Credentials,
        calls: HookLog,
        budget_ms: int,
        files: Files = lambda _: {},
    ) -> None:
        """`find` gets the ways to plugins ready, `files` has the files of local ones here.

        `budget_ms` as in `hooks.budget_ms`.
        """
        self._storage = storage
        self._book = book
        self.credentials = credentials
        self._budget_ms = budget_ms
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="hooks")
        self._preparing = ThreadPoolExecutor(1, thread_name_prefix="plugin files")
        """Unpacking takes seconds, which no change waits for."""
        self._transports = Transports(find, files)
        self._breakers = Breakers(storage, self._threads)
        self._caller = Caller(self._transports, self._breakers, self.find)
        self._lines = Lines(calls)
        self._shadows = Shadows(storage, self._threads, self._caller, self._lines)
        self._before, self._after = Rooms(), Rooms()
        """Rule B4: memory for mail that waits for its reply, and for mail that is stored."""
        self._sieve = Sieve(())
        self._generation: int | None = None
        self._told_alive: dict[str, Alive] = {}
        self._tell_alive_s = 0.0
        self._trouble = ""
        self._polling = asyncio.Lock()

    async def poll(self) -> None:
        """Follow changed hooks and other processes' breakers; what cannot be read stays as it was (D3)."""
        async with self._polling:  # or an older state would be put over a newer one
            await self._follow_changes()
        if self._sieve.hooks:
            await self._breakers.poll()
        await asyncio.get_running_loop().run_in_executor(self._threads, self._lines.flush, self._alive())

    async def _follow_changes(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(self._threads, self._read, self._generation)
        except MaiRustError as error:
            self._tell_trouble(str(error))
            return
        self._tell_trouble("")
        is_first = self._generation is None
        if found is not None:
            self._generation, self._sieve = found
            self._transports.keep(one.plugin for one in self._sieve.hooks if not one.blocked)
        await self._get_ready(None if is_first else READY_S)

    def _tell_trouble(self, why: str) -> None:
        """Once, however long it lasts: hooks are looked at every second."""
        if why and why != self._trouble:
            log.warning("hooks are not read for now: %s", why)
        elif self._trouble and not why:
            log.info("hooks are read again")
        self._trouble = why

    def _read(self, known: int | None) -> tuple[int, Sieve] | None:
        """The hooks, unless they are known; a filter that cannot be used makes nothing else wait."""
        with self._storage.read() as tx:
            generation = generations.current(tx)
        return None if generation == known else (generation, Sieve(self._book.enabled()))

    async def _get_ready(self, wait_s: float | None) -> None:
        """See to it that the plugins are got ready, and wait for that so long at most."""
        task = self._transports.preparing
        if task is None or task.done():
            task = self._transports.preparing = asyncio.create_task(self._prepare())
        await asyncio.wait({task}, timeout=wait_s)
        if task.done():
            task.result()

    async def _prepare(self) -> None:
        loop, sieve = asyncio.get_running_loop(), None
        while sieve is not self._sieve:  # it may change meanwhile
            sieve = self._sieve
            plugins = [one.plugin for one in sieve.hooks]
            await loop.run_in_executor(self._preparing, self._transports.prepare, plugins)

    async def ask(self, mail: Asked) -> Told:
        """What the hooks say of a mail; never raises. Before they are known every mail is put off."""
        if self._generation is None:
            await self.poll()
        if self._generation is None:
            return Told(verdicts=dict.fromkeys(mail.reached, NOT_YET))
        sieve = self._sieve
        matching = await self._matching(sieve, mail) if sieve.hooks else {}
        if not matching:
            return Told(verdicts=dict.fromkeys(mail.reached, DELIVER))
        round_ = Round(self._caller, mail, lambda: self._sieve, self._budget_ms, self._threads)
        told = await round_.told_of(matching, self._before)
        self._lines.count(told.steps)
        return told

    async def _matching(self, sieve: Sieve, mail: Asked) -> dict[HookType, Matching]:
        if sieve.is_quick(mail):
            return sieve.matching(mail)
        return await asyncio.get_running_loop().run_in_executor(self._threads, sieve.matching, mail)

    async def ask_later(self, registered: Registered, asking: Asking, part: MessagePart, mail: str) -> Step:
        """What a `post_receive` hook says of a stored message; `mail` is its hash. The caller notes it."""
        permissions = registered.plugin.permissions
        most = most_bytes(part.size_bytes, None, permissions)

        def make() -> bytes:
            return request(asking, permissions, part.of(permissions))

        async with self._after.held(2 * most):
            body = await asyncio.get_running_loop().run_in_executor(self._threads, make)
            at_ms = now_ms()
            outcome = await self._caller.ask(
                registered, asking.delivery_id, body, mail, registered.hook.timeout_ms
            )
        step = Step(
            registered=registered,
            accounts=(),
            at_ms=at_ms,
            delivery_id=asking.delivery_id,
            recipient=asking.recipient,
            request=b"",
            outcome=outcome,
        )
        self._lines.count([step])
        return step

    def note(
        self,
        steps: Sequence[Step],
        trace_id: int | None,
        stored: Mapping[int, Id],
        message_id: int | None = None,
    ) -> None:
        """Note what was asked; `stored` are the messages of the mail, `message_id` the one asked about."""
        self._lines.note(steps, trace_id, stored, message_id)

    def _alive(self) -> dict[str, Alive] | None:
        """The processes of local plugins; None when nothing is to be said of them: as before."""
        found = self._transports.workers()
        now_s = asyncio.get_running_loop().time()
        if found == self._told_alive and (not found or now_s < self._tell_alive_s):
            return None
        self._told_alive, self._tell_alive_s = found, now_s + TELL_ALIVE_S
        return found

    def find(self, name: str) -> Registered | None:
        """An enabled hook by its name."""
        return next((one for one in self._sieve.hooks if one.hook.name == name), None)

    def follow(self, told: Told, trace_id: int, stored: Mapping[int, Id], *, written: bool) -> None:
        """Note what was asked about a mail that was answered, and make its shadow calls; returns at once."""
        if not written:
            self.note(told.steps, trace_id, stored)
        self.begin_shadows(told, trace_id, stored)

    def begin_shadows(self, told: Told, trace_id: int, stored: Mapping[int, Id]) -> None:
        """Make the shadow calls of a mail; returns at once."""
        if told.shadows:
            self._shadows.begin(told, trace_id, stored)

    async def settle(self) -> None:
        """Wait for shadow calls and probes under way."""
        await self._shadows.settle()
        await self._breakers.settle()

    async def close(self) -> None:
        """Let go of everything; calls under way fail."""
        await self._shadows.close()
        await self._breakers.close()
        if self._transports.preparing is not None:
            self._transports.preparing.cancel()
        await self._transports.close()
        await asyncio.get_running_loop().run_in_executor(self._threads, self._lines.flush, self._alive())
        for threads in (self._threads, self._preparing):
            threads.shutdown(wait=False, cancel_futures=True)


def ask_from_thread(
    mail: Asked,
    running: tuple[HookChain, asyncio.AbstractEventLoop] | None,
    open_chain: Callable[[], HookChain],
) -> Told:
    """What the hooks say of a mail, asked on the loop that runs them or on one made for it; blocks."""
    if running is None:
        return asyncio.run(_ask_alone(mail, open_chain))
    chain, loop = running
    return asyncio.run_coroutine_threadsafe(chain.ask(mail), loop).result()


async def _ask_alone(mail: Asked, open_chain: Callable[[], HookChain]) -> Told:
    chain = open_chain()
    try:
        await chain.poll()
        return await chain.ask(mail)
    finally:
        await chain.close()
