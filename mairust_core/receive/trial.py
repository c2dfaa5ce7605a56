"""Hooks tried out: the real chain and plugins, nothing stored, no breaker told, nobody answered (B-6)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mairust_core.errors import NotFound
from mairust_core.hooks import Asked, Told
from mairust_core.hooks.book import Registered
from mairust_core.hooks.breakers import NoBreakers
from mairust_core.hooks.calls import Caller
from mairust_core.hooks.filters import Sieve
from mairust_core.hooks.pool import Transports
from mairust_core.hooks.rounds import Round
from mairust_core.hooks.steps import Step
from mairust_core.mime import hidden_ranges
from mairust_core.model.blob import Bytes
from mairust_core.model.envelope import Connection, Envelope, Recipient, Road
from mairust_core.model.ids import Id
from mairust_core.model.reply import Reply
from mairust_core.model.verdict import DELIVER, Action
from mairust_core.receive.afterwards import asked_again, find_stored
from mairust_core.receive.describing import describe_safely
from mairust_core.receive.plan import plan

if TYPE_CHECKING:
    from mairust_core.app import Site

STORED = Reply(250, "2.0.0", "stored")
NOBODY = 0
"""The account of a trial without recipients."""


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


def try_hooks(
    site: Site, hooks: Sequence[Registered], data: bytes, mail_from: str = "", rcpt_to: Sequence[str] = ()
) -> Trial:
    """Ask these hooks about some bytes as about a mail that comes in; blocks until all have answered."""
    recipients = [
        Recipient(address=address, accounts=(number,)) for number, address in enumerate(rcpt_to, NOBODY + 1)
    ]
    content = Bytes.of(data)
    mail = Asked(
        delivery="trial",
        envelope=Envelope(
            mail_from=mail_from,
            recipients=tuple(recipients),
            connection=Connection(road=Road.SMTP, ip="127.0.0.1", helo="localhost"),
            received_at=datetime.now(UTC),
        ),
        content=content,
        facts=describe_safely(content),
        reached={one.accounts[0]: [one.address] for one in recipients} or {NOBODY: [""]},
        hidden=hidden_ranges(data, site.settings.node.authserv_id, True),
    )
    return _trial(site, hooks, mail)


def try_on_stored(site: Site, hooks: Sequence[Registered], message_id: Id, address: str) -> Trial:
    """Ask these hooks about a stored message as about mail for `address`; raises `NotFound`, `Damaged`."""
    about = {"message": str(int(message_id)), "place": (0, 0), "addresses": [address], "account": NOBODY}
    stored = find_stored(site, about)
    if stored is None:
        raise NotFound("message", id=message_id)
    return _trial(site, hooks, asked_again(replace(stored, data=site.read_blob(stored.source)), 1))


def _trial(site: Site, hooks: Sequence[Registered], mail: Asked) -> Trial:
    transports = Transports(site.open_transport)
    transports.prepare(one.plugin for one in hooks)
    told = asyncio.run(_told(transports, hooks, mail, site.settings.hooks.budget_ms))
    verdicts = told.verdicts
    planned = plan([tuple(verdicts)], verdicts)
    action = max((one.action for one in verdicts.values()), default=DELIVER.action)
    return Trial(steps=told.steps, action=action, reply=planned.refusals[0] or STORED)


async def _told(transports: Transports, hooks: Sequence[Registered], mail: Asked, budget_ms: int) -> Told:
    matching = Sieve(hooks).matching(mail)
    with ThreadPoolExecutor(1) as threads:
        try:
            caller = Caller(transports, NoBreakers())
            return await Round(caller, mail, matching, budget_ms, threads, trial=True).told()
        finally:
            await transports.close()
