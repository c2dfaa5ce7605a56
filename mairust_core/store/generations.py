"""The generation: a number that every administrative change raises, so that caches know (rule D3)."""

from __future__ import annotations

from sqlalchemy import Connection, select, update

from mairust_core.store.tables import generation


def current(tx: Connection) -> int:
    """The number of administrative changes so far."""
    return int(tx.execute(select(generation.c.value)).scalar_one())


def advance(tx: Connection) -> None:
    """Tell every process that what it cached may have changed; in force when the transaction commits."""
    tx.execute(update(generation).values(value=generation.c.value + 1))
