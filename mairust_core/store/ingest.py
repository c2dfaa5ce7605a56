"""Writing a batch of deliveries in one transaction: the rows behind every 250.

The order of the statements is the order of the locks, the same in every process: blobs by hash, thread
keys, mailboxes, and the account rows last (rule A2), so that batches wait for each other and never in a
circle.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

from sqlalchemy import Connection

from mairust_core.errors import Locked, StorageDown
from mairust_core.model.delivery import Copy, Delivery, Stored, Trace
from mairust_core.model.flags import SEEN
from mairust_core.model.ids import Id
from mairust_core.observe.faults import crash_point
from mairust_core.store import StorageBackend, call_rows, idempotency, jobs, ledger, threads
from mairust_core.store.facts import cleaned, content_row, to_json
from mairust_core.store.guilt import Charged, Guilty, Located, MissingMailbox, guilty_accounts, room_for
from mairust_core.store.tables import (
    content,
    index_queue,
    message,
    message_tag,
    placement,
    trace,
)

DAY_MS = 86_400_000
BYTES_GOOD_S = 1800.0
"""Bytes that were not committed by then are given up: collection may take them after an hour (rule C2)."""

_BOOT_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # Linux; elsewhere sleep is not seen
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
Placed = dict[int, tuple[int, int]]
"""By message id: mailbox id and uid."""


def write_batch(storage: StorageBackend, batch: Sequence[Located], written_s: float) -> list[Stored]:
    """Commit a batch whose bytes are durable; when it returns every row is durable too.

    `written_s` is when the bytes were written, by `boot_clock`. Raises `Guilty` for deliveries that cannot
    be stored, `MissingMailbox`, or the errors of `StorageBackend.write`; then nothing of the batch is
    stored, except perhaps after `OutcomeUnknown`.
    """
    with storage.write() as tx:
        crash_point("commit.begin")
        if boot_clock() - written_s > BYTES_GOOD_S:  # asked in here: a process may have slept before BEGIN
            raise StorageDown("stale")
        stored, fresh = _skip_repetitions(storage, tx, batch)
        fresh = _skip_counted(storage, tx, fresh, stored)
        if fresh:
            _leave_receipts(storage, tx, fresh)
            _write_rows(storage, tx, fresh)
        crash_point("commit.before")
    crash_point("commit.after")
    return stored


def boot_clock() -> float:
    """Seconds that also pass while the machine sleeps, and never jump."""
    return time.clock_gettime(_BOOT_CLOCK)


def _write_rows(storage: StorageBackend, tx: Connection, located: Sequence[Located]) -> None:
    _write_contents(storage, tx, located)
    batch = [one.delivery for one in located]
    thread_ids = threads.assign(storage, tx, batch)
    storage.insert_rows(tx, trace, [_trace_row(one) for one in batch if one.trace is not None])
    storage.insert_rows(tx, message, [_message_row(d, c, thread_ids[c.id]) for d in batch for c in d.copies])
    storage.insert_rows(tx, message_tag, [row for one in batch for row in _tag_rows(one)])
    storage.insert_rows(tx, index_queue, [_queue_row(d, c) for d in batch for c in d.copies])
    crash_point("commit.rows")
    placed = _take_uids(storage, tx, located)
    modseqs = _charge_accounts(storage, tx, located)
    storage.insert_rows(tx, placement, _placement_rows(batch, placed, modseqs))
    _make_jobs(storage, tx, batch, placed)
    call_rows.write(storage, tx, batch)


def _skip_repetitions(
    storage: StorageBackend, tx: Connection, batch: Sequence[Located]
) -> tuple[list[Stored], list[Located]]:
    """What is stored of each delivery, and what of the batch is new (rule C4)."""
    wanted = [
        (copy.account_id, one.delivery.content.sha256, one.delivery, copy)
        for one in batch
        if one.delivery.once and one.delivery.kept and one.delivery.kept.message_id
        for copy in one.delivery.copies
    ]
    if not wanted:
        return [Stored(ids=tuple(copy.id for copy in one.delivery.copies)) for one in batch], list(batch)
    wanted.sort(key=lambda item: item[:2])
    rows = []
    for account_id, sha256, one, copy in wanted:
        since = one.received_ms - DAY_MS
        rows.append((account_id, sha256, one.tenant_id, copy.id, one.received_ms, since, since))
    found = storage.fetch_each(tx, _PIPE, rows)
    there = zip(wanted, found, strict=True)
    known = {item[3].id: Id(row[0]) for item, row in there if row is not None and row[0] != item[3].id}
    stored = [Stored(ids=tuple(known.get(c.id, c.id) for c in one.delivery.copies)) for one in batch]
    if not known:
        return stored, list(batch)
    fresh = [_without_known(one, known) for one in batch]
    storage.insert_rows(tx, trace, [_repetition_row(one.delivery) for one in fresh if _is_repetition(one)])
    return stored, [one for one in fresh if one.delivery.copies]


def _skip_counted(
    storage: StorageBackend, tx: Connection, batch: list[Located], stored: list[Stored]
) -> list[Located]:
    """What of an import is not in the ledger yet, counted now; of the rest nothing is stored (rule I1)."""
    there = ledger.count(storage, tx, [one.delivery for one in batch])
    if not there:
        return batch
    for one in batch:
        if one.delivery.copies[0].id in there:
            stored[one.at] = Stored(ids=())
    return [one for one in batch if one.delivery.copies[0].id not in there]


def _leave_receipts(storage: StorageBackend, tx: Connection, batch: Sequence[Located]) -> None:
    """Take the keys of requests that may be repeated; those that others have are guilty."""
    wanted = [(receipt, one) for one in batch if (receipt := one.delivery.receipt) is not None]
    if not wanted:
        return
    wanted.sort(key=lambda pair: (pair[0].tenant_id, pair[0].principal, pair[0].key_hash))
    claims = [(receipt, str(one.delivery.copies[0].id)) for receipt, one in wanted]
    taken = idempotency.claim(storage, tx, claims)
    if not all(taken):
        late = [one.at for (_, one), got in zip(wanted, taken, strict=True) if not got]
        raise Guilty({at: Locked("repeated", retry_after_s=1) for at in late})


def _without_known(one: Located, known: dict[Id, Id]) -> Located:
    """What of a delivery is new; its trace tells of the rest, and of which messages that repeats."""
    delivery = one.delivery
    repeated = tuple(
        {"at": delivery.received_ms, "kind": "repeated", "account_id": copy.account_id, "message": str(same)}
        for copy in delivery.copies
        if (same := known.get(copy.id)) is not None
    )
    if not repeated:
        return one
    new = tuple(copy for copy in delivery.copies if copy.id not in known)
    told = delivery.trace and delivery.trace._replace(events=(*delivery.trace.events, *repeated))
    return one._replace(delivery=delivery._replace(copies=new, trace=told))


def _is_repetition(one: Located) -> bool:
    """Whether nothing of a delivery is stored; its trace is, by itself."""
    return not one.delivery.copies and one.delivery.trace is not None


def _write_contents(storage: StorageBackend, tx: Connection, located: Sequence[Located]) -> None:
    distinct: dict[tuple[bytes, int], Located] = {}
    for one in located:
        distinct.setdefault((one.delivery.content.sha256, one.delivery.tenant_id), one)
    ordered = [distinct[key] for key in sorted(distinct)]
    storage.execute_many(
        tx,
        _BLOB,
        [
            (d.content.sha256, d.tenant_id, location, d.content.size_bytes, d.received_ms)
            for _, d, location in ordered
        ],
    )
    storage.execute_many(tx, _CONTENT, [content_row(one.delivery) for one in ordered])


def _trace_row(one: Delivery) -> tuple[Any, ...]:
    assert one.trace is not None
    return _told_row(one, one.trace, int(one.copies[0].id), (*one.trace.events, _stored_event(one)))


def _repetition_row(one: Delivery) -> tuple[Any, ...]:
    assert one.trace is not None
    same = next(event["message"] for event in one.trace.events if event["kind"] == "repeated")
    return _told_row(one, one.trace, same, one.trace.events)


def _told_row(one: Delivery, told: Trace, message_id: object, events: Sequence[object]) -> tuple[Any, ...]:
    return (
        told.id,
        one.tenant_id,
        told.at_ms,
        True,
        told.road,
        told.client_ip,
        cleaned(told.helo),
        cleaned(told.mail_from),
        to_json(told.rcpt_to),
        one.kept.message_id if one.kept else "",
        f"250 2.0.0 stored {message_id}",
        to_json(events),
    )


def _stored_event(one: Delivery) -> dict[str, Any]:
    """Which copies this transaction stores; it outlives them in the trace."""
    copies = [(copy.id, copy.account_id, copy.mailbox) for copy in one.copies]
    return {"at": one.received_ms, "kind": "stored", "copies": copies}


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
        to_json(copy.hidden) if copy.hidden else "[]",
        to_json(copy.tags) if copy.tags else "[]",
        to_json(copy.metadata) if copy.metadata else "{}",
        None if one.trace is None else one.trace.id,
    )


def _tag_rows(one: Delivery) -> Iterator[tuple[Any, ...]]:
    for copy in one.copies:
        for tag in dict.fromkeys(copy.tags):
            yield copy.account_id, cleaned(tag), one.received_ms, copy.id, one.tenant_id


def _queue_row(one: Delivery, copy: Copy) -> tuple[int, ...]:
    """A message that is not indexed yet: until it is, every search reads its text (rule J1)."""
    return (copy.account_id, one.received_ms, copy.id, one.tenant_id)


def _take_uids(storage: StorageBackend, tx: Connection, located: Sequence[Located]) -> Placed:
    copies = sorted(
        (
            (c.account_id, c.mailbox, one.delivery.tenant_id, c)
            for one in located
            for c in one.delivery.copies
        ),
        key=lambda item: item[:2],
    )
    groups = [
        (key, [item[2:] for item in group]) for key, group in groupby(copies, key=lambda item: item[:2])
    ]
    rows = [(len(g), len(g), sum(1 for _, copy in g if not copy.flags & SEEN), *key) for key, g in groups]
    found = storage.fetch_each(tx, _MAILBOX, rows)
    missing = [(g[0][0], *key) for (key, g), row in zip(groups, found, strict=True) if row is None]
    if missing:
        _refuse_gone(storage, tx, located, {account_id for _, account_id, _ in missing})
        raise MissingMailbox(missing)
    placed: Placed = {}
    for (_, group), row in zip(groups, found, strict=True):
        assert row is not None
        mailbox_id, uidnext = row
        for offset, (_, copy) in enumerate(group):
            placed[copy.id] = (mailbox_id, uidnext - len(group) + offset)
    return placed


def _refuse_gone(
    storage: StorageBackend, tx: Connection, located: Sequence[Located], account_ids: set[int]
) -> None:
    """Raise `Guilty` if one of these accounts is gone; no mailbox is made for it."""
    charged = _by_account(located)
    errors = guilty_accounts(storage, tx, {one: charged[one] for one in account_ids}, only_gone=True)
    if errors:
        raise Guilty(errors)


def _by_account(located: Sequence[Located]) -> dict[int, list[Charged]]:
    charged: dict[int, list[Charged]] = defaultdict(list)
    for one in located:
        for copy in one.delivery.copies:
            charged[copy.account_id].append((one.at, copy))
    return charged


def _charge_accounts(storage: StorageBackend, tx: Connection, located: Sequence[Located]) -> dict[int, int]:
    charged = _by_account(located)
    account_ids = sorted(charged)
    rows = []
    for account_id in account_ids:
        copies = [copy for _, copy in charged[account_id]]
        used = sum(copy.size_bytes for copy in copies)
        rows.append((used, len(copies), len(copies), account_id, room_for(copies)))
    found = storage.fetch_each(tx, _ACCOUNT, rows)
    refused = [one for one, row in zip(account_ids, found, strict=True) if row is None]
    if refused:
        raise Guilty(guilty_accounts(storage, tx, {one: charged[one] for one in refused}))
    return {
        one: row[0] - len(charged[one])
        for one, row in zip(account_ids, found, strict=True)
        if row is not None
    }


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
                    to_json(copy.keywords) if copy.keywords else "[]",
                    one.received_ms,
                )
            )
    return rows


def _make_jobs(storage: StorageBackend, tx: Connection, batch: Sequence[Delivery], placed: Placed) -> None:
    """What is to be done later about the copies of this batch (rule E2)."""
    made = []
    for one in batch:
        for later in one.later:
            if later.copy in placed:  # a copy that was there already has had its jobs
                told = {"message": str(int(later.copy)), "place": placed[later.copy]}
                new = replace(later.job, payload={**later.job.payload, **told})
                made.append((later.id, new, later.delay_ms))
    jobs.insert(storage, tx, made)


def find_stored(storage: StorageBackend, batch: Sequence[Delivery]) -> list[bool]:
    """Which deliveries of a batch are in the store, after a commit whose outcome did not come (rule C4)."""
    with storage.read() as tx:
        rows = storage.fetch_each(
            tx, "SELECT id FROM message WHERE id = ?", [(one.copies[0].id,) for one in batch]
        )
    return [row is not None for row in rows]


def ids_taken(storage: StorageBackend, one: Delivery) -> bool:
    """Whether one of a delivery's ids belongs to another message or trace already (rule A4)."""
    rows = [(copy.id,) for copy in one.copies]
    with storage.read() as tx:
        found = storage.fetch_each(tx, "SELECT id FROM message WHERE id = ?", rows)
        if one.trace is not None:
            found += storage.fetch_each(tx, "SELECT id FROM trace WHERE id = ?", [(one.trace.id,)])
        for table, calls in (("hook_log", one.calls.log), ("plugin_access", one.calls.accesses)):
            sql = f"SELECT id FROM {table} WHERE id = ?"  # noqa: S608 - names are ours
            found += storage.fetch_each(tx, sql, [row[:1] for row in calls])
    return any(row is not None for row in found)
