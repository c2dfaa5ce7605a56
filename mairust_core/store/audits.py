"""The audit: who changed what, written in the transaction of the change."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, func, insert, select

from mairust_core.errors import Invalid
from mairust_core.ids import now_ms, to_time
from mairust_core.model.address import Address, fold_domain
from mairust_core.model.audit import Entry, EntryDetails
from mairust_core.model.forms import values_of
from mairust_core.model.ids import Id
from mairust_core.model.principal import Principal
from mairust_core.store.facts import to_json
from mairust_core.store.tables import AnyRow, audit


def record(
    tx: Connection,
    entry_id: Id,
    by: Principal,
    operation: str,
    subject: str,
    details: EntryDetails | None = None,
) -> None:
    """Add one entry; `subject` is a name, address or id, never a secret, and no secret is in `details`."""
    tx.execute(
        insert(audit).values(
            id=entry_id,
            tenant_id=by.tenant_id,
            at_ms=now_ms(),
            actor=by.name,
            operation=operation,
            subject=subject,
            details=None if details is None else to_json(values_of(details)),
        )
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sought:
    """Which entries a list shows: every word given must fit."""

    since_ms: int
    actor: str = ""
    operation: str = ""
    subject: str = ""


def page(tx: Connection, by: Principal, sought: Sought, before: int, limit: int) -> list[Entry]:
    """Entries newest first, those before `before` (0: from the newest on)."""
    query = select(audit).where(audit.c.tenant_id == by.tenant_id, audit.c.at_ms >= sought.since_ms)
    if before:
        query = query.where(audit.c.id < before)
    if sought.actor:
        query = query.where(audit.c.actor == sought.actor)
    if sought.subject:
        query = query.where(_about(sought.subject))
    if "." in sought.operation:
        query = query.where(audit.c.operation == sought.operation)
    elif sought.operation:
        query = query.where(audit.c.operation.startswith(f"{sought.operation}.", autoescape=True))
    return [_model(row) for row in tx.execute(query.order_by(audit.c.id.desc()).limit(limit))]


def _about(subject: str) -> ColumnElement[bool]:
    """Entries on a subject; addresses and domains meet in any spelling."""
    with suppress(Invalid):
        if "@" in subject:
            return func.lower(audit.c.subject).in_({subject.lower(), Address.parse(subject).folded})
        return audit.c.subject.in_({subject, fold_domain(subject)})
    return audit.c.subject == subject


def _model(row: AnyRow) -> Entry:
    return Entry(
        id=Id(row.id),
        at=to_time(row.at_ms),
        actor=row.actor,
        operation=row.operation,
        subject=row.subject,
        details=None if row.details is None else EntryDetails(**json.loads(row.details)),
    )
