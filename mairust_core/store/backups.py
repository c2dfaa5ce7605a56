"""Backups that were begun: pins that hold blobs, and what became of each (rules C2, I3)."""

from __future__ import annotations

from sqlalchemy import Connection, delete, exists, func, insert, select, update

from mairust_core.errors import NotFound, Temporary
from mairust_core.ids import to_time
from mairust_core.model.backup import WHOLE_PERCENT, BackedUp, BackupRun, Verification
from mairust_core.model.ids import Id
from mairust_core.model.principal import Principal
from mairust_core.model.status import BackupsStatus
from mairust_core.store import StorageBackend
from mairust_core.store.tables import AnyRow, backup

LEASE_MS = 600_000
"""A pin that is not renewed ends by itself: what a killed backup held is free again after this time."""
RENEW_AFTER_MS = 60_000
KEPT_RUNS = 100


def begin(storage: StorageBackend, tx: Connection, by: Principal, now_ms: int) -> Id:
    """Pin every blob there is, and forget the oldest runs; the number of this one.

    The row is the audit of it: who took a copy of everything, and when.
    """
    storage.serialise(tx, "backup")
    run_id = Id(tx.execute(select(func.coalesce(func.max(backup.c.id), 0))).scalar_one() + 1)
    tx.execute(
        insert(backup).values(
            id=run_id, tenant_id=by.tenant_id, started_ms=now_ms, pinned_until_ms=now_ms + LEASE_MS,
            finished_ms=None, actor=by.name, repository="", snapshot="", messages=0, objects_new=0,
            bytes_new=0, damaged=0,
        )
    )  # fmt: skip
    old = select(backup.c.id).order_by(backup.c.id.desc()).offset(KEPT_RUNS)
    tx.execute(delete(backup).where(backup.c.id.in_(list(tx.execute(old).scalars()))))
    return run_id


def renew(storage: StorageBackend, run_id: int, now_ms: int) -> None:
    """Hold the pin for longer, once a part of its time is over.

    Raises `Temporary` when it ended meanwhile, for then blobs may be gone.
    """
    with storage.read() as tx:
        row = tx.execute(select(backup.c.pinned_until_ms).where(backup.c.id == run_id)).first()
    if row is not None and row[0] is not None and row[0] > now_ms + LEASE_MS - RENEW_AFTER_MS:
        return
    with storage.write() as tx:
        kept = tx.execute(
            update(backup)
            .where(backup.c.id == run_id, backup.c.pinned_until_ms > now_ms)
            .values(pinned_until_ms=now_ms + LEASE_MS)
        ).rowcount
    if not kept:
        raise Temporary("pin_lost", id=run_id)


def finish(tx: Connection, by: Principal, run_id: int, done: BackedUp, now_ms: int) -> BackupRun:
    """End the pin and keep what became of it; raises `NotFound`."""
    tx.execute(
        update(backup)
        .where(backup.c.id == run_id, backup.c.tenant_id == by.tenant_id)
        .values(
            pinned_until_ms=None, finished_ms=now_ms, repository=done.repository, snapshot=done.snapshot,
            messages=done.messages, objects_new=done.objects_new, bytes_new=done.bytes_new,
            damaged=done.damaged,
        )
    )  # fmt: skip
    return get(tx, by, run_id, now_ms)


def get(tx: Connection, by: Principal, run_id: int, now_ms: int) -> BackupRun:
    """One run; raises `NotFound`."""
    query = select(backup).where(backup.c.id == run_id, backup.c.tenant_id == by.tenant_id)
    row = tx.execute(query).first()
    if row is None:
        raise NotFound("backup", id=run_id)
    return _model(row, now_ms)


def page(tx: Connection, by: Principal, cursor: str, limit: int, now_ms: int) -> list[BackupRun]:
    """Runs, the newest first, before the one with the id `cursor`."""
    query = select(backup).where(backup.c.tenant_id == by.tenant_id)
    if cursor:
        query = query.where(backup.c.id < Id.of_cursor(cursor))
    rows = tx.execute(query.order_by(backup.c.id.desc()).limit(limit))
    return [_model(row, now_ms) for row in rows]


def verified(tx: Connection, by: Principal, found: Verification, now_ms: int) -> BackupRun:
    """Keep what was found in a repository, on the newest of this site's backups that lie there.

    Damage stays known until a look that could have seen it finds none. Raises `NotFound` when no backup that
    is remembered here lies there: a copy of a repository elsewhere says nothing of the original.
    """
    query = select(backup).where(
        backup.c.tenant_id == by.tenant_id, backup.c.snapshot.in_(found.snapshots)
    )  # fmt: skip
    if found.repository:
        query = query.where(backup.c.repository == found.repository)
    row = tx.execute(query.order_by(backup.c.id.desc()).limit(1)).first()
    if row is None:
        raise NotFound("backup_there")
    if (known := _known(tx, row.repository, found)) is not None:
        percent, damaged = known
        values = {"verified_ms": now_ms, "verified_percent": percent, "verify_damaged": damaged}
        tx.execute(update(backup).where(backup.c.id == row.id).values(values))
    return get(tx, by, row.id, now_ms)


def _known(tx: Connection, repository: str, found: Verification) -> tuple[int, int] | None:
    """What is known after this look: how much of the packs was read, and the damage.

    Against damage that was found by reading packs only a look at all of them proves anything: one that finds
    nothing changes nothing, which is None, and one that finds other damage adds to it.
    """
    known = select(backup.c.verified_percent, backup.c.verify_damaged).where(
        backup.c.repository == repository, backup.c.verified_ms.is_not(None)
    )
    last = tx.execute(known.order_by(backup.c.id.desc()).limit(1)).first()
    seen_deep = last is not None and last.verify_damaged and last.verified_percent
    if last is None or not seen_deep or found.percent == WHOLE_PERCENT:
        return found.percent, found.damaged
    if not found.damaged:
        return None
    return max(last.verified_percent, found.percent), max(last.verify_damaged, found.damaged)


def status(tx: Connection, now_ms: int) -> BackupsStatus:
    """The last backup of which a snapshot came, and of each repository what was found in it last."""
    latest = select(func.max(backup.c.id)).where(backup.c.snapshot != "")
    looked_at = select(func.max(backup.c.id)).where(backup.c.verified_ms.is_not(None))
    wanted = backup.c.id.in_(latest.union(looked_at.group_by(backup.c.repository)))
    rows = tx.execute(select(backup).where(wanted).order_by(backup.c.id.desc()))
    runs = [_model(row, now_ms) for row in rows]
    verified = tuple(run for run in runs if run.verified_at is not None)
    return BackupsStatus(last=next((run for run in runs if run.snapshot), None), verified=verified)


def pinned(tx: Connection, now_ms: int) -> bool:
    """Whether a backup holds the blobs: then none may be deleted (rule C2)."""
    return bool(tx.execute(select(exists().where(backup.c.pinned_until_ms > now_ms))).scalar_one())


def live(tx: Connection, now_ms: int) -> list[int]:
    """The runs whose pin holds."""
    return list(tx.execute(select(backup.c.id).where(backup.c.pinned_until_ms > now_ms)).scalars())


def _model(row: AnyRow, now_ms: int) -> BackupRun:
    return BackupRun(
        id=Id(row.id),
        started_at=to_time(row.started_ms),
        finished_at=None if row.finished_ms is None else to_time(row.finished_ms),
        by=row.actor,
        pinned=row.pinned_until_ms is not None and row.pinned_until_ms > now_ms,
        repository=row.repository,
        snapshot=row.snapshot,
        messages=row.messages,
        objects_new=row.objects_new,
        bytes_new=row.bytes_new,
        damaged=row.damaged,
        verified_at=None if row.verified_ms is None else to_time(row.verified_ms),
        verified_percent=row.verified_percent,
        verify_damaged=row.verify_damaged,
    )
