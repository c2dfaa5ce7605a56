"""All questions about one mail on its way in: `pre_receive`, then `pre_delivery`.

`pre_receive` hooks are asked one after another, each once, about the recipients that its filter matches and
that nobody has refused yet; then every recipient's `pre_delivery` hooks, recipients beside each other (rules
E1, E4). Waiting holds no thread.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import lru_cache

from mairust_core.hooks import Asked, Event, Told
from mairust_core.hooks.answers import Said
from mairust_core.hooks.book import Registered
from mairust_core.hooks.calls import Caller
from mairust_core.hooks.filters import Matching
from mairust_core.hooks.opinions import Opinions
from mairust_core.hooks.payload import Asking, MessagePart, request
from mairust_core.hooks.shadows import Shadow
from mairust_core.hooks.steps import Step, event
from mairust_core.ids import now_ms
from mairust_core.model.hook import HookType, Mode
from mairust_core.model.plugin import Attachments, Body
from mairust_core.model.verdict import Action

LARGE_BYTES = 1 << 20
"""Beyond it a mail that some plugin reads whole waits until there is room for it (rule B4)."""
AT_ONCE = 8
"""Recipients of one mail that are asked about beside each other: less than a bulkhead holds."""
INLINE_BYTES = 256 << 10
"""The payload of larger mail is made on a thread, so that the loop is never held for milliseconds."""


def delivery_id(delivery: str, hook: str, account_id: int | None = None) -> str:
    """What names one question, the same in every attempt (rule F3); fit for a path."""
    name = _short(hook)
    return f"{delivery}-{name}" if account_id is None else f"{delivery}-{account_id}-{name}"


@lru_cache(maxsize=1024)
def _short(hook: str) -> str:
    """Twelve characters for the name of a hook."""
    return hashlib.blake2b(hook.encode(), digest_size=6).hexdigest()


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

    async def told_within(self, large: asyncio.Semaphore) -> Told:
        """Ask all of them; when one of them reads all of a large mail, when there is room for it.

        Waiting for it counts (rule E4).
        """
        if self._mail.content.size_bytes <= LARGE_BYTES or not self._is_read_whole():
            return await self.told()
        try:
            async with asyncio.timeout_at(self._deadline):
                await large.acquire()
        except TimeoutError:
            return await self.told()  # no time is left: nothing of it is read
        try:
            return await self.told()
        finally:
            large.release()

    def _is_read_whole(self) -> bool:
        return any(
            one.plugin.permissions.read_body is Body.FULL
            or one.plugin.permissions.read_attachments is Attachments.FULL
            for matching in self._matching.values()
            for one, _ in matching
            if one.hook.type is not HookType.POST_RECEIVE
        )

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
        if not matching:
            return
        asked = [(registered, frozenset(accounts)) for registered, accounts in matching]
        wanted = sorted(frozenset().union(*(accounts for _, accounts in asked)))
        free = asyncio.Semaphore(AT_ONCE)

        async def ask_for(account: int) -> None:
            async with free:
                for registered, accounts in asked:
                    if account in accounts and self._opinions.open([account]):
                        await self._ask(registered, [account], account)

        async with asyncio.TaskGroup() as group:
            for account in self._opinions.open(wanted):
                group.create_task(ask_for(account))

    async def _ask(self, registered: Registered, accounts: Sequence[int], single: int | None = None) -> None:
        if not accounts:
            return
        name = delivery_id(self._mail.delivery, registered.hook.name, single)
        body = await self._request(registered, accounts, name) if self._left_ms() else b""
        if registered.hook.mode is Mode.SHADOW and not self._trial:
            if body:
                self._shadows.append(self._shadow(registered, accounts, name, body))
            return
        at_ms = now_ms()
        outcome = await self._caller.ask(registered, name, body, self._hash, self._left_ms())
        if registered.hook.mode is not Mode.SHADOW:
            self._opinions.add(accounts, _signed(outcome.said, registered.hook.name))
        step = Step(
            registered=registered,
            accounts=accounts,
            at_ms=at_ms,
            delivery_id=name,
            recipient=self._mail.reached[accounts[0]][0],
            request=body if self._trial else b"",
            outcome=outcome,
        )
        self._steps.append(step)

    def _shadow(self, registered: Registered, accounts: Sequence[int], name: str, body: bytes) -> Shadow:
        return Shadow(
            registered=registered,
            accounts=accounts,
            delivery_id=name,
            recipient=self._mail.reached[accounts[0]][0],
            request=body,
            mail=self._hash,
        )

    def _left_ms(self) -> int:
        return max(0, round((self._deadline - self._loop.time()) * 1000))

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


def _signed(said: Said, hook: str) -> Said:
    """An answer whose reason says whose it is, where it decides anything."""
    if said.action is Action.DELIVER:
        return said
    why = said.reason or str(said.reply or "")
    return replace(said, reason=f"{hook}: {why}" if why else hook)
