"""Queries of collection: what nobody needs any more, found without locks, deleted under them (rule C2).

Every function that deletes is one small step; the caller makes it a transaction and comes again (rule D2).
A blob's row is locked before anything about it is decided, by ingest as by collection, so that the two
meet there and nowhere else (trap D2).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Table, Tuple, delete, exists, select, tuple_, update

from mairust_core.model.blob import Locator
from mairust_core.store import StorageBackend
from mairust_core.store.tables import (
    AnySelect,
    account,
    address,
    blob,
    content,
    import_ledger,
    mailbox,
    message,
    pipe_delivery,
    placement,
    subscription,
    thread_key,
    token,
    tombstone,
    trash,
)

Key = tuple[bytes, int]
"""SHA-256 and tenant: a blob or its content."""

FIRST: Key = (b"", 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a blob lies; `live` is False once it is condemned."""

    key: Key
    location: Locator
    live: bool


def removed_accounts(tx: Connection) -> list[int]:
    """Accounts that were removed and still have rows."""
    return list(tx.execute(select(account.c.id).where(account.c.removed_ms.is_not(None))).scalars())


def purge_messages(tx: Connection, account_id: int, limit: int) -> int:
    """Delete messages of a removed account with their placements, those in the trash too; how many."""
    some = select(message.c.id).where(message.c.account_id == account_id).limit(limit)
    ids = list(tx.execute(some).scalars())
    if ids:
        for place in (placement, trash):
            tx.execute(delete(place).where(place.c.message_id.in_(ids)))
        tx.execute(delete(message).where(message.c.id.in_(ids)))
    return len(ids)


def purge_keys(tx: Connection, account_id: int, limit: int) -> int:
    """Delete thread keys, tombstones and memories of pipe and imports of a removed account; how many."""
    gone = 0
    for table in (thread_key, pipe_delivery, tombstone, import_ledger, subscription):
        columns = list(table.primary_key.columns)
        some = select(*columns).where(table.c.account_id == account_id).limit(limit)
        found = [tuple(row) for row in tx.execute(some)]
        if found:
            tx.execute(delete(table).where(tuple_(*columns).in_(found)))
        gone += len(found)
    return gone


def purge_account(tx: Connection, account_id: int) -> None:
    """Delete what is left of a removed account without messages; nothing can be added to it meanwhile."""
    tx.execute(select(account.c.id).where(account.c.id == account_id).with_for_update())
    for table in (mailbox, token, address):
        tx.execute(delete(table).where(table.c.account_id == account_id))
    tx.execute(delete(account).where(account.c.id == account_id))


def unreferenced(tx: Connection, after: Key, limit: int) -> tuple[list[Key], Key | None]:
    """Contents without a message among the next `limit`, and where to go on; None at the end."""
    used = exists().where(message.c.sha256 == content.c.sha256, message.c.tenant_id == content.c.tenant_id)
    query = select(content.c.sha256, content.c.tenant_id, used)
    rows = tx.execute(_window(query, content, after, limit)).all()
    end = (rows[-1][0], rows[-1][1]) if len(rows) == limit else None
    return [(row[0], row[1]) for row in rows if not row[2]], end


def condemn(tx: Connection, keys: Sequence[Key], now_ms: int) -> int:
    """Delete those contents no message refers to, and mark their blobs; how many."""
    _lock(tx, keys)
    used = exists().where(message.c.sha256 == content.c.sha256, message.c.tenant_id == content.c.tenant_id)
    query = select(content.c.sha256, content.c.tenant_id).where(_key(content).in_(keys), ~used)
    free = [(row[0], row[1]) for row in tx.execute(query)]
    if free:
        tx.execute(delete(content).where(_key(content).in_(free)))
        tx.execute(update(blob).where(_key(blob).in_(free)).values(condemned_ms=now_ms))
    return len(free)


def condemned(tx: Connection, before_ms: int, limit: int) -> list[Key]:
    """Blobs condemned before a moment."""
    query = select(blob.c.sha256, blob.c.tenant_id).where(blob.c.condemned_ms < before_ms).limit(limit)
    return [(row[0], row[1]) for row in tx.execute(query)]


def delete_condemned(tx: Connection, keys: Sequence[Key], before_ms: int) -> list[Locator]:
    """Delete those rows that are still condemned since then; where their bytes lie."""
    _lock(tx, keys)
    query = (
        delete(blob)
        .where(_key(blob).in_(keys), blob.c.condemned_ms < before_ms)
        .returning(blob.c.location)
    )  # fmt: skip
    return [Locator(location) for location in tx.execute(query).scalars()]


def expire(tx: Connection, table: Table, before_ms: int, limit: int) -> int:
    """Delete the oldest rows of a log table from before a moment; how many."""
    columns = list(table.primary_key.columns)
    some = select(*columns).where(table.c.at_ms < before_ms).order_by(table.c.at_ms).limit(limit)
    rows = [tuple(row) for row in tx.execute(some)]
    if rows:
        tx.execute(delete(table).where(tuple_(*columns).in_(rows)))
    return len(rows)


def places(tx: Connection, after: Key, limit: int) -> tuple[list[Place], Key | None]:
    """The next `limit` blobs, and where to go on; None at the end."""
    rows = tx.execute(_window(select(blob), blob, after, limit)).all()
    found = [
        Place(key=(row.sha256, row.tenant_id), location=Locator(row.location), live=row.condemned_ms is None)
        for row in rows
    ]
    return found, found[-1].key if len(found) == limit else None


def living(tx: Connection, hashes: Sequence[bytes]) -> list[Place]:
    """The blobs with these hashes that are not condemned, of every tenant."""
    query = select(blob.c.sha256, blob.c.tenant_id, blob.c.location).where(
        blob.c.sha256.in_(hashes), blob.c.condemned_ms.is_(None)
    )
    return [Place(key=(row[0], row[1]), location=Locator(row[2]), live=True) for row in tx.execute(query)]


def relocate(storage: StorageBackend, tx: Connection, moved: Iterable[tuple[Place, Locator]]) -> None:
    """Point blobs to their copies, except where the row changed meanwhile."""
    rows = sorted((place.key, new, place.location) for place, new in moved)
    storage.execute_many(
        tx,
        "UPDATE blob SET location = ? WHERE sha256 = ? AND tenant_id = ? AND location = ?",
        [(new, *key, old) for key, new, old in rows],
    )


def location_of(tx: Connection, key: Key) -> Locator | None:
    """Where a blob lies now; None when it is gone."""
    found = tx.execute(select(blob.c.location).where(_key(blob) == key)).scalar_one_or_none()
    return None if found is None else Locator(found)


def locations(storage: StorageBackend, tx: Connection, hashes: Sequence[bytes]) -> dict[bytes, Locator]:
    """Where the blobs with these hashes lie, of whichever tenant; one statement."""
    marks = ", ".join("?" * len(hashes))
    sql = f"SELECT sha256, location FROM blob WHERE sha256 IN ({marks})"  # noqa: S608 - only marks
    return dict(storage.fetch_all(tx, sql, hashes))


def _key(table: Table) -> Tuple:
    return tuple_(table.c.sha256, table.c.tenant_id)


def _window(query: AnySelect, table: Table, after: Key, limit: int) -> Any:
    return query.where(_key(table) > after).order_by(table.c.sha256, table.c.tenant_id).limit(limit)


def _lock(tx: Connection, keys: Sequence[Key]) -> None:
    """Lock these blobs in the order in which ingest does."""
    query = select(blob.c.sha256).where(_key(blob).in_(keys)).order_by(blob.c.sha256, blob.c.tenant_id)
    tx.execute(query.with_for_update())
