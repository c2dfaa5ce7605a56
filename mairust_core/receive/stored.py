"""Stored messages as hooks are asked about them: by jobs after storing, and in trials."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mairust_core.errors import NotFound
from mairust_core.hooks import Asked
from mairust_core.hooks.book import Registered
from mairust_core.hooks.effects import SYSTEM
from mairust_core.hooks.payload import Asking, Callback
from mairust_core.model.blob import Bytes
from mairust_core.model.content import WholeDescription
from mairust_core.model.envelope import Connection, Envelope, Recipient, Road
from mairust_core.model.ids import Id
from mairust_core.model.message import Summary
from mairust_core.receive.describing import describe_safely
from mairust_core.store import messages, traces
from mairust_core.store.messages import Source
from mairust_core.store.tables import AnyRow

if TYPE_CHECKING:
    from mairust_core.app import Site


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """What a `post_receive` hook is told of one copy; `metadata` is everybody's, by whole names."""

    id: Id
    addresses: Sequence[str]
    mail_from: str
    connection: Connection
    tags: Sequence[str]
    metadata: Mapping[str, Any]

    def asking(self, registered: Registered, name: str, attempt: int, callback: Callback | None) -> Asking:
        """The question, `name` being its delivery id; the plugin sees of the metadata its own (rule F1)."""
        prefix = f"plugin:{registered.plugin.id}:"
        own = {key: value for key, value in self.metadata.items() if key.startswith(prefix)}
        return Asking(
            hook=registered.hook.type,
            delivery_id=name,
            plugin=registered.plugin.id,
            attempt=attempt,
            recipient=self.addresses[0],
            mail_from=self.mail_from,
            rcpt_to=self.addresses,
            connection=self.connection,
            tags=self.tags,
            metadata={key.removeprefix(prefix): value for key, value in own.items()},
            message_id=str(int(self.id)),
            callback=callback,
        )


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

    def copy(self) -> Copy:
        """The copy as a hook is asked about it."""
        return Copy(
            id=self.summary.id,
            addresses=self.addresses,
            mail_from=self.mail_from,
            connection=self.connection(),
            tags=self.summary.tags,
            metadata=self.source.metadata,
        )


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
        delivery=str(int(mail)),
        envelope=Envelope(
            mail_from=stored.mail_from,
            recipients=tuple(recipients),
            connection=stored.connection(),
            received_at=stored.summary.received_at,
        ),
        content=content,
        description=WholeDescription(describe_safely(content)),
        reached={account_id: list(stored.addresses)},
        hidden=stored.source.hidden,
        attempt=attempt,
        trace_id=stored.trace_id,
    )
