"""Queries of export: the messages of an account, mailbox by mailbox in the order of their UIDs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from mairust_core.ids import to_time
from mairust_core.model.blob import Locator
from mairust_core.model.copies import ExportedCopy
from mairust_core.model.delivery import Hidden
from mairust_core.model.flags import joined
from mairust_core.model.ids import Id
from mairust_core.model.mailbox import INBOX
from mairust_core.store.tables import AnyRow, blob, mailbox, message, placement


@dataclass(frozen=True, slots=True, kw_only=True)
class Exportable:
    """One message and where its bytes are."""

    copy: ExportedCopy
    locator: Locator
    sha256: bytes
    tenant_id: int
    trace_headers: bytes
    hidden: Hidden


def mailboxes(tx: Connection, account_id: int) -> list[tuple[int, str]]:
    """The mailboxes of an account, INBOX first, by id and name."""
    query = select(mailbox.c.id, mailbox.c.name).where(mailbox.c.account_id == account_id)
    return sorted(((row[0], row[1]) for row in tx.execute(query)), key=lambda one: (one[1] != INBOX, one[1]))


def page(
    tx: Connection, account_id: int, mailbox_id: int, after_uid: int, limit: int
) -> Sequence[Exportable]:
    """The next messages of one mailbox of an account after a UID; one statement."""
    query = (
        select(
            placement.c.uid, placement.c.flags, placement.c.keywords, placement.c.received_ms, mailbox.c.name,
            message.c.id, message.c.sha256, message.c.tenant_id, message.c.trace_headers, message.c.hidden,
            blob.c.location,
        )
        .join_from(placement, message, message.c.id == placement.c.message_id)
        .join(mailbox, mailbox.c.id == placement.c.mailbox_id)
        .join(blob, (blob.c.sha256 == message.c.sha256) & (blob.c.tenant_id == message.c.tenant_id))
        .where(placement.c.mailbox_id == mailbox_id, placement.c.uid > after_uid)
        .where(placement.c.account_id == account_id)
        .order_by(placement.c.uid)
        .limit(limit)
    )  # fmt: skip
    return [_exportable(row) for row in tx.execute(query)]


def _exportable(row: AnyRow) -> Exportable:
    return Exportable(
        copy=ExportedCopy(
            id=Id(row.id),
            mailbox=row.name,
            uid=row.uid,
            received_at=to_time(row.received_ms),
            flags=joined(row.flags, json.loads(row.keywords)),
        ),
        locator=Locator(row.location),
        sha256=row.sha256,
        tenant_id=row.tenant_id,
        trace_headers=row.trace_headers,
        hidden=tuple((start, end) for start, end in json.loads(row.hidden)),
    )
