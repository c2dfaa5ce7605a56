"""Writing a batch of deliveries in one transaction: the rows behind every 250.

The order of the statements is the order of the locks, the same in every process: blobs by hash, thread
keys, mailboxes, and the account rows last (rule A2), so that batches wait for each other and never in a
circle.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

from sqlalchemy import Connection

from mairust_core.errors import MaiRustError, NotFound, QuotaExceeded
from mairust_core.model.blob import Locator
from mairust_core.model.delivery import Copy, Delivery, Stored, Trace
from mairust_core.model.ids import Id
from mairust_core.observe.faults import crash_point
from mairust_core.store import StorageBackend, threads
from mairust_core.store.facts import content_row
from mairust_core.store.tables import content, message, placement, trace

FLAG_SEEN = 1
DAY_MS = 86_400_000

_BLOB = (
    "INSERT INTO blob (sha256, tenant_id, location, size_bytes, created_ms, condemned_ms)"
    " VALUES (?, ?, ?, ?, ?, NULL) ON CONFLICT (sha256, tenant_id) DO UPDATE SET location ="
    " CASE WHEN blob.condemned_ms IS NULL THEN blob.location ELSE excluded.location END, condemned_ms = NULL"
)
_CONTENT = (
    f"INSERT INTO content ({', '.join(c.name for c in content.columns)})"  # noqa: S608 - names are ours
    f" VALUES ({', '.join('?' * len(content.columns))}) ON CONFLICT (sha256, tenant_id) DO NOTHING"
)
_PIPE = (
    "INSERT INTO pipe_delivery (account_id, sha256, tenant_id, message_id, at_ms) VALUES (?, ?, ?, ?, ?)"
    " ON CONFLICT (account_id, sha256) DO UPDATE SET"
    " message_id = CASE WHEN pipe_delivery.at_ms < ?"
    " THEN excluded.message_id ELSE pipe_delivery.message_id END,"
    " at_ms = CASE WHEN pipe_delivery.at_ms < ? THEN excluded.at_ms ELSE pipe_delivery.at_ms END"
    " RETURNING message_id"
)
_MAILBOX = (
    "UPDATE mailbox SET uidnext = uidnext + ?, messages = messages + ?, unseen = unseen + ?"
    " WHERE account_id = ? AND name = ? RETURNING id, uidnext"
)
_ACCOUNT = (
    "UPDATE account SET used_bytes = used_bytes + ?, messages = messages + ?, modseq = modseq + ?"
    " WHERE id = ? AND enabled AND removed_ms IS NULL"
    " AND (quota_bytes IS NULL OR used_bytes + ? <= quota_bytes) RETURNING modseq"
)
_ACCOUNT_STATE = "SELECT enabled, removed_ms, address FROM account WHERE id = ?"

Located = tuple[Delivery, Locator]
Placed = dict[int, tuple[int, int]]
"""By message id: mailbox id and uid."""


class Guilty(Exception):
    """One delivery of the batch cannot be stored; the others can, without it (rule C4)."""

    def __init__(self, index: int, error: MaiRustError) -> None:
        super().__init__(index, error)
        self.index = index
        self.error = error


class MissingMailbox(Exception):
    """Mailboxes that have to be created first: (tenant, account, name)."""

    def __init__(self, wanted: Sequence[tuple[int, int, str]]) -> None:
        super().__init__(wanted)
        self.wanted = wanted


def write_batch(
    storage: StorageBackend, batch: Sequence[Delivery], locations: Sequence[Locator]
) -> list[Stored]:
    """Commit a batch whose bytes are durable at `locations`; when it returns every row is durable too.

    Raises `Guilty` for the one delivery that cannot be stored, `MissingMailbox`, or the errors of
    `StorageBackend.write`; then nothing of the batch is stored, except perhaps after `OutcomeUnknown`.
    """
    with storage.write() as tx:
        crash_point("commit.begin")
        stored, fresh = _skip_repetitions(storage, tx, list(zip(batch, locations, strict=True)))
        if fresh:
            _write_rows(storage, tx, fresh)
        crash_point("commit.before")
    crash_point("commit.after")
    return stored


def _write_rows(storage: StorageBackend, tx: Connection, located: Sequence[Located]) -> None:
    _write_contents(storage, tx, located)
    batch = [one for one, _ in located]
    thread_ids = threads.assign(storage, tx, batch)
    storage.insert_rows(tx, trace, [_trace_row(one) for one in batch if one.trace is not None])
    storage.insert_rows(tx, message, [_message_row(d, c, thread_ids[c.id]) for d in batch for c in d.copies])
    crash_point("commit.rows")
    placed = _take_uids(storage, tx, batch)
    modseqs = _charge_accounts(storage, tx, batch)
    storage.insert_rows(tx, placement, _placement_rows(batch, placed, modseqs))


def _skip_repetitions(
    storage: StorageBackend, tx: Connection, located: Sequence[Located]
) -> tuple[list[Stored], list[Located]]:
    stored = [Stored(ids=tuple(copy.id for copy in one.copies)) for one, _ in located]
    fresh: list[Located] = []
    for index, (one, location) in enumerate(located):
        if not (one.once and one.facts and one.facts.message_id):
            fresh.append((one, location))
            continue
        since = one.received_ms - DAY_MS
        rows = [
            (c.account_id, one.content.sha256, one.tenant_id, c.id, one.received_ms, since, since)
            for c in one.copies
        ]
        ids = [Id(row[0]) for row in storage.fetch_each(tx, _PIPE, rows) if row is not None]
        stored[index] = Stored(ids=tuple(ids))
        new = tuple(copy for copy, known in zip(one.copies, ids, strict=True) if copy.id == known)
        if new:
            fresh.append((replace(one, copies=new), location))
    return stored, fresh


def _write_contents(storage: StorageBackend, tx: Connection, located: Sequence[Located]) -> None:
    distinct: dict[tuple[bytes, int], Located] = {}
    for one, location in located:
        distinct.setdefault((one.content.sha256, one.tenant_id), (one, location))
    ordered = [distinct[key] for key in sorted(distinct)]
    storage.execute_many(
        tx,
        _BLOB,
        [(d.content.sha256, d.tenant_id, at, d.content.size_bytes, d.received_ms) for d, at in ordered],
    )
    storage.execute_many(tx, _CONTENT, [content_row(d) for d, _ in ordered])


def _trace_row(one: Delivery) -> tuple[Any, ...]:
    told = one.trace
    assert isinstance(told, Trace)
    return (
        told.id,
        one.tenant_id,
        told.at_ms,
        True,
        told.road,
        told.client_ip,
        told.helo,
        told.mail_from,
        _dumps(told.rcpt_to),
        one.facts.message_id if one.facts else "",
        f"250 2.0.0 stored {one.copies[0].id}",
        _dumps(told.events),
    )


def _message_row(one: Delivery, copy: Copy, thread_id: int) -> tuple[Any, ...]:
    return (
        copy.id,
        one.tenant_id,
        copy.account_id,
        one.content.sha256,
        one.received_ms,
        thread_id,
        copy.size_bytes,
        copy.trace_headers,
        _dumps(copy.hidden) if copy.hidden else "[]",
        _dumps(copy.tags) if copy.tags else "[]",
        _dumps(copy.metadata) if copy.metadata else "{}",
        None if one.trace is None else one.trace.id,
    )


def _dumps(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _take_uids(storage: StorageBackend, tx: Connection, batch: Sequence[Delivery]) -> Placed:
    copies = sorted(
        ((copy.account_id, copy.mailbox, one.tenant_id, copy) for one in batch for copy in one.copies),
        key=lambda item: item[:2],
    )
    groups = [
        (key, [item[2:] for item in group]) for key, group in groupby(copies, key=lambda item: item[:2])
    ]
    rows = [
        (len(g), len(g), sum(1 for _, copy in g if not copy.flags & FLAG_SEEN), *key) for key, g in groups
    ]
    found = storage.fetch_each(tx, _MAILBOX, rows)
    missing = [(g[0][0], *key) for (key, g), row in zip(groups, found, strict=True) if row is None]
    if missing:
        raise MissingMailbox(missing)
    placed: Placed = {}
    for (_, group), row in zip(groups, found, strict=True):
        assert row is not None
        mailbox_id, uidnext = row
        for offset, (_, copy) in enumerate(group):
            placed[copy.id] = (mailbox_id, uidnext - len(group) + offset)
    return placed


def _charge_accounts(storage: StorageBackend, tx: Connection, batch: Sequence[Delivery]) -> dict[int, int]:
    charged: dict[int, list[Copy]] = defaultdict(list)
    last: dict[int, int] = {}
    for index, one in enumerate(batch):
        for copy in one.copies:
            charged[copy.account_id].append(copy)
            last[copy.account_id] = index
    account_ids = sorted(charged)
    rows = []
    for account_id in account_ids:
        copies = charged[account_id]
        bound = sum(copy.size_bytes for copy in copies if not copy.over_quota)
        used = sum(copy.size_bytes for copy in copies)
        rows.append((used, len(copies), len(copies), account_id, bound if bound else -(1 << 62)))
    found = storage.fetch_each(tx, _ACCOUNT, rows)
    modseqs: dict[int, int] = {}
    for account_id, row in zip(account_ids, found, strict=True):
        if row is None:
            raise Guilty(last[account_id], _why_not(storage, tx, account_id))
        modseqs[account_id] = row[0] - len(charged[account_id])
    return modseqs


def _why_not(storage: StorageBackend, tx: Connection, account_id: int) -> MaiRustError:
    rows = storage.fetch_all(tx, _ACCOUNT_STATE, (account_id,))
    if not rows or not rows[0][0] or rows[0][1] is not None:
        return NotFound("account_gone", account_id=account_id)
    return QuotaExceeded("account", address=rows[0][2], account_id=account_id)


def _placement_rows(
    batch: Sequence[Delivery], placed: Placed, modseqs: dict[int, int]
) -> list[tuple[Any, ...]]:
    rows = []
    for one in batch:
        for copy in one.copies:
            modseqs[copy.account_id] += 1
            rows.append(
                (
                    *placed[copy.id],
                    one.tenant_id,
                    copy.account_id,
                    copy.id,
                    modseqs[copy.account_id],
                    copy.flags,
                    _dumps(copy.keywords) if copy.keywords else "[]",
                    one.received_ms,
                )
            )
    return rows


def find_stored(storage: StorageBackend, batch: Sequence[Delivery]) -> list[bool]:
    """Which deliveries of a batch are in the store, after a commit whose outcome did not come (rule C4)."""
    with storage.read() as tx:
        rows = storage.fetch_each(
            tx, "SELECT id FROM message WHERE id = ?", [(one.copies[0].id,) for one in batch]
        )
    return [row is not None for row in rows]
