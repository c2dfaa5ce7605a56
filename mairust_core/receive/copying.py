"""From what was decided about a mail to the copies that are stored, and to what is done about them later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mairust_core.hooks import Asked, Told
from mairust_core.ids import IdSource
from mairust_core.mime import rendered_size
from mairust_core.model.blob import Content
from mairust_core.model.content import Description
from mairust_core.model.delivery import Copy, Hidden, Later, Trace
from mairust_core.model.envelope import Envelope
from mairust_core.model.flags import split
from mairust_core.model.ids import Id
from mairust_core.model.job import NewJob
from mairust_core.model.mailbox import QUARANTINE
from mairust_core.model.verdict import TEMPFAILED
from mairust_core.receive.plan import Placing, Plan

DELIVERY, HOOK = "delivery", "hook"
"""The kinds of jobs: to decide again about a copy that waits, and to ask one `post_receive` hook."""
RETRY_AFTER_S = (30.0, 120.0, 600.0)
FIRST_MS = round(RETRY_AFTER_S[0] * 1000)
WAITS = "waits for delivery: "
"""What the reason in Quarantine begins with while a delivery job has the copy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One mail on its way in; `reached` are its accounts, each with the addresses that lead there (E1)."""

    trace_id: Id
    envelope: Envelope
    content: Content
    description: Description
    hidden: Hidden
    reached: Mapping[int, Sequence[str]]

    @classmethod
    def of(
        cls,
        trace_id: Id,
        envelope: Envelope,
        content: Content,
        description: Description,
        hidden: Hidden = (),
    ) -> Source:
        """The mail of an envelope."""
        reached: dict[int, list[str]] = {}
        for one in envelope.recipients:
            for account in one.accounts:
                reached.setdefault(account, []).append(one.address)
        return cls(
            trace_id=trace_id,
            envelope=envelope,
            content=content,
            description=description,
            hidden=hidden,
            reached=reached,
        )

    def asked(self) -> Asked:
        """The mail as hooks are asked about it."""
        return Asked(
            delivery=str(int(self.trace_id)),
            envelope=self.envelope,
            content=self.content,
            description=self.description,
            reached=self.reached,
            hidden=self.hidden,
            trace_id=int(self.trace_id),
        )


def copies_of(source: Source, added: bytes, planned: Plan, ids: IdSource) -> tuple[Copy, ...]:
    """One copy for each account; those that wait for a delivery job lie in Quarantine until then."""
    crlf_size_bytes = source.description.crlf_size_bytes
    size_bytes = len(added) + source.content.size_bytes
    if crlf_size_bytes is not None:
        size_bytes = rendered_size(added, crlf_size_bytes, source.hidden, source.content.view())
    addresses = source.reached
    placings = dict(planned.stored)
    for account, verdict in planned.deferred.items():
        reason = WAITS + (verdict.reason or str(verdict.reply or TEMPFAILED))
        placings[account] = Placing(mailbox=QUARANTINE, reason=reason)
    return tuple(
        Copy(
            id=ids.next(),
            account_id=account,
            size_bytes=size_bytes,
            address=addresses[account][-1],
            trace_headers=added,
            hidden=source.hidden,
            over_quota=account in planned.shared,
            **_marks(placing),
        )
        for account, placing in sorted(placings.items())
    )


def _marks(placing: Placing) -> dict[str, Any]:
    effects = placing.effects
    bits, keywords = split(effects.flags)
    reason = {"quarantine": placing.reason} if placing.reason else {}
    return {
        "mailbox": placing.mailbox,
        "flags": bits,
        "keywords": keywords,
        "tags": effects.tags,
        "metadata": {**effects.metadata, **reason},
    }


def later_of(
    source: Source, copies: Sequence[Copy], planned: Plan, told: Told, ids: IdSource
) -> tuple[Later, ...]:
    """The jobs that are made with the copies: deliveries that wait, and hooks after storing."""
    if not planned.deferred and not told.later:
        return ()
    found = []
    for copy in copies:
        about = {"addresses": source.reached[copy.account_id], "account": copy.account_id}
        if copy.account_id in planned.deferred:
            new = delivery_job(copy.id, about)
            found.append(Later(id=ids.next(), copy=copy.id, job=new, delay_ms=FIRST_MS))
        elif copy.mailbox != QUARANTINE:
            for hook in told.later.get(copy.account_id, ()):
                found.append(Later(id=ids.next(), copy=copy.id, job=hook_job(hook, copy.id, about)))
    return tuple(found)


def trace_of(source: Source, told: Told) -> Trace:
    """The story up to the commit, hooks included (rule J3)."""
    envelope, content = source.envelope, source.content
    connection = envelope.connection
    at_ms = round(envelope.received_at.timestamp() * 1000)
    return Trace(
        id=source.trace_id,
        at_ms=at_ms,
        road=connection.road.value,
        client_ip=connection.ip,
        helo=connection.helo,
        mail_from=envelope.mail_from,
        rcpt_to=tuple((one.address, one.accounts) for one in envelope.recipients),
        events=(
            {
                "at": at_ms,
                "kind": "received",
                "session": connection.session_id,
                "tls": connection.tls,
                "size": content.size_bytes,
                "sha256": content.sha256.hex(),
            },
            *told.events,
        ),
    )


def delivery_job(message_id: Id, about: dict[str, Any]) -> NewJob:
    """The job that decides again about a copy in Quarantine; it gives up by itself, and then is done."""
    return NewJob(kind=DELIVERY, subject=str(int(message_id)), payload=about, max_attempts=20)


def hook_job(hook: str, message_id: Id, about: dict[str, Any]) -> NewJob:
    """The job that asks one `post_receive` hook about one message: once, and after three pauses more."""
    payload = {**about, "hook": hook}
    return NewJob(
        kind=HOOK,
        subject=f"{hook} {int(message_id)}",
        payload=payload,
        max_attempts=1 + len(RETRY_AFTER_S),
    )
