"""Queries on failed log-ins: one row for each subject, shared by every process and node (trap A4).

A row holds when all failures of the subject are forgiven; each one puts that moment further away.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, select, text

from mairust_core.model.principal import DEFAULT_TENANT
from mairust_core.store.tables import auth_failure

_RECORD = (
    "INSERT INTO auth_failure (tenant_id, subject, until_ms) VALUES (:tenant_id, :subject, :first_ms)"
    " ON CONFLICT (tenant_id, subject) DO UPDATE SET until_ms = CASE"
    " WHEN auth_failure.until_ms <= :now_ms THEN :first_ms"
    " WHEN auth_failure.until_ms + :each_ms > :most_ms THEN :most_ms"
    " ELSE auth_failure.until_ms + :each_ms END"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Weight:
    """How long one failure of a subject counts, and all of them together at most."""

    subject: str
    each_ms: int
    most_ms: int


def until(tx: Connection, subjects: Sequence[str]) -> Mapping[str, int]:
    """When the failures of these subjects are forgiven, those without any left out."""
    query = select(auth_failure.c.subject, auth_failure.c.until_ms).where(
        auth_failure.c.tenant_id == DEFAULT_TENANT, auth_failure.c.subject.in_(subjects)
    )
    return {row[0]: row[1] for row in tx.execute(query)}


def record(tx: Connection, weights: Sequence[Weight], now_ms: int) -> None:
    """Count one failure of each subject."""
    for weight in sorted(weights, key=lambda one: one.subject):  # one order of locks for everybody
        tx.execute(
            text(_RECORD),
            {
                "tenant_id": DEFAULT_TENANT,
                "subject": weight.subject,
                "now_ms": now_ms,
                "first_ms": now_ms + weight.each_ms,
                "each_ms": weight.each_ms,
                "most_ms": now_ms + weight.most_ms,
            },
        )


def expire(tx: Connection, now_ms: int, limit: int) -> int:
    """Delete rows whose failures are forgiven; how many."""
    some = select(auth_failure.c.tenant_id, auth_failure.c.subject).where(auth_failure.c.until_ms <= now_ms)
    found = list(tx.execute(some.limit(limit)))
    for tenant_id, subject in found:
        tx.execute(
            delete(auth_failure).where(
                auth_failure.c.tenant_id == tenant_id,
                auth_failure.c.subject == subject,
                auth_failure.c.until_ms <= now_ms,
            )
        )
    return len(found)
