"""Whether the mail is also somewhere else: how old the last backup is, and what `backup verify` found."""

from __future__ import annotations

from collections.abc import Iterator

from mairust_core.config import Settings
from mairust_core.doctor.findings import Found
from mairust_core.ids import now_ms, to_ms
from mairust_core.model.backup import BackupRun
from mairust_core.store import StorageBackend, inspection
from mairust_core.store import backups as queries

DAY_MS = 24 * 3_600_000


def backups(settings: Settings, storage: StorageBackend) -> Iterator[Found]:
    """There is a backup of the mail, it is not old, and nothing in it is damaged or missing.

    A repository that no backup goes to any more may be gone for ever: its damage is told, and is no error.
    """
    now = now_ms()
    with storage.read() as tx:
        found, has_mail = queries.status(tx, now), inspection.has_mail(tx)
    if found.last is None:
        if has_mail:
            yield Found("backup.none")
        return
    yield from _last(found.last, now, settings.telemetry.backup_days)
    for one in found.verified:
        if one.verify_damaged:
            told = {"repository": one.repository, "count": one.verify_damaged, "at": _day(one)}
            if one.repository == found.last.repository:
                yield Found("backup.damaged", **told)
            else:
                yield Found("backup.damaged_elsewhere", **told)


def _last(last: BackupRun, now: int, days: int) -> Iterator[Found]:
    age_ms = now - to_ms(last.started_at)
    if days and age_ms > days * DAY_MS:
        yield Found("backup.old", repository=last.repository, days=age_ms // DAY_MS)
    if last.damaged:
        yield Found("backup.incomplete", repository=last.repository, count=last.damaged)


def _day(run: BackupRun) -> str:
    return "-" if run.verified_at is None else f"{run.verified_at:%Y-%m-%d %H:%MZ}"
