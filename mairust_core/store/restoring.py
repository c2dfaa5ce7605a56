"""Rows of a backup into an empty site, in one transaction: all of it, or nothing (rule I2)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Table, delete, exists, func, literal, select, text

from mairust_core.ids import now_ms
from mairust_core.model.content import MAX_ID_OCTETS
from mairust_core.store import StorageBackend, sites
from mairust_core.store.portable import ACCOUNT, ACCOUNT_STATE, SITE, Portable
from mairust_core.store.tables import (
    account,
    blob,
    content,
    domain,
    index_queue,
    mailbox,
    message,
    placement,
    site,
    tenant,
    trash,
)

UIDNEXT_MORE = 1_000_000
MODSEQ_MORE = 1 << 32
"""So much further on the counters begin, beyond what the lost site gave away after the backup (rule I2)."""

Row = tuple[Any, ...]
Change = Callable[[dict[str, Any]], None]


def _raise_modseq(row: dict[str, Any]) -> None:
    row["modseq"] += MODSEQ_MORE


def _raise_uidnext(row: dict[str, Any]) -> None:
    row["uidnext"] += UIDNEXT_MORE


def _mark_restored(row: dict[str, Any]) -> None:
    row["restored_ms"] = now_ms()


def _leave_out_long_id(row: dict[str, Any]) -> None:
    """SQLite took ids that no index of PostgreSQL takes, before they were measured in octets."""
    if len(row["message_id"].encode("utf-8", "replace")) > MAX_ID_OCTETS:
        row["message_id"] = ""


CHANGED: dict[str, Change] = {
    "account": _raise_modseq,
    "mailbox": _raise_uidnext,
    "trust_key": _mark_restored,
    "trace": _leave_out_long_id,
}
"""What becomes of rows on their way into a restored site, by table."""


_KEPT = (tenant, site)
"""What a first run made stays: the site under the name that its blobs know, and whose it is."""


def is_empty(tx: Connection) -> bool:
    """Whether a site holds nothing yet that a restore would mix with: no domain, account or mail."""
    return not any(
        tx.execute(select(exists(select(table)))).scalar_one() for table in (domain, account, message, blob)
    )


def prepare(storage: StorageBackend, tx: Connection) -> None:
    """Make room: what a first run left in an empty site goes; and a slow repository may take its time."""
    if storage.name == "postgresql":
        tx.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
    for one in reversed((*SITE, *ACCOUNT_STATE, *ACCOUNT)):
        if one.table not in _KEPT:
            tx.execute(delete(one.table))


def insert(storage: StorageBackend, tx: Connection, one: Portable, rows: Iterable[Row]) -> int:
    """Insert rows of a table as they are to be in a restored site; how many."""
    change = CHANGED.get(one.name)
    found = list(rows)
    if one.table is site:
        return _take_over_site(tx, one, found)
    if one.table is tenant:
        found = _new_tenants(tx, one, found)
    if change is not None:
        found = [_changed(one, row, change) for row in found]
    storage.insert_rows(tx, one.table, found)
    return len(found)


def _take_over_site(tx: Connection, one: Portable, rows: Sequence[Row]) -> int:
    """Give out no UIDVALIDITY again (rule A2); a restored site has a name of its own, and its own blobs."""
    at = one.columns.index("uidvalidity")
    for row in rows:
        sites.remember_uidvalidity(tx, row[at])
    return 0


def _new_tenants(tx: Connection, one: Portable, rows: Sequence[Row]) -> list[Row]:
    """Those that are not there; those that are get their name of then."""
    there = set(tx.execute(select(tenant.c.id)).scalars())
    id_, name = one.columns.index("id"), one.columns.index("name")
    for row in rows:
        if row[id_] in there:
            tx.execute(tenant.update().where(tenant.c.id == row[id_]).values(name=row[name]))
    return [row for row in rows if row[id_] not in there]


def _changed(one: Portable, row: Row, change: Change) -> Row:
    values = dict(zip(one.columns, row, strict=True))
    change(values)
    return tuple(values.values())


def insert_contents(
    storage: StorageBackend, tx: Connection, blobs: Sequence[Row], contents: Sequence[Row]
) -> None:
    """Insert mail that the blob store has taken: where it lies, and what was found in it."""
    storage.insert_rows(tx, blob, blobs)
    storage.insert_rows(tx, content, contents)


def begin_history(tx: Connection) -> None:
    """Set the floor of every mailbox's history where its account's counter begins anew (rule I2).

    Clients that ask for what changed since before learn that everything may have.
    """
    modseq = select(account.c.modseq).where(account.c.id == mailbox.c.account_id).scalar_subquery()
    tx.execute(mailbox.update().values(floor=modseq))


def queue_index(tx: Connection) -> None:
    """Have everything indexed anew: the index is in no backup, and no search misses what is queued."""
    each = message.c
    some = select(each.account_id, each.received_ms, each.id, each.tenant_id)
    names = ["account_id", "received_ms", "message_id", "tenant_id"]
    tx.execute(index_queue.insert().from_select(names, some))


def place_lost(tx: Connection, mailbox_id: int) -> None:
    """Put what lies nowhere in a mailbox's account into it, unread, with new UIDs; by one statement."""
    account_id, tenant_id, uid = tx.execute(
        select(mailbox.c.account_id, mailbox.c.tenant_id, mailbox.c.uidnext).where(mailbox.c.id == mailbox_id)
    ).one()
    modseq = tx.execute(select(account.c.modseq).where(account.c.id == account_id)).scalar_one()
    number = func.row_number().over(order_by=message.c.id)
    lies = [exists().where(one.c.message_id == message.c.id) for one in (placement, trash)]
    lost = select(
        literal(mailbox_id), uid + number - 1, literal(tenant_id), literal(account_id), message.c.id,
        modseq + number, literal(0), literal("[]"), message.c.received_ms,
    ).where(message.c.account_id == account_id, *(~one for one in lies))  # fmt: skip
    count = tx.execute(placement.insert().from_select([*placement.c.keys()], lost)).rowcount
    tx.execute(mailbox.update().where(mailbox.c.id == mailbox_id).values(uidnext=uid + count))
    tx.execute(account.update().where(account.c.id == account_id).values(modseq=modseq + count))


def recount(tx: Connection) -> None:
    """Make the counters those of what is there, when not all of a backup could be restored."""
    here = placement.c.mailbox_id == mailbox.c.id
    unseen = here & (placement.c.flags.bitwise_and(1) == 0)
    tx.execute(
        mailbox.update().values(
            messages=_count(placement, here).scalar_subquery(),
            unseen=_count(placement, unseen).scalar_subquery(),
        )
    )
    owned = placement.c.account_id == account.c.id
    used = (
        select(func.coalesce(func.sum(message.c.size_bytes), 0))
        .join(placement, placement.c.message_id == message.c.id)
        .where(owned)
    )
    tx.execute(
        account.update().values(
            messages=_count(placement, owned).scalar_subquery(), used_bytes=used.scalar_subquery()
        )
    )


def _count(table: Table, condition: Any) -> Any:
    return select(func.count()).select_from(table).where(condition)


def totals(tx: Connection) -> tuple[int, int]:
    """How many accounts and messages a site holds."""
    counts = [
        tx.execute(select(func.count()).select_from(table)).scalar_one() for table in (account, placement)
    ]
    return int(counts[0]), int(counts[1])
