"""What a site is used for: whether mail can come to anybody, and whether somebody sweeps."""

from __future__ import annotations

from collections.abc import Iterator

from mairust_core.config import Settings
from mairust_core.doctor.findings import Found
from mairust_core.ids import now_ms, to_ms
from mairust_core.receive.collection import TASK
from mairust_core.running import running_on
from mairust_core.store import StorageBackend, addressing, inspection, upkeeps

LATE_MS = 24 * 3_600_000
NAMED = 5


def people(_settings: Settings, storage: StorageBackend) -> Iterator[Found]:
    """There is a domain, and somebody in it."""
    with storage.read() as tx:
        domains, accounts = inspection.domains(tx), inspection.enabled_accounts(tx)
    if not domains:
        yield Found("domain.none")
    elif not accounts:
        yield Found("account.none")


def postmaster(_settings: Settings, storage: StorageBackend) -> Iterator[Found]:
    """Somebody has said who reads mail to `postmaster` (RFC 5321 §4.5.1)."""
    with storage.read() as tx:
        names = inspection.without_postmaster(tx, NAMED + 1)
    if names:
        shown = ", ".join(names[:NAMED]) + (" …" if len(names) > NAMED else "")
        yield Found("postmaster.fallback", domains=shown, first=names[0])


def aliases(_settings: Settings, storage: StorageBackend) -> Iterator[Found]:
    """Whatever an alias leads to is there."""
    with storage.read() as tx:
        found = addressing.leading_nowhere(tx, NAMED + 1)
    if found:
        names = ", ".join(f"{alias} ({target})" for alias, target in found[:NAMED])
        yield Found("alias.nowhere", names=names + (" …" if len(found) > NAMED else ""), first=found[0][0])


def collection(settings: Settings, storage: StorageBackend) -> Iterator[Found]:
    """Collection has run within a day, if a server has run for that long."""
    running = running_on(settings.data_dir)
    if running is None or now_ms() - running.started_ms < LATE_MS:
        return
    with storage.read() as tx:
        last = upkeeps.last(tx, TASK)
    if last is None or now_ms() - to_ms(last.at) > LATE_MS:
        yield Found("collection.late", last="-" if last is None else f"{last.at:%Y-%m-%d %H:%MZ}")
