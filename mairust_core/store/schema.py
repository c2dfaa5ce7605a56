"""Creating the schema, and saying whether a database has the one this version needs (trap D5)."""

from __future__ import annotations

from sqlalchemy import Connection, insert, inspect, select

from mairust_core.errors import BadConfig, NewerSite
from mairust_core.model.principal import DEFAULT_TENANT
from mairust_core.store import StorageBackend, sites
from mairust_core.store.tables import SCHEMA_VERSION, alembic_version, generation, metadata, tenant


def exists(storage: StorageBackend) -> bool:
    """True when the database holds a site, of whatever version."""
    with storage.read() as tx:
        return is_there(tx)


def is_there(tx: Connection) -> bool:
    """True when the database of this transaction holds a site."""
    return inspect(tx).has_table(alembic_version.name)


def create(storage: StorageBackend) -> bool:
    """Create all tables and the default tenant in an empty database; False when a site is there already."""
    if exists(storage):
        return False
    with storage.write() as tx:
        storage.serialise(tx, "schema")
        if is_there(tx):
            return False
        metadata.create_all(tx)
        tx.execute(insert(alembic_version).values(version_num=SCHEMA_VERSION))
        tx.execute(insert(tenant).values(id=DEFAULT_TENANT, name="default"))
        tx.execute(insert(generation).values(id=1, value=1))
        sites.create(tx)
    return True


def version(tx: Connection) -> str:
    """The schema version of the database; empty, older than any, before its first migration."""
    return str(tx.execute(select(alembic_version.c.version_num)).scalar_one_or_none() or "")


def is_old(storage: StorageBackend) -> bool:
    """True when `mairust db upgrade` has something to do."""
    with storage.read() as tx:
        return version(tx) < SCHEMA_VERSION


def check(storage: StorageBackend) -> None:
    """Return when the schema is the one of this version.

    Raises `NewerSite` when it is from a later one, `BadConfig` when `mairust db upgrade` has to run first.
    """
    with storage.read() as tx:
        found = version(tx)
    if found > SCHEMA_VERSION:
        raise NewerSite("schema", found=found, known=SCHEMA_VERSION)
    if found < SCHEMA_VERSION:
        raise BadConfig("old_schema", found=found, known=SCHEMA_VERSION)
