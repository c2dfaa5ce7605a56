"""Which thread a mail belongs to: decided once, when it is stored (rules A1, J4)."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from mairust_core.model.content import KeptFacts
from mairust_core.model.delivery import Copy, Delivery
from mairust_core.store import StorageBackend
from mairust_core.store.thread_keys import correspondents, subject_keys

SUBJECT_DAYS_MS = 30 * 86_400_000

_KNOWN = "account_id, key, thread_id, seen_ms"
_COLUMNS = "account_id, key, tenant_id, thread_id, seen_ms"
_BY_ID = "ON CONFLICT (account_id, key) DO NOTHING"
_BY_SUBJECT = (
    "ON CONFLICT (account_id, key) DO UPDATE SET thread_id = excluded.thread_id, seen_ms = excluded.seen_ms"
)

Row = tuple[int, int, int, int, int]


def assign(storage: StorageBackend, tx: Connection, batch: Sequence[Delivery]) -> dict[int, int]:
    """The thread of every copy in a batch, by message id; new keys are written in the same transaction."""
    wanted = [(copy, one, _Keys(one.kept, copy)) for one in batch for copy in one.copies]
    known = _look_up(storage, tx, wanted)
    threads: dict[int, int] = {}
    by_id: dict[tuple[int, int], Row] = {}
    by_subject: dict[tuple[int, int], Row] = {}
    for copy, one, keys in wanted:
        thread_id = _choose(copy, one.received_ms, keys, known)
        threads[copy.id] = thread_id
        by_ids = keys.own if thread_id != copy.id else keys.own_and_unknown_parents()
        for store, own in ((by_id, by_ids), (by_subject, keys.senders)):
            for key in own:
                at = (copy.account_id, key)
                store[at] = (copy.account_id, key, one.tenant_id, thread_id, one.received_ms)
                known.setdefault(at, (thread_id, one.received_ms))
    for rows, on_conflict in ((by_id, _BY_ID), (by_subject, _BY_SUBJECT)):
        storage.upsert_ints(tx, "thread_key", _COLUMNS, [rows[at] for at in sorted(rows)], on_conflict)
    return threads


class _Keys:
    """The keys by which a copy is found (`own`, `senders`), and by which it looks for its thread."""

    __slots__ = ("own", "parents", "senders", "subject")

    def __init__(self, kept: KeptFacts | None, copy: Copy) -> None:
        self.own: tuple[int, ...] = ()
        self.parents: tuple[int, ...] = ()
        self.subject: tuple[int, ...] = ()
        self.senders: tuple[int, ...] = ()
        if kept is None:
            return
        self.own, self.parents = kept.own_keys, kept.parent_keys
        if kept.base_subject:
            everyone, senders = correspondents(kept, copy.address)
            self.senders = subject_keys(kept, senders)
            if kept.is_reply_or_forward and not self.parents:
                self.subject = subject_keys(kept, everyone)

    def own_and_unknown_parents(self) -> tuple[int, ...]:
        """Siblings whose parent never came here meet by its id: by the root's or the nearest one's."""
        return tuple(dict.fromkeys((*self.own, *self.parents[:1], *self.parents[-1:])))

    def by_id(self) -> tuple[int, ...]:
        """Whom it answers, and itself: an answer may have come first."""
        return (*self.parents, *self.own)


def _look_up(
    storage: StorageBackend, tx: Connection, wanted: Sequence[tuple[Copy, Delivery, _Keys]]
) -> dict[tuple[int, int], tuple[int, int]]:
    asked = {(copy.account_id, key) for copy, _, keys in wanted for key in (*keys.by_id(), *keys.subject)}
    rows = storage.fetch_by_ints(tx, "thread_key", _KNOWN, list(asked))
    return {(row[0], row[1]): (row[2], row[3]) for row in rows}


def _choose(copy: Copy, at_ms: int, keys: _Keys, known: dict[tuple[int, int], tuple[int, int]]) -> int:
    for key in keys.by_id():
        if found := known.get((copy.account_id, key)):
            return found[0]
    for key in keys.subject:
        found = known.get((copy.account_id, key))
        if found and abs(at_ms - found[1]) <= SUBJECT_DAYS_MS:
            return found[0]
    return copy.id
