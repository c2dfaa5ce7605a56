"""The database: its schema, version, settings and growth, and whether the blobs it names are whole."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import closing
from functools import partial

from mairust_core.blobs import BlobStore
from mairust_core.blobs.drivers import FS, are_claimed, blobs_of, check_owner
from mairust_core.config import Settings
from mairust_core.doctor import places
from mairust_core.doctor.findings import Found
from mairust_core.errors import BadConfig, Damaged, Locked, MaiRustError, StorageDown
from mairust_core.i18n import explain
from mairust_core.ids import now_ms
from mairust_core.model.blob import Locator
from mairust_core.model.principal import Principal
from mairust_core.store import Pool, StorageBackend, counting, inspection, schema, sites, traces
from mairust_core.store.inspection import ServerFacts
from mairust_core.store.sqlite import Sqlite
from mairust_core.store.tables import SCHEMA_VERSION

MAILS_A_DAY = 100_000
ACCOUNTS = 100
"""Of which a fifth at once are the 20 people that SQLite is meant for (R-DB-1)."""
SIZE_BYTES = 10 << 30
SKEW_MS = 5_000
BACK_MS = 10_000
BLOBS_READ = 20
CHECK_S = 20.0
"""So long the file of a database is read; a few gigabytes."""
ON = "on"
WRITTEN_AT_LEAST = frozenset({"on", "remote_apply", "remote_write", "local"})
_DOCTOR = Principal.local("doctor")


def schema_version(settings: Settings, storage: StorageBackend) -> Iterator[Found]:
    """There is a schema, and it is the one of this version; anything found ends the examination."""
    if not schema.exists(storage):
        if are_claimed(settings):
            yield _foreign(settings, storage)
        else:
            yield Found("database.empty", path=settings.data_dir)
        return
    with storage.read() as tx:
        found = schema.version(tx)
    if found != SCHEMA_VERSION:
        id_ = "database.old_schema" if found < SCHEMA_VERSION else "database.newer_schema"
        yield Found(id_, found=found or "none", known=SCHEMA_VERSION)


def unusable(settings: Settings, error: MaiRustError) -> Found:
    """What it means that the database could not be used at all."""
    path = settings.database.sqlite_path
    if isinstance(error, Damaged):
        return Found("database.damaged", path=path, why=error.values.get("why", error))
    if path is None or isinstance(error, Locked):
        return Found("database.unreachable", why=explain(error)[0])
    if error.detail == "mounted_read_only":
        return Found("data_dir.read_only", path=path.parent)
    return Found("database.file", path=path, directory=path.parent, why=error.values.get("why", error))


def sqlite(_settings: Settings, storage: StorageBackend) -> Iterator[Found]:
    """SQLite is one that cannot corrupt the database (rule D1), and the site is of its size (R-DB-2)."""
    if not isinstance(storage, Sqlite):
        return
    with storage.read() as tx:
        if not storage.is_safe:
            yield Found("sqlite.version", found=storage.version(tx))
    yield from outgrown(storage)


def sqlite_whole(settings: Settings, storage: StorageBackend) -> Iterator[Found]:
    """The file of the database is whole, as far as can be seen in a while."""
    with storage.read() as tx:
        faults = inspection.faults(storage, tx, CHECK_S)
    if faults:
        yield Found("database.damaged", path=settings.database.sqlite_path, why=faults[0])


def sqlite_writable(settings: Settings, storage: StorageBackend) -> Iterator[Found]:
    """The owner of the site can write to the database: to its files, and a transaction begins."""
    if not isinstance(storage, Sqlite):
        return
    directory = storage.path.parent
    if shut := places.first_shut(settings, storage.files):
        yield Found("database.not_writable", path=shut, directory=directory, why=os.strerror(errno.EACCES))
    elif settings.data_dir.stat().st_uid == os.geteuid():  # otherwise what it makes would be root's
        try:
            storage.try_write()
        except StorageDown as error:
            why = error.values.get("why", error)
            yield Found("database.not_writable", path=storage.path, directory=directory, why=why)


def outgrown(storage: StorageBackend) -> list[Found]:
    """Why a site should move from SQLite to PostgreSQL, if it should; also told when `serve` starts."""
    if not isinstance(storage, Sqlite):
        return []
    with storage.read() as tx:
        mails, _ = traces.count(tx, _DOCTOR, now_ms() - counting.DAY_MS)
        people, size_bytes = inspection.enabled_accounts(tx), storage.size_bytes(tx)
    return judged_growth(mails, people, size_bytes)


def judged_growth(mails: int, people: int, size_bytes: int) -> list[Found]:
    """What a day's mails, the accounts and the database's size say about SQLite."""
    if mails <= MAILS_A_DAY and people <= ACCOUNTS and size_bytes <= SIZE_BYTES:
        return []
    return [Found("sqlite.outgrown", mails=mails, accounts=people, gib=f"{size_bytes / (1 << 30):.1f}")]


def postgresql(settings: Settings, storage: StorageBackend) -> Iterator[Found]:
    """PostgreSQL keeps what it says it keeps, and has room for our connections (rule D6)."""
    if storage.name != "postgresql":
        return
    with storage.read() as tx:
        facts = inspection.postgresql_facts(tx)
    pool = Pool(size=settings.database.pool_size)
    yield from judged_server(facts, (pool.size + pool.more) * settings.node.workers)


def judged_server(facts: ServerFacts, connections: int) -> Iterator[Found]:
    """What a server's settings mean for mail that was answered 250."""
    found = facts.settings
    for name in ("fsync", "full_page_writes"):
        if found.get(name) != ON:
            yield Found(f"postgresql.{name}", value=found.get(name, "?"))
    if found.get("synchronous_commit") not in WRITTEN_AT_LEAST:
        yield Found("postgresql.synchronous_commit", value=found.get("synchronous_commit", "?"))
    if facts.standbys and not found.get("synchronous_standby_names"):
        yield Found("postgresql.asynchronous_replica", count=facts.standbys)
    reserved = int(found.get("superuser_reserved_connections", 0)) + int(found.get("reserved_connections", 0))
    free = int(found.get("max_connections", 0)) - reserved
    if connections > free:
        yield Found("postgresql.connections", wanted=connections, free=free)


def clock(_settings: Settings, storage: StorageBackend) -> Iterator[Found]:
    """This machine's clock agrees with the database's, and has not gone back."""
    with storage.read() as tx:
        theirs = inspection.postgresql_now_ms(tx) if storage.name == "postgresql" else now_ms()
        newest = inspection.newest_ms(tx)
    yield from judged_clock(now_ms(), theirs, newest)


def judged_clock(now: int, theirs: int, newest: int) -> Iterator[Found]:
    """What the difference of clocks means; all in milliseconds since 1970."""
    if abs(now - theirs) > SKEW_MS:
        yield Found("clock.skew", seconds=abs(now - theirs) // 1000)
    if newest - now > BACK_MS:
        yield Found("clock.back", seconds=(newest - now) // 1000)


def _foreign(settings: Settings, storage: StorageBackend) -> Found:
    database = settings.database.sqlite_path or storage.name
    return Found("blobs.foreign", path=settings.blobs.path, database=database)


def site_of_blobs(settings: Settings, storage: StorageBackend) -> Iterator[Found]:
    """The blobs are this site's, and where the settings say."""
    if places.unreachable_blobs(settings) is not None:
        return
    try:
        with storage.read() as tx:
            check_owner(settings, sites.name(tx), partial(inspection.some_locations, tx))
    except BadConfig as error:
        if error.detail == "foreign_blobs":
            yield _foreign(settings, storage)
        else:
            yield Found("blobs.unreachable", path=settings.blobs.path, why=error)


def damaged_blobs(settings: Settings, storage: StorageBackend) -> Iterator[Found]:
    """Some blobs, picked by chance, are where their rows say and have the hash they should."""
    if places.unreachable_blobs(settings) is not None or any(site_of_blobs(settings, storage)):
        return
    with storage.read() as tx:
        picked = inspection.some_blobs(tx, secrets.token_bytes(32), BLOBS_READ)
        picked = picked or inspection.some_blobs(tx, b"", BLOBS_READ)
    if not picked:
        return
    ours = settings.blobs.driver == FS
    if ours and not (settings.blobs.path / "segments").is_dir():  # to open the store would make it
        bad = [sha256 for sha256, _ in picked]
    else:
        with closing(blobs_of(settings)) as blobs:
            bad = [sha256 for sha256, location in picked if not _is_whole(blobs, location, sha256)]
    if bad:
        yield Found("blobs.damaged", count=len(bad), looked=len(picked), first=bad[0].hex())


def _is_whole(blobs: BlobStore, location: Locator, sha256: bytes) -> bool:
    try:
        blobs.get(location, sha256)
    except Damaged:
        return False
    return True
