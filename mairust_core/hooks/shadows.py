"""Shadow calls: live mail, a real question, no effect; the answer is noted beside what was decided (B-6).

They run after the reply, a bounded number at a time; beyond it they are left out and counted.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from mairust_core.errors import MaiRustError
from mairust_core.hooks import Event, Told
from mairust_core.hooks.book import Registered
from mairust_core.hooks.calls import Caller
from mairust_core.hooks.log import Lines
from mairust_core.hooks.steps import Step, event
from mairust_core.hooks.told import bounded
from mairust_core.ids import now_ms
from mairust_core.model.hook import PRE_TIMEOUT_MAX_MS
from mairust_core.model.ids import Id
from mairust_core.model.verdict import Verdict
from mairust_core.store import StorageBackend, traces

MAX_WAITING = 256
"""Shadow calls of one process that wait or run."""
REFUSED_S = 2.0
"""After this the trace of a mail that was refused is there."""
MAX_WAITING_BYTES = 64 << 20
"""And what they hold of mail."""

log = logging.getLogger("mairust.hooks")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shadow:
    """One call to be made after the reply; `mail` is the hash of what it is about."""

    registered: Registered
    accounts: Sequence[int]
    delivery_id: str
    recipient: str
    request: bytes
    mail: str


class Shadows:
    """Makes shadow calls and notes their answers in the trace; belongs to one event loop."""

    def __init__(
        self,
        storage: StorageBackend,
        threads: ThreadPoolExecutor,
        caller: Caller,
        lines: Lines,
        most: int = MAX_WAITING,
        most_bytes: int = MAX_WAITING_BYTES,
    ) -> None:
        self._most, self._most_bytes = most, most_bytes
        self._lines = lines
        self._storage = storage
        self._threads = threads
        self._caller = caller
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting = self._bytes = 0
        self.left_out = 0
        """Calls that were not made: too many waited."""

    def begin(self, told: Told, trace_id: int, stored: Mapping[int, Id]) -> None:
        """Make these calls beside everything else; `stored` are the messages of the mail, by account."""
        shadows: Sequence[Shadow] = told.shadows
        size_bytes = sum(len(one.request) for one in shadows)
        if self._waiting + len(shadows) > self._most or self._bytes + size_bytes > self._most_bytes:
            self.left_out += len(shadows)
            log.warning("%d shadow calls left out, %d in all", len(shadows), self.left_out)
            return
        self._waiting += len(shadows)
        self._bytes += size_bytes
        task = asyncio.create_task(self._run(shadows, told.verdicts, trace_id, stored))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(
        self,
        shadows: Sequence[Shadow],
        decided: Mapping[int, Verdict],
        trace_id: int,
        stored: Mapping[int, Id],
    ) -> None:
        await asyncio.sleep(0)  # the reply goes first
        events: list[Event] = []
        try:
            for one in shadows:
                step = await self._ask(one)
                self._lines.count([step])
                self._lines.note([step], trace_id, stored)
                differs = any(decided[of].action is not step.outcome.said.action for of in one.accounts)
                events.append(bounded(event(step) | {"differs": differs}))
        finally:
            self._waiting -= len(shadows)
            self._bytes -= sum(len(one.request) for one in shadows)
        loop = asyncio.get_running_loop()
        if not await loop.run_in_executor(self._threads, self._note, trace_id, events):
            await asyncio.sleep(REFUSED_S)  # the trace of a refusal is written with others
            await loop.run_in_executor(self._threads, self._note, trace_id, events)

    async def _ask(self, shadow: Shadow) -> Step:
        at_ms = now_ms()
        outcome = await self._caller.ask(
            shadow.registered, shadow.delivery_id, shadow.request, shadow.mail, PRE_TIMEOUT_MAX_MS
        )
        return Step(
            registered=shadow.registered,
            accounts=shadow.accounts,
            at_ms=at_ms,
            delivery_id=shadow.delivery_id,
            recipient=shadow.recipient,
            request=b"",
            outcome=outcome,
        )

    def _note(self, trace_id: int, events: Sequence[Event]) -> bool:
        try:
            with self._storage.write() as tx:
                return traces.note(tx, trace_id, events)
        except MaiRustError as error:
            log.warning("answers of %d shadow calls are lost for the trace: %s", len(events), error)
            return True

    async def settle(self) -> None:
        """Wait for what is under way."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def close(self) -> None:
        """End what is under way."""
        for task in self._tasks:
            task.cancel()
        await self.settle()
