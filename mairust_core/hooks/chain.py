"""The hooks of a site around one mail: `pre_receive`, then `pre_delivery`, shadows after the reply.

`pre_receive` hooks are asked one after another, each once, about the recipients that its filter matches and
that nobody has refused yet; then every recipient's `pre_delivery` hooks, recipients beside each other (rules
E1, E4). Waiting holds no thread.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from mairust_core.errors import MaiRustError
from mairust_core.hooks import Asked, Event, Told
from mairust_core.hooks.book import HookBook, Registered
from mairust_core.hooks.breakers import Breakers
from mairust_core.hooks.calls import Caller
from mairust_core.hooks.credentials import Credentials
from mairust_core.hooks.filters import Matching, Sieve
from mairust_core.hooks.log import HookLog, Lines
from mairust_core.hooks.opinions import Opinions
from mairust_core.hooks.payload import Asking, MessagePart, request
from mairust_core.hooks.pool import Open, Transports
from mairust_core.hooks.shadows import Shadow, Shadows
from mairust_core.hooks.steps import Step, event
from mairust_core.ids import now_ms
from mairust_core.model.hook import HookType, Mode
from mairust_core.model.plugin import Protocol
from mairust_core.model.verdict import DELIVER
from mairust_core.store import StorageBackend, generations

AT_ONCE = 8
"""Recipients of one mail that are asked about beside each other: less than a bulkhead holds."""
INLINE_BYTES = 256 << 10
"""The payload of larger mail is made on a thread, so that the loop is never held for milliseconds."""
THREADS = 2

log = logging.getLogger("mairust.hooks")


class HookChain:
    """The `Chain` of a site; belongs to one event loop."""

    def __init__(
        self,
        storage: StorageBackend,
        book: HookBook,
        openers: Mapping[Protocol, Open],
        credentials: Credentials,
        log: HookLog,
        budget_ms: int,
    ) -> None:
        """`openers` are the ways to plugins that this process has; `budget_ms` as in `hooks.budget_ms`."""
        self._storage = storage
        self._book = book
        self.credentials = credentials
        self._budget_ms = budget_ms
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="hooks")
        self._transports = Transports(openers)
        self._breakers = Breakers(storage, self._threads)
        self._caller = Caller(self._transports, self._breakers)
        self._lines = Lines(log)
        self._shadows = Shadows(storage, self._threads, self._caller, self._lines)
        self._sieve = Sieve(())
        self._generation: int | None = None

    async def poll(self) -> None:
        """Follow changed hooks and other processes' breakers; what cannot be read stays as it was (D3)."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._threads, self._lines.flush)
        try:
            found = await loop.run_in_executor(self._threads, self._read, self._generation)
        except MaiRustError as error:
            log.warning("hooks are not read for now: %s", error)
            return
        if found is not None:
            self._generation, self._sieve = found
            await self._transports.keep(one.plugin for one in self._sieve.hooks)
        if self._sieve.hooks:
            await self._breakers.poll()

    def _read(self, known: int | None) -> tuple[int, Sieve] | None:
        """The hooks, unless they are known; a filter that cannot be used makes nothing else wait."""
        with self._storage.read() as tx:
            generation = generations.current(tx)
        return None if generation == known else (generation, Sieve(self._book.enabled()))

    async def ask(self, mail: Asked) -> Told:
        """What the hooks say of a mail; never raises."""
        matching = self._sieve.matching(mail) if self._sieve.hooks else {}
        if not matching:
            return Told(verdicts=dict.fromkeys(mail.reached, DELIVER))
        told = await Round(self._caller, mail, matching, self._budget_ms, self._threads).told()
        self._lines.add(told.steps, mail.trace_id)
        return told

    async def ask_later(
        self, registered: Registered, asking: Asking, part: MessagePart, mail: str, trace_id: int | None
    ) -> Step:
        """What a `post_receive` hook says of a stored message; `mail` is its hash."""
        message = await asyncio.get_running_loop().run_in_executor(
            self._threads, part.of, registered.plugin.permissions
        )
        body = request(asking, registered.plugin.permissions, message)
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
            request=body,
            outcome=outcome,
        )
        self._lines.add([step], trace_id, int(asking.message_id or 0) or None)
        return step

    def find(self, name: str) -> Registered | None:
        """An enabled hook by its name."""
        return next((one for one in self._sieve.hooks if one.hook.name == name), None)

    def follow(self, told: Told, trace_id: int) -> None:
        """Make the shadow calls of a mail that was answered; returns at once."""
        if told.shadows:
            self._shadows.begin(told.shadows, told.verdicts, trace_id)

    async def settle(self) -> None:
        """Wait for shadow calls and probes under way."""
        await self._shadows.settle()
        await self._breakers.settle()

    async def close(self) -> None:
        """Let go of everything; calls under way fail."""
        await self._shadows.close()
        await self._breakers.close()
        await self._transports.close()
        await asyncio.get_running_loop().run_in_executor(self._threads, self._lines.flush)
        self._threads.shutdown(wait=False, cancel_futures=True)


def delivery_id(delivery: str, hook: str, account_id: int | None = None) -> str:
    """What names one question, the same in every attempt (rule F3); fit for a path."""
    name = hashlib.blake2b(hook.encode(), digest_size=6).hexdigest()
    return f"{delivery}-{name}" if account_id is None else f"{delivery}-{account_id}-{name}"


class Round:
    """All questions about one mail on its way in.

    In a `trial` shadows and hooks after storing are asked in their turn too; what shadows say does not count.
    """

    def __init__(
        self,
        caller: Caller,
        mail: Asked,
        matching: Mapping[HookType, Matching],
        budget_ms: int,
        threads: ThreadPoolExecutor,
        *,
        trial: bool = False,
    ) -> None:
        self._trial = trial
        self._caller = caller
        self._mail = mail
        self._matching = matching
        self._threads = threads
        self._hash = mail.content.sha256.hex()
        self._part = MessagePart(mail.content.view(), mail.envelope.received_at, mail.hidden)
        self._opinions = Opinions(mail.reached)
        self._steps: list[Step] = []
        self._shadows: list[Shadow] = []
        self._loop = asyncio.get_running_loop()
        self._deadline = self._loop.time() + budget_ms / 1000

    async def told(self) -> Told:
        """Ask all of them."""
        for registered, accounts in self._matching.get(HookType.PRE_RECEIVE, ()):
            await self._ask(registered, self._opinions.open(accounts))
        await self._ask_for_each(self._matching.get(HookType.PRE_DELIVERY, []))
        if self._trial:
            await self._ask_for_each(self._matching.get(HookType.POST_RECEIVE, []))
        return Told(
            verdicts=self._opinions.verdicts,
            events=self._events(),
            later=self._later(),
            shadows=self._shadows,
            steps=self._steps,
        )

    def _events(self) -> list[Event]:
        return [event(step) for step in self._steps]

    def _later(self) -> dict[int, list[str]]:
        found: dict[int, list[str]] = {}
        for registered, accounts in self._matching.get(HookType.POST_RECEIVE, ()):
            for account in accounts:
                found.setdefault(account, []).append(registered.hook.name)
        return found

    async def _ask_for_each(self, matching: Matching) -> None:
        """Each recipient's own hooks, recipients beside each other."""
        wanted = sorted({account for _, accounts in matching for account in accounts})
        free = asyncio.Semaphore(AT_ONCE)

        async def ask_for(account: int) -> None:
            async with free:
                for registered, accounts in matching:
                    if account in accounts and self._opinions.open([account]):
                        await self._ask(registered, [account], account)

        async with asyncio.TaskGroup() as group:
            for account in self._opinions.open(wanted):
                group.create_task(ask_for(account))

    async def _ask(self, registered: Registered, accounts: Sequence[int], single: int | None = None) -> None:
        if not accounts:
            return
        name = delivery_id(self._mail.delivery, registered.hook.name, single)
        recipient = self._mail.reached[accounts[0]][0]
        body = await self._request(registered, accounts, name)
        shadow = registered.hook.mode is Mode.SHADOW
        if shadow and not self._trial:
            self._shadows.append(
                Shadow(
                    registered=registered,
                    accounts=accounts,
                    delivery_id=name,
                    recipient=recipient,
                    request=body,
                    mail=self._hash,
                )
            )
            return
        at_ms = now_ms()
        left_ms = max(0, round((self._deadline - self._loop.time()) * 1000))
        outcome = await self._caller.ask(registered, name, body, self._hash, left_ms)
        said = outcome.said
        if said.action is not DELIVER.action:
            why = said.reason or str(said.reply or "")
            said = replace(said, reason=f"{registered.hook.name}: {why}" if why else registered.hook.name)
        if not shadow:
            self._opinions.add(accounts, said)
        self._steps.append(
            Step(
                registered=registered,
                accounts=accounts,
                at_ms=at_ms,
                delivery_id=name,
                recipient=recipient,
                request=body,
                outcome=outcome,
            )
        )

    async def _request(self, registered: Registered, accounts: Sequence[int], name: str) -> bytes:
        mail, plugin = self._mail, registered.plugin
        reached = [address for one in accounts for address in mail.reached[one]]
        asking = Asking(
            hook=registered.hook.type,
            delivery_id=name,
            plugin=plugin.id,
            attempt=mail.attempt,
            recipient=reached[0],
            mail_from=mail.envelope.mail_from,
            rcpt_to=tuple(dict.fromkeys(reached)),
            connection=mail.envelope.connection,
            tags=self._opinions.tags(accounts),
            metadata=self._opinions.metadata(accounts, plugin.id),
        )
        if mail.content.size_bytes <= INLINE_BYTES:
            return request(asking, plugin.permissions, self._part.of(plugin.permissions))
        message = await self._loop.run_in_executor(self._threads, self._part.of, plugin.permissions)
        return request(asking, plugin.permissions, message)
