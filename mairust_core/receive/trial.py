"""Hooks tried out: the real chain and plugins, nothing stored, no breaker told, nobody answered (B-6)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mairust_core.hooks import Asked
from mairust_core.hooks.book import Registered
from mairust_core.hooks.breakers import NoBreakers
from mairust_core.hooks.calls import Caller
from mairust_core.hooks.filters import Matching, Sieve
from mairust_core.hooks.payload import Callback, MessagePart, request
from mairust_core.hooks.pool import Transports
from mairust_core.hooks.rounds import Round, delivery_id
from mairust_core.hooks.steps import Step
from mairust_core.ids import now_ms
from mairust_core.mime import hidden_ranges
from mairust_core.model.blob import Bytes
from mairust_core.model.content import WholeDescription
from mairust_core.model.envelope import Connection, Envelope, Recipient, Road
from mairust_core.model.hook import HookType, Mode
from mairust_core.model.ids import Id
from mairust_core.model.reply import Reply
from mairust_core.model.verdict import DELIVER, Action, Verdict
from mairust_core.receive.describing import describe_safely
from mairust_core.receive.plan import plan
from mairust_core.receive.stored import Copy, Stored, asked_again

if TYPE_CHECKING:
    from mairust_core.app import Site

STORED = Reply(250, "2.0.0", "stored")
NOBODY = 0
"""The account of a trial without recipients."""
NOT_STORED = Id(0)
"""The id that hooks after storing are told of a mail that is not stored."""
MASK = "***"
"""The token of a trial's callback: a plugin that is only tried may change nothing later either."""
CALL_MS = 30_000
"""The longest that one call may take after storing: somebody waits for the trial."""
NOWHERE = (0, 0)

CopyOf = Callable[[int, Verdict], Copy]
"""The copy of an account that hooks after storing are asked about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What hooks would have made of a mail: each step, the strongest action, and the one reply over SMTP."""

    steps: Sequence[Step]
    action: Action
    reply: Reply

    @property
    def matched(self) -> bool:
        """Whether any hook wanted the mail."""
        return bool(self.steps)

    @property
    def failed(self) -> bool:
        """Whether a hook gave no answer."""
        return any(step.outcome.error is not None for step in self.steps)


class Trials:
    """Some hooks, asked about one mail after another by the same processes; belongs to one event loop."""

    def __init__(self, site: Site, sieve: Sieve, transports: Transports, threads: ThreadPoolExecutor) -> None:
        self._site = site
        self._sieve = sieve
        self._threads = threads
        self._caller = Caller(transports, NoBreakers(), trial=True)

    async def on_mail(self, mail: Asked) -> Trial:
        """Ask about a mail as if it came in."""

        def copy(account: int, verdict: Verdict) -> Copy:
            return Copy(
                id=NOT_STORED,
                addresses=mail.reached[account],
                mail_from=mail.envelope.mail_from,
                connection=mail.envelope.connection,
                tags=verdict.effects.tags,
                metadata=verdict.effects.metadata,
            )

        return await self._on(mail, copy)

    async def on_stored(self, stored: Stored) -> Trial:
        """Ask about a stored message, before storing as if it came again for this account alone."""
        return await self._on(asked_again(stored, 1), lambda *_: stored.copy())

    async def _on(self, mail: Asked, copy: CopyOf) -> Trial:
        # plugins that know deliveries again shall not take a trial for what they answered before
        mail = replace(mail, delivery=f"trial-{mail.delivery}")
        matching = self._sieve.matching(mail)
        budget_ms = self._site.settings.hooks.budget_ms
        round_ = Round(self._caller, mail, lambda: self._sieve, budget_ms, self._threads, trial=True)
        told = await round_.told(matching)
        later = await self._later(mail, matching.get(HookType.POST_RECEIVE, []), told.verdicts, copy)
        actions = [one.action for one in told.verdicts.values()]
        actions += [one.outcome.said.action for one in later if one.registered.hook.mode is Mode.ENFORCE]
        planned = plan([tuple(told.verdicts)], told.verdicts)
        return Trial(
            steps=(*told.steps, *later),
            action=max(actions, default=DELIVER.action),
            reply=planned.refusals[0] or STORED,
        )

    async def _later(
        self, mail: Asked, matching: Matching, verdicts: Mapping[int, Verdict], copy: CopyOf
    ) -> list[Step]:
        """Hooks after storing, about the copies that would be delivered."""
        part = MessagePart(mail.content.view(), mail.envelope.received_at, mail.hidden)
        return [
            await self._after(registered, copy(account, verdicts[account]), part, (mail, account))
            for registered, accounts in matching
            for account in accounts
            if verdicts[account].action is Action.DELIVER
        ]

    async def _after(
        self, registered: Registered, copy: Copy, part: MessagePart, about: tuple[Asked, int]
    ) -> Step:
        """One question after storing, as `Afterwards` would ask it."""
        mail, account = about
        name = delivery_id(mail.delivery, registered.hook.name, account)
        asking = copy.asking(registered, name, 1, await self._callback(registered, name, copy.id))
        permissions = registered.plugin.permissions
        body = request(asking, permissions, part.of(permissions))
        at_ms = now_ms()
        outcome = await self._caller.ask(registered, name, body, mail.content.sha256.hex(), CALL_MS)
        return Step(
            registered=registered,
            accounts=(account,),
            at_ms=at_ms,
            delivery_id=name,
            recipient=asking.recipient,
            request=body,
            outcome=outcome,
        )

    async def _callback(self, registered: Registered, name: str, message_id: Id) -> Callback | None:
        found = await asyncio.to_thread(
            self._site.credentials.callback, registered, name, message_id, NOWHERE
        )
        return None if found is None else replace(found, token=MASK)


@asynccontextmanager
async def trials(site: Site, hooks: Sequence[Registered]) -> AsyncIterator[Trials]:
    """These hooks with their plugins, started once for all mails of the block; blocks the loop at first."""
    transports = Transports(site.open_transport, site.unpacked.have)
    transports.prepare(one.plugin for one in hooks)
    with ThreadPoolExecutor(1) as threads:
        try:
            yield Trials(site, Sieve(hooks), transports, threads)
        finally:
            await transports.close()


def try_hooks(
    site: Site, hooks: Sequence[Registered], data: bytes, mail_from: str = "", rcpt_to: Sequence[str] = ()
) -> Trial:
    """Ask these hooks about some bytes as about a mail that comes in; blocks until all have answered."""
    recipients = [
        Recipient(address=address, accounts=(number,)) for number, address in enumerate(rcpt_to, NOBODY + 1)
    ]
    content = Bytes.of(data)
    mail = Asked(
        delivery=str(now_ms()),
        envelope=Envelope(
            mail_from=mail_from,
            recipients=tuple(recipients),
            connection=Connection(road=Road.SMTP, ip="127.0.0.1", helo="localhost"),
            received_at=datetime.now(UTC),
        ),
        content=content,
        description=WholeDescription(describe_safely(content)),
        reached={one.accounts[0]: [one.address] for one in recipients} or {NOBODY: [""]},
        hidden=hidden_ranges(data, site.settings.node.authserv_id, True),
    )

    async def tried() -> Trial:
        async with trials(site, hooks) as run:
            return await run.on_mail(mail)

    return asyncio.run(tried())
