"""What `doctor` and others ask a database of itself; nothing here changes anything."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from sqlalchemy import Connection, func, literal, select, text

from mairust_core.ids import EPOCH_MS
from mairust_core.model.alias import POSTMASTER
from mairust_core.model.blob import Locator
from mairust_core.store import StorageBackend
from mairust_core.store.sqlite import Sqlite
from mairust_core.store.tables import account, address, audit, blob, domain, message, process_number

_SETTINGS = "fsync, full_page_writes, synchronous_commit, synchronous_standby_names, max_connections"
_MORE = "superuser_reserved_connections, reserved_connections"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFacts:
    """What a PostgreSQL server says of itself; `standbys` are the replicas connected to it."""

    settings: dict[str, str]
    standbys: int


def faults(storage: StorageBackend, tx: Connection, limit_s: float = inf) -> list[str]:
    """What is wrong with the file of a database, as `Sqlite.faults` does; PostgreSQL looks after its own."""
    return storage.faults(tx, limit_s) if isinstance(storage, Sqlite) else []


def postgresql_facts(tx: Connection) -> ServerFacts:
    """The settings on which durability and room for connections depend."""
    names = [name.strip() for name in f"{_SETTINGS}, {_MORE}".split(",")]
    query = text("SELECT name, setting FROM pg_settings WHERE name = ANY(:names)")
    found = {row[0]: row[1] for row in tx.execute(query, {"names": names})}
    standbys = tx.execute(text("SELECT count(*) FROM pg_stat_replication")).scalar_one()
    return ServerFacts(settings=found, standbys=int(standbys))


def postgresql_now_ms(tx: Connection) -> int:
    """The database server's clock, in milliseconds since 1970."""
    query = text("SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS bigint)")
    return int(tx.execute(query).scalar_one())


def newest_ms(tx: Connection) -> int:
    """The last millisecond in which any process made an id, as far as it is written down; 0 when none."""
    return int(tx.execute(select(func.coalesce(func.max(process_number.c.last_ms), 0))).scalar_one())


def newest_id_ms(tx: Connection) -> int:
    """The millisecond of the newest id that is written down anywhere; 0 when none."""
    newest = (tx.execute(select(func.max(one.c.id))).scalar_one() for one in (audit, message))
    return max(newest_ms(tx), *((int(id_) >> 22) + EPOCH_MS for id_ in newest if id_ is not None), 0)


def some_blobs(tx: Connection, after: bytes, limit: int) -> list[tuple[bytes, Locator]]:
    """Blobs that something refers to, by hash, those from `after` on."""
    query = (
        select(blob.c.sha256, blob.c.location)
        .where(blob.c.sha256 >= after, blob.c.condemned_ms.is_(None))
        .order_by(blob.c.sha256)
        .limit(limit)
    )
    return [(row[0], Locator(row[1])) for row in tx.execute(query)]


def some_locations(tx: Connection, limit: int = 20) -> list[Locator]:
    """Where some blobs lie, whichever."""
    return [Locator(one) for one in tx.execute(select(blob.c.location).limit(limit)).scalars()]


def without_postmaster(tx: Connection, limit: int) -> list[str]:
    """Domains that have no address `postmaster` of their own, by name."""
    own = select(address.c.id).where(address.c.folded == literal(f"{POSTMASTER}@") + domain.c.name)
    query = select(domain.c.name).where(~own.exists()).order_by(domain.c.name).limit(limit)
    return list(tx.execute(query).scalars())


def enabled_accounts(tx: Connection) -> int:
    """Accounts that take mail."""
    query = select(func.count()).select_from(account)
    return int(tx.execute(query.where(account.c.enabled, account.c.removed_ms.is_(None))).scalar_one())


def has_mail(tx: Connection) -> bool:
    """Whether there is any message."""
    return tx.execute(select(message.c.id).limit(1)).first() is not None


def domains(tx: Connection) -> int:
    """Domains of the site."""
    return int(tx.execute(select(func.count()).select_from(domain)).scalar_one())
