"""All questions about one mail on its way in: `pre_receive`, then `pre_delivery`.

`pre_receive` hooks are asked one after another, each once, about the recipients that its filter matches and
that nobody has refused yet; then every recipient's `pre_delivery` hooks, recipients beside each other (rules
E1, E4). Waiting holds no thread.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import lru_cache

from mairust_core.hooks import Asked, Event, Told
from mairust_core.hooks.answers import Said
from mairust_core.hooks.book import Registered
from mairust_core.hooks.calls import Caller
from mairust_core.hooks.filters import Matching, Sieve
from mairust_core.hooks.opinions import Opinions
from mairust_core.hooks.payload import (
    EVERYTHING,
    Asking,
    MessagePart,
    inline_bytes,
    most_bytes,
    request,
    rights_of,
)
from mairust_core.hooks.room import FREE_BYTES, Rooms
from mairust_core.hooks.shadows import MAX_WAITING_BYTES, Shadow
from mairust_core.hooks.steps import Step, event
from mairust_core.hooks.told import bounded_together
from mairust_core.ids import now_ms
from mairust_core.model.hook import HookType, Mode
from mairust_core.model.plugin import Permissions
from mairust_core.model.verdict import DELIVER, TEMPFAILED, Action, Verdict

AT_ONCE = 8
"""Recipients of one mail that are asked about beside each other: less than a bulkhead holds."""
AT_ONCE_BYTES = 64 << 20
"""And no more of them than have so much in requests, for one has to be."""
NO_ROOM = Verdict(action=Action.TEMPFAIL, reply=TEMPFAILED, reason="other large mail is with plugins")


log = logging.getLogger("mairust.hooks")


def delivery_id(delivery: str, hook: str, account_id: int | None = None) -> str:
    """What names one question, the same in every attempt (rule F3); fit for a path.

    One about a single account has it in its name: a copy that waits is asked about alone (rule E2).
    """
    name = _short(hook)
    return f"{delivery}-{name}" if account_id is None else f"{delivery}-{account_id}-{name}"


@lru_cache(maxsize=1024)
def _short(hook: str) -> str:
    """Twelve characters for the name of a hook."""
    return hashlib.blake2b(hook.encode(), digest_size=6).hexdigest()


class Round:
    """All questions about one mail on its way in.

    In a `trial` shadows are asked in their turn too; what they say does not count.
    """

    def __init__(
        self,
        caller: Caller,
        mail: Asked,
        sieve: Callable[[], Sieve],
        budget_ms: int,
        threads: ThreadPoolExecutor,
        *,
        trial: bool = False,
    ) -> None:
        """`sieve` tells the hooks as they are now: what changes while a mail is asked about counts (D3)."""
        self._trial = trial
        self._caller = caller
        self._mail = mail
        self._sieve = sieve
        self._matched_by = sieve()
        self._threads = threads
        self._hash = mail.content.sha256.hex()
        text = mail.description.text
        self._part = MessagePart(mail.content.view(), mail.envelope.received_at, mail.hidden, text)
        self._making = asyncio.Lock()
        self._opinions = Opinions(mail.reached)
        self._at_once = AT_ONCE
        self._steps: list[Step] = []
        self._shadows: list[Shadow] = []
        self._shadow_bytes = 0
        self._loop = asyncio.get_running_loop()
        self._deadline = self._loop.time() + budget_ms / 1000
        self._matching: Mapping[HookType, Matching] = {}
        self._asked_of = self._matched_by
        self._now: dict[str, tuple[Registered, list[int]]] = {}

    async def told_of(self, matching: Mapping[HookType, Matching], rooms: Rooms) -> Told:
        """Ask all of them, once there is room for what they are told; waiting for it counts (rule E4).

        Where none came in time the mail is put off: that is no failure of a hook.
        """
        self._matching = matching
        size_bytes = self._room_bytes()
        if size_bytes <= FREE_BYTES:
            return await self.told(matching)
        async with AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(rooms.held(size_bytes, self._deadline))
            except TimeoutError:
                asked = {account for _, accounts in self._enforced() for account in accounts}
                verdicts = {one: NO_ROOM if one in asked else DELIVER for one in self._mail.reached}
                return Told(verdicts=verdicts, later=self._later())
            return await self.told(matching)

    def _enforced(self) -> Matching:
        return [
            (one, accounts)
            for type_ in (HookType.PRE_RECEIVE, HookType.PRE_DELIVERY)
            for one, accounts in self._matching.get(type_, ())
            if one.hook.mode is not Mode.SHADOW
        ]

    def _room_bytes(self) -> int:
        """What all requests about this mail may hold at a time: its parts, and those under way.

        Also decides about how many recipients are asked about beside each other.
        """
        enforced = self._enforced()
        at_most = len(enforced) + min(AT_ONCE, len(self._mail.reached))
        if at_most * most_bytes(self._mail.content.size_bytes, None, EVERYTHING) <= FREE_BYTES:
            return 0
        rights = (one.plugin.permissions for one, _ in enforced)
        parts = {rights_of(permissions): self._most_bytes(permissions) for permissions in rights}
        largest = max(parts.values(), default=0)
        if not largest:
            return 0
        self._at_once = min(AT_ONCE, max(1, AT_ONCE_BYTES // largest))
        copies = min(self._at_once, max(len(accounts) for _, accounts in enforced))
        return sum(parts.values()) + copies * largest

    async def told(self, matching: Mapping[HookType, Matching]) -> Told:
        """Ask all of them."""
        self._matching = matching
        for registered, accounts in matching.get(HookType.PRE_RECEIVE, ()):
            await self._ask(registered, self._opinions.open(accounts))
        await self._ask_for_each(matching.get(HookType.PRE_DELIVERY, []))
        return Told(
            verdicts=self._opinions.verdicts,
            events=self._events(),
            later=self._later(),
            shadows=self._shadows,
            steps=self._steps,
            preview=self._part.preview,
        )

    def _events(self) -> list[Event]:
        return bounded_together(event(step) for step in self._steps)

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
        free = asyncio.Semaphore(self._at_once)

        async def ask_for(account: int) -> None:
            async with free:
                for registered, accounts in asked:
                    if account in accounts and self._opinions.open([account]):
                        await self._ask(registered, [account])

        async with asyncio.TaskGroup() as group:
            for account in self._opinions.open(wanted):
                group.create_task(ask_for(account))

    async def _ask(self, registered: Registered, accounts: Sequence[int]) -> None:
        if self._sieve() is not self._matched_by:
            registered, accounts = self._as_it_is_now(registered, accounts)
        if not accounts:
            return
        alone = accounts[0] if len(accounts) == 1 else None
        name = delivery_id(self._mail.delivery, registered.hook.name, alone)
        is_shadow = registered.hook.mode is Mode.SHADOW
        if is_shadow and not self._trial and not self._has_room_for_shadow(registered):
            log.warning("shadow call of %s left out: the mail is too large", registered.hook.name)
            return
        body = await self._request(registered, accounts, name) if self._left_ms() else b""
        if is_shadow and not self._trial:
            if body:
                self._shadows.append(self._shadow(registered, accounts, name, body))
                self._shadow_bytes += len(body)
            return
        at_ms = now_ms()
        outcome = await self._caller.ask(registered, name, body, self._hash, self._left_ms())
        left_out: tuple[str, ...] = ()
        if not is_shadow:
            said = _signed(outcome.said, registered.hook.name)
            left_out = self._opinions.add(accounts, said, registered.plugin.id)
        step = Step(
            registered=registered,
            accounts=accounts,
            at_ms=at_ms,
            delivery_id=name,
            recipient=self._mail.reached[accounts[0]][0],
            request=body if self._trial else b"",
            outcome=outcome,
            left_out=left_out,
        )
        self._steps.append(step)

    def _as_it_is_now(
        self, registered: Registered, accounts: Sequence[int]
    ) -> tuple[Registered, Sequence[int]]:
        """A hook as it is in force now, and which of the accounts it still wants; none once it is gone."""
        sieve = self._sieve()
        if self._asked_of is not sieve:
            self._asked_of = sieve
            again = sieve.matching(self._mail)
            self._now = {one.hook.name: (one, wanted) for all_ in again.values() for one, wanted in all_}
        now, wanted = self._now.get(registered.hook.name, (registered, []))
        if now.hook.type is not registered.hook.type:
            return now, ()
        return now, [one for one in accounts if one in wanted]

    def _has_room_for_shadow(self, registered: Registered) -> bool:
        expected = self._most_bytes(registered.plugin.permissions)
        return self._shadow_bytes + expected <= MAX_WAITING_BYTES

    def _most_bytes(self, permissions: Permissions) -> int:
        mail = self._mail
        return most_bytes(mail.content.size_bytes, mail.description.header_size_bytes, permissions)

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
        if mail.content.size_bytes <= inline_bytes(plugin.permissions):
            return request(asking, plugin.permissions, self._part.of(plugin.permissions))
        async with self._making:  # once for each set of rights, and one at a time: they may be large
            return await self._loop.run_in_executor(self._threads, self._made, asking, plugin.permissions)

    def _made(self, asking: Asking, permissions: Permissions) -> bytes:
        return request(asking, permissions, self._part.of(permissions))


def _signed(said: Said, hook: str) -> Said:
    """An answer whose reason says whose it is, where it decides anything."""
    if said.action is Action.DELIVER:
        return said
    why = said.reason or str(said.reply or "")
    return replace(said, reason=f"{hook}: {why}" if why else hook)
