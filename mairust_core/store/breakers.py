"""Queries on breakers: one row for each hook that failed of late, one for each mail that made one fail.

A hook without a row is closed. Every process counts into the same row and reads it again within a second.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from mairust_core.model.breaker import (
    CLOSED,
    OPEN_MS,
    POISON_MS,
    Breaker,
    BreakerState,
    after_failed_probe,
    after_failure,
)
from mairust_core.model.principal import DEFAULT_TENANT
from mairust_core.store import StorageBackend
from mairust_core.store.facts import cleaned
from mairust_core.store.tables import AnyRow, hook_breaker, hook_poison
from mairust_core.store.tables import hook as hooks

MAX_POISON = 1000
"""Mails remembered for one hook."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failures:
    """What is known of all hooks: breakers by hook, poison as pairs of hook and hash of the mail."""

    breakers: dict[str, Breaker]
    poison: frozenset[tuple[str, str]]


def load(storage: StorageBackend, tx: Connection) -> Failures:
    """Everything; two statements."""
    since_ms = storage.now_ms(tx) - POISON_MS
    found = {row.hook: _model(row) for row in tx.execute(select(hook_breaker))}
    poison = tx.execute(
        select(hook_poison.c.hook, hook_poison.c.sha256).where(hook_poison.c.at_ms >= since_ms)
    )
    return Failures(breakers=found, poison=frozenset((row.hook, row.sha256.hex()) for row in poison))


def fail(
    storage: StorageBackend, tx: Connection, hook: str, mail: str, why: str, threshold: int
) -> tuple[Breaker, bool]:
    """Count a failure; the breaker then, and whether the caller is to send the probe."""
    now_ms = storage.now_ms(tx)
    found, probe = after_failure(_locked(storage, tx, hook), mail, cleaned(why), threshold, now_ms)
    _write(tx, hook, found, now_ms)
    return found, probe


def succeed(tx: Connection, hook: str) -> None:
    """Close: the hook answered."""
    tx.execute(delete(hook_breaker).where(_of(hook)))


def open_(storage: StorageBackend, tx: Connection, hook: str) -> Breaker:
    """Open: the probe failed too."""
    now_ms = storage.now_ms(tx)
    found = after_failed_probe(_locked(storage, tx, hook), now_ms)
    _write(tx, hook, found, now_ms)
    return found


def poison(storage: StorageBackend, tx: Connection, hook: str, most: int = MAX_POISON) -> tuple[str, ...]:
    """Close: the probe was answered, so it is the mails. They are remembered; which they are."""
    now_ms = storage.now_ms(tx)
    mails = _locked(storage, tx, hook).failures
    tx.execute(
        delete(hook_poison).where(hook_poison.c.hook == hook, hook_poison.c.at_ms < now_ms - POISON_MS)
    )
    known = set(tx.execute(select(hook_poison.c.sha256).where(hook_poison.c.hook == hook)).scalars())
    new = [mail for mail in mails if bytes.fromhex(mail) not in known][: max(0, most - len(known))]
    if new:
        tx.execute(insert(hook_poison), [_poisonous(hook, mail, now_ms) for mail in new])
    succeed(tx, hook)
    return mails


def take_trial(storage: StorageBackend, tx: Connection, hook: str, seen: Breaker) -> bool:
    """Take the one call that an open breaker lets through after its time; False when somebody else did."""
    taken = tx.execute(
        update(hook_breaker)
        .where(_of(hook), hook_breaker.c.open_until_ms == seen.open_until_ms)
        .values(open_until_ms=storage.now_ms(tx) + OPEN_MS)
    )
    return taken.rowcount > 0


def reset(tx: Connection, hooks: Iterable[str]) -> None:
    """Close breakers and forget what made these hooks fail."""
    names = list(hooks)
    for table in (hook_breaker, hook_poison):
        mine = table.c.tenant_id == DEFAULT_TENANT
        tx.execute(delete(table).where(mine, table.c.hook.in_(names)))


def sweep(tx: Connection, limit: int) -> int:
    """Forget failures of hooks that are no more: of calls that were under way when they were removed."""
    found = 0
    for table in (hook_breaker, hook_poison):
        there = select(hooks.c.name).where(
            hooks.c.tenant_id == table.c.tenant_id, hooks.c.removed_ms.is_(None)
        )
        gone = select(table.c.hook).where(table.c.hook.not_in(there)).limit(limit)
        found += tx.execute(delete(table).where(table.c.hook.in_(gone.distinct()))).rowcount
    return found


def states(tx: Connection, hooks: Sequence[str]) -> dict[str, Breaker]:
    """The breakers of these hooks, those that are not closed and clean."""
    return {
        row.hook: _model(row)
        for row in tx.execute(select(hook_breaker).where(hook_breaker.c.hook.in_(hooks)))
    }


def _locked(storage: StorageBackend, tx: Connection, hook: str) -> Breaker:
    row = tx.execute(select(hook_breaker).where(_of(hook)).with_for_update()).first()
    if row is None:
        storage.serialise(tx, f"breaker {hook}")  # two processes may see the first failure at once
        row = tx.execute(select(hook_breaker).where(_of(hook))).first()
    return CLOSED if row is None else _model(row)


def _write(tx: Connection, hook: str, found: Breaker, now_ms: int) -> None:
    values = {
        "failures": json.dumps(found.failures),
        "open_until_ms": found.open_until_ms,
        "probing_until_ms": found.probing_until_ms,
        "last_error": found.last_error,
        "at_ms": now_ms,
    }
    if not tx.execute(update(hook_breaker).where(_of(hook)).values(values)).rowcount:
        tx.execute(insert(hook_breaker).values(hook=hook, tenant_id=DEFAULT_TENANT, **values))


def _of(hook: str) -> Any:
    return (hook_breaker.c.hook == hook) & (hook_breaker.c.tenant_id == DEFAULT_TENANT)


def _poisonous(hook: str, mail: str, now_ms: int) -> dict[str, Any]:
    return {"hook": hook, "sha256": bytes.fromhex(mail), "tenant_id": DEFAULT_TENANT, "at_ms": now_ms}


def _model(row: AnyRow) -> Breaker:
    return Breaker(
        failures=tuple(json.loads(row.failures)),
        open_until_ms=row.open_until_ms,
        probing_until_ms=row.probing_until_ms,
        last_error=row.last_error,
    )


def not_closed(storage: StorageBackend, tx: Connection) -> dict[str, Breaker]:
    """The hooks that are left alone now, by name; one statement, two with the clock's.

    A row may outlive its hook: a call that was under way when the hook was removed fails after that.
    """
    there = (hooks.c.tenant_id == hook_breaker.c.tenant_id) & (hooks.c.name == hook_breaker.c.hook)
    opened = (
        select(hook_breaker)
        .join(hooks, there)
        .where(hook_breaker.c.open_until_ms.is_not(None), hooks.c.removed_ms.is_(None))
        .order_by(hooks.c.name)
    )
    now_ms = storage.now_ms(tx)
    found = {row.hook: _model(row) for row in tx.execute(opened)}
    return {name: one for name, one in found.items() if one.state(now_ms) is not BreakerState.CLOSED}
