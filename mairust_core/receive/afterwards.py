"""What hooks leave to do once a mail is stored: `post_receive` calls, and copies that wait for delivery.

Both are jobs, made in the transaction that stored the copy (rule E2), run on the event loop that has the
chain, and written under their lease (rule F3). What was moved or deleted meanwhile is left alone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection as Tx

from mairust_core.errors import NotFound, Temporary
from mairust_core.hooks import Event, Told
from mairust_core.hooks.book import Registered
from mairust_core.hooks.chain import HookChain
from mairust_core.hooks.effects import SYSTEM, Applied, apply
from mairust_core.hooks.payload import MessagePart
from mairust_core.hooks.rounds import delivery_id
from mairust_core.hooks.steps import Step, event
from mairust_core.hooks.told import bounded
from mairust_core.ids import now_ms
from mairust_core.jobs import Kind, Later
from mairust_core.jobs.lease import Lease
from mairust_core.model.hook import HookType, Mode
from mairust_core.model.mailbox import INBOX, QUARANTINE
from mairust_core.model.verdict import TEMPFAILED, Action, Effects, Verdict
from mairust_core.observe.faults import crash_point
from mairust_core.receive.answering import effects_of
from mairust_core.receive.copying import DELIVERY, HOOK, RETRY_AFTER_S, hook_job
from mairust_core.receive.stored import Stored, asked_again, find_stored
from mairust_core.store import hooks, jobs, placements, traces

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


class Afterwards:
    """The handlers of both kinds of jobs; belongs to the event loop of its chain."""

    def __init__(
        self,
        site: Site,
        chain: HookChain,
        large_bytes: int = LARGE_BYTES,
        large_at_once: int = LARGE_AT_ONCE,
    ) -> None:
        self._site = site
        self._chain = chain
        self._large_bytes = large_bytes
        self._large = asyncio.Semaphore(large_at_once)

    def kinds(self) -> tuple[Kind, ...]:
        """Both kinds, for a runner."""
        return (
            Kind(name=HOOK, handler=self.ask, retry_after_s=RETRY_AFTER_S),
            Kind(name=DELIVERY, handler=self.deliver, retry_after_s=RETRY_AFTER_S[1:]),
        )

    async def ask(self, site: Site, payload: Mapping[str, Any], lease: Lease) -> None:
        """Ask one `post_receive` hook about one message and apply its answer.

        Raises `Temporary` when it gave none, so that the job comes again and at last is a dead letter, and
        `Later` while the hook or its plugin is disabled.
        """
        async with self._stored(payload) as stored:
            if stored is None:
                return
            registered = await self._found(payload["hook"])
            if registered is None:
                await asyncio.to_thread(self._note, stored, [_left(payload, lease)])
                return
            step = await self._asked(registered, stored, lease.job.attempts)
            hook, said = registered.hook, step.outcome.said
            noted = bounded(event(step) | {"attempt": lease.job.attempts})
            if step.outcome.error is not None or hook.mode is Mode.SHADOW:
                await asyncio.to_thread(self._note, stored, [noted])
            if step.outcome.error is not None:
                raise Temporary("hook", name=hook.name, why=step.outcome.error)
            if hook.mode is not Mode.SHADOW:
                await asyncio.to_thread(self._apply, stored, effects_of(hook.name, said), lease, [noted])

    async def _found(self, name: str) -> Registered | None:
        """The hook of a job; None when there is none any more.

        Another process may have followed a change before this one did. Raises `Later` for one that is not
        running.
        """
        found = self._chain.find(name)
        if found is None:
            await self._chain.poll()
            found = self._chain.find(name)
        if found is None:
            await asyncio.to_thread(self._wait_for, name)
        return found if found is None or found.hook.type is HookType.POST_RECEIVE else None

    def _wait_for(self, name: str) -> None:
        """Return when a hook is gone for good; raises `Later` for one that is or will be asked again."""
        try:
            with self._site.storage.read() as tx:
                found = hooks.get(tx, SYSTEM, name)
        except NotFound:
            return
        if found.type is not HookType.POST_RECEIVE:
            return
        if found.running:  # it was enabled a moment ago, and this process has not noticed yet (rule D3)
            raise Later(f"the hook {name} begins to run here", NOTICED_S)
        waits_for = f"plugin {found.plugin}" if found.enabled else f"hook {name}"
        raise Later(f"waits, the {waits_for} is not enabled", DISABLED_S)

    async def _asked(self, registered: Registered, stored: Stored, attempt: int) -> Step:
        message_id = stored.summary.id
        name = delivery_id(str(int(message_id)), registered.hook.name)
        callback = await asyncio.to_thread(
            self._chain.credentials.callback, registered, name, message_id, stored.spot
        )
        asking = stored.copy().asking(registered, name, attempt, callback)
        part = MessagePart(stored.data, stored.summary.received_at, stored.source.hidden)
        mail = stored.source.sha256.hex()
        found = await self._chain.ask_later(registered, asking, part, mail)
        step = replace(found, accounts=(stored.account_id,))
        self._chain.note([step], stored.trace_id, {stored.account_id: message_id}, message_id)
        return step

    async def deliver(self, site: Site, payload: Mapping[str, Any], lease: Lease) -> None:
        """Decide again about a copy that waits in Quarantine (rule E2).

        Raises `Temporary` while it shall wait on.
        """
        async with self._stored(payload) as stored:
            if stored is None or stored.summary.mailbox != QUARANTINE:
                return
            # on a thread: to describe a large mail takes a while
            mail = await asyncio.to_thread(asked_again, stored, lease.job.attempts + 1)
            told = await self._chain.ask(mail)
            about = {stored.account_id: stored.summary.id}
            self._chain.note(told.steps, stored.trace_id, about)
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
            if found.source.size_bytes > self._large_bytes:
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
        """Effects, the trace's word on them, what else `beside` does, the job's end: one transaction."""

        def more(tx: Tx, applied: Applied) -> None:
            if beside is not None:
                beside(tx, applied)
            lease.finish(tx, self._site.storage.now_ms(tx))
            *others, last = events
            told = {"moved_to": applied.moved_to} if applied.moved_to else {}
            left_out = {"left_out": list(applied.left_out)} if applied.left_out else {}
            if stored.trace is not None:
                traces.note(tx, stored.trace.id, [*others, bounded({**last, **told, **left_out})])
            crash_point("hook.applied")

        apply(self._site.storage, self._site.ids, stored.summary.id, wanted, stored.spot, more)
        lease.finished = True
        crash_point("hook.committed")

    def _note(self, stored: Stored, events: Sequence[Event]) -> None:
        if stored.trace is not None:
            with self._site.storage.write() as tx:
                traces.note(tx, stored.trace.id, events)


def _left(payload: Mapping[str, Any], lease: Lease) -> Event:
    """What the trace notes of a job whose hook is gone."""
    return {
        "at": now_ms(),
        "kind": "hook_gone",
        "account_id": payload["account"],
        "hook": payload["hook"],
        "message": payload["message"],
        "attempt": lease.job.attempts,
    }
