"""How much there is: numbers that are read off indexes or off rows that are kept up to date."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Connection, func, select

from mairust_core.ids import now_ms, to_time
from mairust_core.model.principal import Principal
from mairust_core.model.status import (
    Counts,
    DatabaseStatus,
    JobsStatus,
    MailStatus,
    ProcessStatus,
    Queues,
    TrashStatus,
)
from mairust_core.store import StorageBackend, accounts, domains, schema, traces
from mairust_core.store import jobs as queries_on_jobs
from mairust_core.store.process_numbers import LEASE_MS
from mairust_core.store.tables import account, blob, domain, process_number
from mairust_core.store.tables import trash as deleted

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


def counts(tx: Connection, by: Principal) -> Counts:
    """Domains, accounts and their mail within reach."""
    domains_ = select(func.count()).select_from(domain).where(domains.within(by)).scalar_subquery()
    sums = select(
        domains_,
        func.count(account.c.id),
        func.coalesce(func.sum(account.c.messages), 0),
        func.coalesce(func.sum(account.c.used_bytes), 0),
    ).where(accounts.within(by))
    found = tx.execute(sums).one()
    return Counts(domains=found[0], accounts=found[1], messages=int(found[2]), bytes=int(found[3]))


def mail(tx: Connection, by: Principal) -> MailStatus:
    """Mails of the last hour and the last day."""
    now = now_ms()
    hour, day = traces.count(tx, by, now - HOUR_MS), traces.count(tx, by, now - DAY_MS)
    return MailStatus(
        accepted_last_hour=hour[0],
        refused_last_hour=hour[1],
        accepted_last_day=day[0],
        refused_last_day=day[1],
    )


def queues(tx: Connection, by: Principal) -> Queues:
    """What waits for collection."""
    mine = (account.c.tenant_id == by.tenant_id) & account.c.removed_ms.is_not(None)
    condemned = (blob.c.condemned_ms > 0) & (blob.c.tenant_id == by.tenant_id)
    found = tx.execute(
        select(
            select(func.count()).select_from(account).where(mine).scalar_subquery(),
            select(func.count()).select_from(blob).where(condemned).scalar_subquery(),
        )
    ).one()
    return Queues(accounts_to_purge=found[0], blobs_to_delete=found[1])


def trash(tx: Connection, by: Principal, trash_days: int) -> TrashStatus:
    """How much has been deleted and not purged yet."""
    query = select(func.count(), func.min(deleted.c.deleted_ms)).where(deleted.c.tenant_id == by.tenant_id)
    messages, oldest_ms = tx.execute(query).one()
    until = None if oldest_ms is None else to_time(oldest_ms) + timedelta(days=trash_days)
    return TrashStatus(messages=messages, first_gone_at=until)


def jobs(storage: StorageBackend, tx: Connection) -> JobsStatus:
    """What there is to do later."""
    found = queries_on_jobs.counts(storage, tx)
    return JobsStatus(
        ready=found.ready,
        due=found.due,
        oldest_due_at=None if found.oldest_due_ms is None else to_time(found.oldest_due_ms),
        running=found.running,
        dead=found.dead,
        held=found.held,
    )


def database(storage: StorageBackend, tx: Connection) -> DatabaseStatus:
    """The database itself."""
    return DatabaseStatus(
        kind=storage.name,
        version=storage.version(tx),
        schema=schema.version(tx),
        size_bytes=storage.size_bytes(tx),
    )


def processes(tx: Connection) -> tuple[ProcessStatus, ...]:
    """The processes whose number is leased, the longest there first."""
    since = now_ms() - LEASE_MS
    query = (
        select(process_number)
        .where(process_number.c.leased_ms >= since)
        .order_by(process_number.c.number)
    )  # fmt: skip
    found = []
    for row in tx.execute(query):
        host, _, rest = row.holder.rpartition(":")[0].rpartition(":")
        found.append(
            ProcessStatus(number=row.number, host=host, pid=int(rest), renewed_at=to_time(row.leased_ms))
        )
    return tuple(found)
