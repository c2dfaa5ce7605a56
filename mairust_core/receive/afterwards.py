"""What hooks leave to do once a mail is stored: `post_receive` calls, and copies that wait for delivery.

Both are jobs, made in the transaction that stored the copy (rule E2), run on the event loop that has the
chain, and written under their lease (rule F3). What was moved or deleted meanwhile is left alone.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection as Tx

from mairust_core.errors import NotFound, Temporary
from mairust_core.hooks import Asked, Event, Told
from mairust_core.hooks.book import Registered
from mairust_core.hooks.chain import HookChain
from mairust_core.hooks.effects import SYSTEM, Applied, apply
from mairust_core.hooks.payload import Asking, MessagePart
from mairust_core.hooks.rounds import delivery_id
from mairust_core.hooks.steps import Step, event
from mairust_core.ids import now_ms
from mairust_core.jobs import Kind, Later
from mairust_core.jobs.lease import Lease
from mairust_core.model.blob import Bytes
from mairust_core.model.envelope import Connection, Envelope, Recipient, Road
from mairust_core.model.hook import Mode
from mairust_core.model.ids import Id
from mairust_core.model.mailbox import INBOX, QUARANTINE
from mairust_core.model.message import Summary
from mairust_core.model.verdict import TEMPFAILED, Action, Effects, Verdict
from mairust_core.receive.answering import effects_of
from mairust_core.receive.copying import DELIVERY, HOOK, RETRY_AFTER_S, hook_job
from mairust_core.receive.describing import describe_safely
from mairust_core.store import hooks, jobs, messages, placements, traces
from mairust_core.store.messages import Source
from mairust_core.store.tables import AnyRow

if TYPE_CHECKING:
    from mairust_core.app import Site

LARGE_BYTES = 1 << 20
LARGE_AT_ONCE = 4
"""Messages beyond `LARGE_BYTES` that jobs of one process have in memory."""
DELIVERIES = len(RETRY_AFTER_S)
"""So often a waiting copy is decided about; then it stays in Quarantine."""

NOTICED_S = 1.0
"""After this every process runs a hook that was enabled."""
DISABLED_S = 120.0
"""So often is looked whether a hook is enabled again whose jobs wait."""

log = logging.getLogger("mairust.hooks")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A stored message with its bytes, and the trace of the mail that brought it."""

    summary: Summary
    source: Source
    data: bytes
    trace: AnyRow | None
    account_id: int
    addresses: Sequence[str]
    spot: tuple[int, int]

    @property
    def trace_id(self) -> int | None:
        """The trace's id; None once it has expired."""
        return None if self.trace is None else int(self.trace.id)

    @property
    def mail_from(self) -> str:
        """The reverse path it came with."""
        return "" if self.trace is None else str(self.trace.mail_from)

    def connection(self) -> Connection:
        """The client that brought it, as far as the trace still knows."""
        if self.trace is None:
            return Connection(road=Road.SMTP)
        events: list[dict[str, Any]] = json.loads(self.trace.events)
        noted = next((one for one in events if one["kind"] == "received"), {})
        return Connection(
            road=Road(self.trace.road),
            ip=self.trace.client_ip,
            helo=self.trace.helo,
            tls=noted.get("tls", ""),
        )


class Afterwards:
    """The handlers of both kinds of jobs; belongs to the event loop of its chain."""

    def __init__(self, site: Site, chain: HookChain) -> None:
        self._site = site
        self._chain = chain
        self._large = asyncio.Semaphore(LARGE_AT_ONCE)

    def kinds(self) -> tuple[Kind, ...]:
        """Both kinds, for a runner."""
        return (
            Kind(name=HOOK, handler=self.ask, retry_after_s=RETRY_AFTER_S),
            Kind(name=DELIVERY, handler=self.deliver, retry_after_s=RETRY_AFTER_S[1:]),
        )

    async def ask(self, site: Site, payload: Mapping[str, Any], lease: Lease) -> None:
        """Ask one `post_receive` hook about one message and apply its answer.

        Raises `Temporary` when it gave none, so that the job comes again and at last is a dead letter, and
        `Later` while the hook or its plugin is disabled. A hook that is gone is not asked any more.
        """
        registered = self._chain.find(payload["hook"])
        if registered is None:
            await asyncio.to_thread(self._wait_for, payload["hook"])
            return
        async with self._stored(payload) as stored:
            if stored is None:
                return
            step = await self._asked(registered, stored, lease.job.attempts)
            hook, said = registered.hook, step.outcome.said
            noted = event(step) | {"attempt": lease.job.attempts}
            if step.outcome.error is not None or hook.mode is Mode.SHADOW:
                await asyncio.to_thread(self._note, stored, [noted])
            if step.outcome.error is not None:
                raise Temporary("hook", name=hook.name, why=step.outcome.error)
            if hook.mode is not Mode.SHADOW:
                await asyncio.to_thread(self._apply, stored, effects_of(hook.name, said), lease, [noted])

    def _wait_for(self, name: str) -> None:
        """Return when a hook is gone for good; raises `Later` for one that is or will be asked again."""
        try:
            with self._site.storage.read() as tx:
                found = hooks.get(tx, SYSTEM, name)
        except NotFound:
            return
        if found.running:  # it was enabled a moment ago, and this process has not noticed yet (rule D3)
            raise Later(f"the hook {name} begins to run here", NOTICED_S)
        waits_for = f"plugin {found.plugin}" if found.enabled else f"hook {name}"
        raise Later(f"waits, the {waits_for} is not enabled", DISABLED_S)

    async def _asked(self, registered: Registered, stored: Stored, attempt: int) -> Step:
        plugin, message_id = registered.plugin, stored.summary.id
        prefix = f"plugin:{plugin.id}:"
        own = {key: value for key, value in stored.source.metadata.items() if key.startswith(prefix)}
        name = delivery_id(str(int(message_id)), registered.hook.name)
        callback = await asyncio.to_thread(
            self._chain.credentials.callback, registered, name, message_id, stored.spot
        )
        asking = Asking(
            hook=registered.hook.type,
            delivery_id=name,
            plugin=plugin.id,
            attempt=attempt,
            recipient=stored.addresses[0],
            mail_from=stored.mail_from,
            rcpt_to=stored.addresses,
            connection=stored.connection(),
            tags=stored.summary.tags,
            metadata={key.removeprefix(prefix): value for key, value in own.items()},
            message_id=str(int(message_id)),
            callback=callback,
        )
        part = MessagePart(stored.data, stored.summary.received_at, stored.source.hidden)
        mail = stored.source.sha256.hex()
        found = await self._chain.ask_later(registered, asking, part, mail, stored.trace_id)
        step = replace(found, accounts=(stored.account_id,))
        self._chain.saw([step], stored.trace_id, {stored.account_id: message_id})
        return step

    async def deliver(self, site: Site, payload: Mapping[str, Any], lease: Lease) -> None:
        """Decide again about a copy that waits in Quarantine (rule E2).

        Raises `Temporary` while it shall wait on.
        """
        async with self._stored(payload) as stored:
            if stored is None or stored.summary.mailbox != QUARANTINE:
                return
            told = await self._chain.ask(asked_again(stored, lease.job.attempts + 1))
            about = {stored.account_id: stored.summary.id}
            self._chain.saw(told.steps, stored.trace_id, about)
            verdict = told.verdicts[stored.account_id]
            events = [*told.events, self._decided(stored, verdict, lease)]
            if verdict.action is Action.TEMPFAIL and lease.job.attempts < DELIVERIES:
                await asyncio.to_thread(self._note, stored, events)
                raise Temporary("delivery", why=verdict.reason or verdict.reply or TEMPFAILED)
            await asyncio.to_thread(self._settle, stored, verdict, lease, events, told)
            if stored.trace_id is not None:
                self._chain.begin_shadows(told, stored.trace_id, about)

    @asynccontextmanager
    async def _stored(self, payload: Mapping[str, Any]) -> AsyncIterator[Stored | None]:
        """The message of a job, of which few large ones are in memory at a time."""
        found = await asyncio.to_thread(find_stored, self._site, payload)
        if found is None:
            yield None
            return
        async with AsyncExitStack() as stack:
            if found.source.size_bytes > LARGE_BYTES:
                await stack.enter_async_context(self._large)
            data = await asyncio.to_thread(self._site.read_blob, found.source)
            yield replace(found, data=data)

    def _decided(self, stored: Stored, verdict: Verdict, lease: Lease) -> Event:
        return {
            "at": now_ms(),
            "kind": "decided",
            "account_id": stored.account_id,
            "message": str(int(stored.summary.id)),
            "action": verdict.action.name.lower(),
            "attempt": lease.job.attempts,
        }

    def _settle(
        self, stored: Stored, verdict: Verdict, lease: Lease, events: Sequence[Event], told: Told
    ) -> None:
        """Deliver the copy, or leave it in Quarantine for good."""
        effects = verdict.effects
        if verdict.action is not Action.DELIVER:
            why = verdict.reason or str(verdict.reply or TEMPFAILED)
            kept = replace(effects, move_to=None, metadata={**effects.metadata, "quarantine": why})
            self._apply(stored, kept, lease, events)
            return
        target = effects.move_to or INBOX
        wanted = replace(effects, move_to=target, metadata={**effects.metadata, "quarantine": None})
        names = told.later.get(stored.account_id, ())
        about = {"addresses": list(stored.addresses), "account": stored.account_id}
        new = [(self._site.ids.next(), hook_job(name, stored.summary.id, about)) for name in names]

        def make(tx: Tx, applied: Applied) -> None:
            if applied.moved_to is None or not new:
                return
            place = placements.hold(tx, SYSTEM, stored.summary.id).placed
            told_ = {"message": str(int(stored.summary.id)), "place": (place.mailbox_id, place.uid)}
            made = [(id_, replace(one, payload={**one.payload, **told_}), 0) for id_, one in new]
            jobs.insert(self._site.storage, tx, made)

        self._apply(stored, wanted, lease, events, make)
        self._site.hook_bell.set()

    def _apply(
        self,
        stored: Stored,
        wanted: Effects,
        lease: Lease,
        events: Sequence[Event],
        beside: Callable[[Tx, Applied], None] | None = None,
    ) -> None:
        """Effects, what the trace says of them, and what else `beside` does: one transaction, our lease."""

        def more(tx: Tx, applied: Applied) -> None:
            if beside is not None:
                beside(tx, applied)
            lease.confirm(tx)
            *others, last = events
            told = {"moved_to": applied.moved_to} if applied.moved_to else {}
            left_out = {"left_out": list(applied.left_out)} if applied.left_out else {}
            if stored.trace is not None:
                traces.note(tx, stored.trace.id, [*others, {**last, **told, **left_out}])

        apply(self._site.storage, self._site.ids, stored.summary.id, wanted, stored.spot, more)

    def _note(self, stored: Stored, events: Sequence[Event]) -> None:
        if stored.trace is not None:
            with self._site.storage.write() as tx:
                traces.note(tx, stored.trace.id, events)


def find_stored(site: Site, about: Mapping[str, Any]) -> Stored | None:
    """The message of a job's payload without its bytes, unless it is deleted or gone."""
    message_id = Id.parse(about["message"])
    try:
        with site.storage.read() as tx:
            summary, source = messages.get(tx, SYSTEM, message_id)
            row = traces.of_message(tx, SYSTEM, message_id)
    except NotFound:
        return None
    if summary.deleted_at is not None:
        return None
    mailbox_id, uid = about["place"]
    return Stored(
        summary=summary,
        source=source,
        data=b"",
        trace=row,
        account_id=about["account"],
        addresses=about["addresses"],
        spot=(mailbox_id, uid),
    )


def asked_again(stored: Stored, attempt: int) -> Asked:
    """The mail as its sender would bring it again for this account alone."""
    account_id = stored.account_id
    recipients = (Recipient(address=one, accounts=(account_id,)) for one in stored.addresses)
    content = Bytes(data=stored.data, sha256=stored.source.sha256, size_bytes=stored.source.size_bytes)
    mail = stored.summary.id if stored.trace is None else stored.trace.id
    return Asked(
        delivery=f"{int(mail)}-{account_id}",
        envelope=Envelope(
            mail_from=stored.mail_from,
            recipients=tuple(recipients),
            connection=stored.connection(),
            received_at=stored.summary.received_at,
        ),
        content=content,
        facts=describe_safely(content),
        reached={account_id: list(stored.addresses)},
        hidden=stored.source.hidden,
        attempt=attempt,
        trace_id=stored.trace_id,
    )
