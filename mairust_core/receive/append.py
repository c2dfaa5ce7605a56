"""Append: a message that a person or programme gives, not a mail transaction (rules B1, B2, E3)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from mairust_core.errors import MaiRustError, Refused, Temporary, TooLarge
from mairust_core.hooks.accesses import accesses_of
from mairust_core.hooks.call_log import calls_of
from mairust_core.hooks.log import Noted, line, note
from mairust_core.hooks.opinions import together
from mairust_core.hooks.steps import Step
from mairust_core.ids import now_ms, to_ms, to_time
from mairust_core.model.blob import Content
from mairust_core.model.content import Facts, WholeDescription
from mairust_core.model.delivery import Copy, Delivery, Stored
from mairust_core.model.envelope import Connection, Envelope, Recipient, Road
from mairust_core.model.flags import MESSAGE_TAGS, split
from mairust_core.model.ids import Id
from mairust_core.model.message_change import Appended
from mairust_core.model.verdict import REJECTED, TEMPFAILED, Action, Effects, Verdict
from mairust_core.operations import BytesIn
from mairust_core.receive.copying import Source, copies_of, later_of, trace_of
from mairust_core.receive.describing import describe_safely, keep_facts_safely
from mairust_core.receive.plan import plan

if TYPE_CHECKING:
    from mairust_core.app import Site
    from mairust_core.model.receipt import Receipt


def append(
    site: Site, to: tuple[int, int], wanted: Appended, given: BytesIn, receipt: Receipt | None = None
) -> Id:
    """Store the bytes as they are, in a mailbox that exists; the id once they are durable.

    `to` are tenant and account. Raises `Invalid` for too many keywords, `Locked` when a request with this
    receipt came first, `TooLarge` beyond `smtp.max_size`, `TooMany`, `DiskFull`, `QuotaExceeded`,
    `StorageDown`; with hooks `Refused` and `Temporary`.
    """
    content = collect(site, given)
    try:
        facts = describe_safely(content)
        one = _One(site, to, wanted, content, facts)
        with one.noted() as stored:
            delivery = (one.asked() if wanted.asked_for else one.plain())._replace(receipt=receipt)
            outcome = site.committer.commit_many([delivery])[0]
            if isinstance(outcome, Stored):
                stored[to[1]] = outcome.ids[0]
                one.written = bool(delivery.calls.log) and not outcome.without_calls
    finally:
        content.close()
    if isinstance(outcome, MaiRustError):
        raise outcome
    if delivery.later:
        site.hook_bell.set()
    return outcome.ids[0]


class _One:
    """One message that is appended."""

    def __init__(
        self, site: Site, to: tuple[int, int], wanted: Appended, content: Content, facts: Facts | None
    ) -> None:
        self._site = site
        self._tenant_id, self._account_id = to
        self._wanted = wanted
        self._content = content
        self._facts = facts
        self._seen: tuple[Sequence[Step], Id] | None = None
        self.written = False
        """Whether what was asked is written with it."""
        self._received_ms = now_ms() if wanted.date is None else to_ms(wanted.date)

    @contextmanager
    def noted(self) -> Iterator[dict[int, Id]]:
        """Write down which plugins saw it, whatever becomes of it in the block, which tells its id."""
        stored: dict[int, Id] = {}
        try:
            yield stored
        finally:
            if self._seen and not self.written:
                steps, trace_id = self._seen
                lines = [line(step, trace_id, None) for step in steps]
                accesses = [access for step in steps for access in accesses_of(step, trace_id, stored)]
                note(self._site.hook_log, Noted(lines=lines, accesses=accesses))

    def plain(self) -> Delivery:
        """It goes where it is put, and nobody is asked."""
        flags, keywords = split(self._wanted.flags)
        copy = Copy(
            id=self._site.ids.next(),
            account_id=self._account_id,
            mailbox=self._wanted.mailbox,
            size_bytes=self._facts.crlf_size_bytes if self._facts else self._content.size_bytes,
            flags=flags,
            keywords=keywords,
            tags=self._wanted.tags,
        )
        return Delivery(
            tenant_id=self._tenant_id,
            content=self._content,
            kept=keep_facts_safely(self._facts, self._content),
            copies=(copy,),
            received_ms=self._received_ms,
        )

    def asked(self) -> Delivery:
        """It goes where hooks let it go (rule E3); raises `Refused`, `Temporary`."""
        source = self._source()
        told = self._site.ask_hooks(source.asked())
        self._seen = told.steps, source.trace_id
        verdict = told.verdicts[self._account_id]
        if verdict.action is Action.REJECT:
            raise Refused("hook", why=verdict.reason or verdict.reply or REJECTED)
        if verdict.action is Action.TEMPFAIL:
            raise Temporary("hook_later", why=verdict.reason or verdict.reply or TEMPFAILED)
        planned = plan([(self._account_id,)], self._with_own(verdict))
        copies = copies_of(source, b"", planned, self._site.ids)
        return self.plain()._replace(
            copies=copies,
            trace=trace_of(source, told),
            calls=calls_of(told.steps, source.trace_id, self._site.ids),
            later=later_of(source, copies, planned, told, self._site.ids),
        )

    def _with_own(self, verdict: Verdict) -> dict[int, Verdict]:
        """What hooks said, and what the caller wants besides."""
        wanted = self._wanted
        own = Effects(tags=wanted.tags, flags=wanted.flags)
        effects, _ = together(own, verdict.effects, MESSAGE_TAGS)
        placed = replace(effects, move_to=verdict.effects.move_to or wanted.mailbox)
        return {self._account_id: replace(verdict, effects=placed)}

    def _source(self) -> Source:
        facts, address = self._facts, self._wanted.asked_for
        sender = next((one.address for one in facts.from_), "") if facts else ""
        envelope = Envelope(
            mail_from=sender,
            recipients=(Recipient(address=address, accounts=(self._account_id,)),),
            connection=Connection(road=Road.APPEND),
            received_at=to_time(self._received_ms),
        )
        return Source.of(self._site.ids.next(), envelope, self._content, WholeDescription(facts))


def collect(site: Site, given: BytesIn) -> Content:
    """All bytes of a stream as content; raises `TooLarge` as soon as they are too many."""
    limit_bytes = site.settings.smtp.max_size
    if given.size_bytes is not None and given.size_bytes > limit_bytes:
        raise TooLarge("message", limit=limit_bytes)
    collector = site.blobs.collector()
    try:
        size_bytes = 0
        for chunk in given.chunks:
            size_bytes += len(chunk)
            if size_bytes > limit_bytes:
                raise TooLarge("message", limit=limit_bytes)
            collector.write(chunk)
        return collector.finish()
    finally:
        collector.discard()
