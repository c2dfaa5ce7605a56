"""Process numbers: the part of an id that no two processes share (rule A4)."""

from __future__ import annotations

import logging
import os
import secrets
import socket
from collections.abc import Callable

from sqlalchemy import ColumnElement, Connection, insert, select, update

from mairust_core.errors import TooMany
from mairust_core.ids import PROCESSES, IdSource, now_ms
from mairust_core.store import StorageBackend
from mairust_core.store.tables import process_number

LEASE_MS = 3_600_000
"""A number not returned is free again after this time; its holder renews it every few minutes."""

_BOOT = secrets.token_hex(4)  # process ids come again, and are the same in every container
log = logging.getLogger("mairust.store")


def lease(storage: StorageBackend, clock: Callable[[], int] = now_ms) -> IdSource:
    """An id source under a number nobody else holds; raises `TooMany` when all are in use."""
    with storage.write() as tx:
        storage.serialise(tx, "process_number")
        now = clock()
        rows = tx.execute(select(process_number).order_by(process_number.c.number)).all()
        for row in rows:
            if _is_free(row.leased_ms, row.last_ms, now):
                tx.execute(
                    update(process_number)
                    .where(process_number.c.number == row.number)
                    .values(leased_ms=now, holder=holder())
                )
                return IdSource(row.number, row.last_ms, clock)
        return IdSource(_add(tx, len(rows), now), clock=clock)


def _is_free(leased_ms: int | None, last_ms: int, now: int) -> bool:
    if leased_ms is None:
        return last_ms < now
    return leased_ms < now - LEASE_MS and last_ms < now


def _add(tx: Connection, number: int, now: int) -> int:
    if number >= PROCESSES:
        raise TooMany("processes", limit=PROCESSES)
    tx.execute(insert(process_number).values(number=number, last_ms=0, leased_ms=now, holder=holder()))
    return number


def renew(storage: StorageBackend, source: IdSource) -> None:
    """Keep the number; to be called well within an hour.

    A process that slept so long that its number went to another one gets a new number.
    """
    with storage.write() as tx:
        kept = tx.execute(
            update(process_number)
            .where(_held_by_us(source))
            .values(leased_ms=source.clock(), last_ms=source.last_ms)
        ).rowcount
    if not kept:
        log.warning("process number %d was given to another process, taking a new one", source.process)
        fresh = lease(storage, source.clock)
        source.move(fresh.process, fresh.last_ms)


def give_back(storage: StorageBackend, source: IdSource) -> None:
    """Return the number with the last millisecond used; harmless when another process holds it by now."""
    with storage.write() as tx:
        tx.execute(
            update(process_number)
            .where(_held_by_us(source))
            .values(leased_ms=None, last_ms=source.last_ms)
        )  # fmt: skip


def _held_by_us(source: IdSource) -> ColumnElement[bool]:
    return (process_number.c.number == source.process) & (process_number.c.holder == holder())


def holder(pid: int | None = None) -> str:
    """What this process is called, or one that it has forked, as no other ever was on any node."""
    return f"{socket.gethostname()}:{pid or os.getpid()}:{_BOOT}"
