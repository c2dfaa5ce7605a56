"""Process numbers: the part of an id that no two processes share (rule A4)."""

from __future__ import annotations

import os
import socket

from sqlalchemy import insert, select, update

from mairust_core.errors import TooMany
from mairust_core.ids import PROCESSES, IdSource, now_ms
from mairust_core.store import StorageBackend
from mairust_core.store.tables import process_number

LEASE_MS = 3_600_000
"""A number not returned is free again after this time; its holder renews it every few minutes."""


def lease(storage: StorageBackend) -> IdSource:
    """An id source under a number nobody else holds; raises `TooMany` when all are in use."""
    with storage.write() as tx:
        now = now_ms()
        rows = tx.execute(
            select(process_number).order_by(process_number.c.number).with_for_update()
        ).all()  # fmt: skip
        for row in rows:
            returned = row.leased_ms is None and row.last_ms < now
            if returned or (row.leased_ms is not None and row.leased_ms < now - LEASE_MS):
                tx.execute(
                    update(process_number)
                    .where(process_number.c.number == row.number)
                    .values(leased_ms=now, holder=_holder())
                )
                return IdSource(row.number, row.last_ms)
        number = len(rows)
        if number >= PROCESSES:
            raise TooMany("processes", limit=PROCESSES)
        tx.execute(insert(process_number).values(number=number, last_ms=0, leased_ms=now, holder=_holder()))
        return IdSource(number)


def renew(storage: StorageBackend, source: IdSource) -> None:
    """Keep the number; to be called well within an hour."""
    with storage.write() as tx:
        tx.execute(
            update(process_number)
            .where(process_number.c.number == source.process)
            .values(leased_ms=now_ms(), last_ms=source.last_ms)
        )


def give_back(storage: StorageBackend, source: IdSource) -> None:
    """Return the number with the last millisecond used."""
    with storage.write() as tx:
        tx.execute(
            update(process_number)
            .where(process_number.c.number == source.process)
            .values(leased_ms=None, last_ms=source.last_ms)
        )


def _holder() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"
