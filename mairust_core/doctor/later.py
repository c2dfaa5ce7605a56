"""What was put off: jobs that wait for somebody, a change of the master key that was begun."""

from __future__ import annotations

from collections.abc import Iterator

from mairust_core.config import Settings
from mairust_core.doctor.findings import Found
from mairust_core.errors import BadConfig
from mairust_core.ids import now_ms
from mairust_core.running import running_on
from mairust_core.store import StorageBackend, secrets
from mairust_core.store import jobs as queries
from mairust_core.vault.key_file import KeyFile

OVERDUE_MS = 3_600_000


def jobs(settings: Settings, storage: StorageBackend) -> Iterator[Found]:
    """No job has failed for good, is held, or has waited for an hour while a server ran."""
    with storage.read() as tx:
        found, now = queries.counts(storage, tx), storage.now_ms(tx)
    if found.dead:
        yield Found("jobs.dead", count=found.dead)
    if found.held:
        yield Found("jobs.held", count=found.held)
    late_ms = 0 if found.oldest_due_ms is None else now - found.oldest_due_ms
    running = running_on(settings.data_dir)
    if late_ms > OVERDUE_MS and running is not None and now_ms() - running.started_ms > OVERDUE_MS:
        yield Found("jobs.overdue", count=found.due, minutes=late_ms // 60_000)


def master_key(settings: Settings, storage: StorageBackend) -> Iterator[Found]:
    """The file holds the master key that is in force, and no other one."""
    path = settings.secrets.master_key_file
    if not path.exists():
        return  # found by `places` already
    try:
        keys = KeyFile(path).keys()
    except BadConfig as error:
        yield Found("master_key.unusable", path=path, why=error.values["why"])
        return
    with storage.read() as tx:
        in_force, _, _ = secrets.count(tx)
    if in_force and in_force not in keys:
        yield Found("master_key.unknown", path=path, key=in_force)
    elif len(keys) > 1:
        yield Found("master_key.rotation", path=path, count=len(keys))
