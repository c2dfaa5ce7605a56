"""The road of one mail: resolve → describe → hooks → group commit → 250.

Every failure is a 4xx: nothing is accepted before it is durable, and nobody is told a lie (RFC 5321 §6.1).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mairust_core.errors import MaiRustError, NotFound, QuotaExceeded, StorageDown
from mairust_core.hooks import Chain, NoHooks, Told
from mairust_core.hooks.call_log import calls_of
from mairust_core.mime import MAX_HIDDEN, Ranges, hidden_ranges, snippet_of
from mairust_core.model.blob import Content
from mairust_core.model.content import Description, WholeDescription
from mairust_core.model.delivery import NO_CALLS, Delivery, Stored
from mairust_core.model.envelope import Connection, Envelope, Recipient, Road
from mairust_core.model.ids import Id
from mairust_core.model.reply import Reply
from mairust_core.observe.faults import crash_point
from mairust_core.receive import Collector
from mairust_core.receive.committer import Commits
from mairust_core.receive.copying import Source, copies_of, later_of, trace_of
from mairust_core.receive.describing import LazyDescription, describe_safely, keep_facts_safely
from mairust_core.receive.directory import Directory
from mairust_core.receive.health import Health
from mairust_core.receive.plan import Answers, Group, Plan, plan
from mairust_core.receive.refusals import Refusals
from mairust_core.receive.trace_headers import trace_headers

if TYPE_CHECKING:
    from mairust_core.app import Site
    from mairust_core.blobs import BlobStore
    from mairust_core.ids import IdSource

INLINE_BYTES = 256 << 10
"""Larger mail is described on a thread, so that the loop is never held for milliseconds."""
TRY_AGAIN = MaiRustError.reply
MAX_HOPS = 100
LOOPING = Reply(554, "5.4.6", "Too many hops, this mail is looping")
TOO_MANY_FORGED = Reply(554, "5.6.0", "Too many Return-Path or Authentication-Results fields")

log = logging.getLogger("mairust.receive")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the road is made of."""

    blobs: BlobStore
    committer: Commits
    directory: Directory
    health: Health
    refusals: Refusals
    hooks: Chain
    ids: IdSource
    hostname: str
    authserv_id: str
    ring: Callable[[], None]
    """Tells those who run the jobs of hooks that there are some."""
    strict_lines: bool
    """Whether the listeners refuse bare CR and LF (rule B3)."""


@dataclass(slots=True)
class _Done:
    """What a commit came to: the messages, by account, and whether what was asked is written with them."""

    stored: dict[int, Id] = field(default_factory=dict)
    written: bool = False


def open_road(
    site: Site,
    health: Health | None = None,
    refusals: Refusals | None = None,
    hooks: Chain | None = None,
    committer: Commits | None = None,
) -> MailRoad:
    """The road of an open site, without hooks unless they are given; belongs to one event loop."""
    node = site.settings.node
    parts = Parts(
        blobs=site.blobs,
        committer=committer or site.committer,
        directory=Directory(site.storage),
        health=health or Health(site.blobs.free_bytes, lambda: None),
        refusals=refusals or Refusals(site.storage, site.ids),
        hooks=hooks or NoHooks(),
        ids=site.ids,
        hostname=node.hostname,
        authserv_id=node.authserv_id,
        ring=site.hook_bell.set,
        strict_lines=site.settings.smtp.bare_newlines == "reject",
    )
    return MailRoad(parts, site.settings.smtp.max_size)


class MailRoad:
    """The `Receiver` of one node."""

    def __init__(self, parts: Parts, max_size_bytes: int) -> None:
        self.max_size_bytes = max_size_bytes
        self._parts = parts
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="describe")
        self._under_way = 0

    async def recipient(self, address: str, connection: Connection) -> Recipient | Reply:
        """The accounts behind one RCPT TO, or the reply that refuses it."""
        found = await self._parts.directory.find(address)
        if isinstance(found, Reply) and found == StorageDown.reply:
            self._parts.health.database_failed()
        return found

    async def poll(self) -> None:
        """Notice administrative changes; to be called at least once a second."""
        await self._parts.directory.poll()
        await self._parts.hooks.poll()

    def ready(self) -> Reply | None:
        """None when a mail may come (rule J3)."""
        return self._parts.health.refusal()

    def collect(self) -> Collector:
        """A collector for one mail; raises `TooMany`."""
        return self._parts.blobs.collector()

    async def receive(self, envelope: Envelope, content: Content) -> list[Reply]:
        """Store the mail, then say so; the replies of `Receiver.receive`."""
        self._under_way += 1
        try:
            if self._under_way == 1:  # beside others it would be woken for nothing, again and again
                self._parts.committer.expect()
            return await self._receive(envelope, content)
        except Exception:
            log.exception("mail from <%s> could not be processed", envelope.mail_from)
            return [TRY_AGAIN] * len(_groups(envelope))
        finally:
            self._under_way -= 1
            content.close()

    async def _receive(self, envelope: Envelope, content: Content) -> list[Reply]:
        strict = self._parts.strict_lines and envelope.connection.road is not Road.DELIVER
        description = await self._describe(content, strict)
        groups = _groups(envelope)
        if description.received_count > MAX_HOPS:
            return [LOOPING] * len(groups)
        hidden = await self._hidden(content, over_smtp=envelope.connection.road is not Road.DELIVER)
        if len(hidden) > MAX_HIDDEN:
            self._parts.refusals.add(envelope, "", TOO_MANY_FORGED)
            return [TOO_MANY_FORGED] * len(groups)
        source = Source.of(self._parts.ids.next(), envelope, content, description, hidden)
        told = await self._parts.hooks.ask(source.asked())
        done = _Done()
        try:
            planned = plan(groups, told.verdicts)
            if planned.stored:
                delivery = self._prepare(source, planned, told)
                replies = await self._commit(Answers(groups, planned), source, delivery, done)
            else:
                replies = [refusal or TRY_AGAIN for refusal in planned.refusals]
                self._parts.refusals.add_whole(trace_of(source, told), source, replies[0])
        finally:  # whatever becomes of the mail, plugins have seen it
            self._parts.hooks.follow(told, source.trace_id, done.stored, written=done.written)
        crash_point("reply.before")
        return replies

    async def _describe(self, content: Content, crlf_proved: bool) -> Description:
        if content.size_bytes > INLINE_BYTES:
            loop = asyncio.get_running_loop()
            facts = await loop.run_in_executor(self._threads, describe_safely, content, crlf_proved)
            return WholeDescription(facts)
        return LazyDescription(content) if crlf_proved else WholeDescription(describe_safely(content))

    async def _hidden(self, content: Content, *, over_smtp: bool) -> Ranges:
        authserv_id = self._parts.authserv_id
        if content.size_bytes > INLINE_BYTES:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(
                self._threads, lambda: hidden_ranges(content.view(), authserv_id, over_smtp)
            )
        return hidden_ranges(content.view(), authserv_id, over_smtp)

    def _prepare(self, source: Source, planned: Plan, told: Told) -> Delivery:
        ids, envelope = self._parts.ids, source.envelope
        added = trace_headers(envelope, hostname=self._parts.hostname, message_id=str(int(source.trace_id)))
        copies = copies_of(source, added, planned, ids)
        description, snippet = source.description, _snippet(told)
        left = told.has_asked and description.facts_left  # the loop had enough to do with it
        once = envelope.connection.road is Road.DELIVER
        return Delivery(
            tenant_id=envelope.recipients[0].tenant_id,
            content=source.content,
            kept=None if left else keep_facts_safely(description.facts, source.content),
            facts_left=left,
            snippet=snippet,
            copies=copies,
            received_ms=round(envelope.received_at.timestamp() * 1000),
            trace=trace_of(source, told),
            unread=None if left or snippet is not None else description.text,
            once=once,
            # a repetition is stored once (rule C4), its questions are noted each time
            calls=NO_CALLS if once else calls_of(told.steps, source.trace_id, ids),
            later=later_of(source, copies, planned, told, ids),
        )

    async def _commit(self, answers: Answers, source: Source, delivery: Delivery, done: _Done) -> list[Reply]:
        """Commit, leaving out who cannot have a copy any more, and those who share a reply with them.

        What came of it is noted in `done`.
        """
        while delivery.copies:
            outcome = await self._parts.committer.commit(delivery)
            if isinstance(outcome, Stored):
                done.stored |= zip((c.account_id for c in delivery.copies), outcome.ids, strict=True)
                done.written = bool(delivery.calls.log) and not outcome.without_calls
                if delivery.later:
                    self._parts.ring()
                return answers.stored(done.stored)
            culprit = outcome.values.get("account_id")
            if not isinstance(outcome, (NotFound, QuotaExceeded)) or not isinstance(culprit, int):
                self._note(outcome)
                return answers.fail_all(outcome.reply)
            self._parts.directory.forget(source.reached[culprit])
            answers.fail(culprit, outcome)
            wanted = answers.wanted()
            copies = tuple(copy for copy in delivery.copies if copy.account_id in wanted)
            delivery = delivery._replace(copies=copies)
        replies = answers.fail_all(TRY_AGAIN)
        assert delivery.trace
        self._parts.refusals.add_whole(delivery.trace, source, replies[0])
        return replies

    def _note(self, error: MaiRustError) -> None:
        log.warning("mail refused for now: %s", error)
        if isinstance(error, StorageDown):
            self._parts.health.database_failed()

    def refused(self, envelope: Envelope, rcpt_to: str, reply: Reply) -> None:
        """Note a refusal for the trace."""
        self._parts.refusals.add(envelope, rcpt_to, reply)

    def close(self) -> None:
        """Let the threads end."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._parts.directory.close()


def _snippet(told: Told) -> str | None:
    """The beginning of what a plugin was shown; a blank one may have been read from another text."""
    snippet = snippet_of(told.preview or "")
    return None if not snippet or snippet.isspace() else snippet


def _groups(envelope: Envelope) -> list[Group]:
    """The accounts that share a reply: all of them over SMTP, those of one recipient otherwise."""
    if envelope.connection.road is Road.SMTP:
        return [tuple(dict.fromkeys(account for one in envelope.recipients for account in one.accounts))]
    return [one.accounts for one in envelope.recipients]
