"""Schema migrations: Alembic scripts in `versions/`, run by `upgrade`, loaded for nothing else.

A migration and its entry in `alembic_version` are one transaction on both databases: a crash leaves the old
schema or the new one (trap D5). `tables.py` says what the newest leads to; a test compares them.
"""

from __future__ import annotations

from pathlib import Path

from mairust_core.config import Settings
from mairust_core.errors import NewerSite, NoSite
from mairust_core.model.principal import Principal
from mairust_core.store import StorageBackend, audits, process_numbers, schema, storage_of
from mairust_core.store.tables import SCHEMA_VERSION

HERE = Path(__file__).parent
NOTHING = ""
"""The version of a database without a schema."""


def upgrade(settings: Settings, by: Principal) -> tuple[str, str]:
    """Bring a site's schema to this version; the versions before and after, equal when nothing was to do.

    It is audited as done by `by`.

    Raises `NoSite`, `NewerSite`, `Locked` while another process writes or migrates, `StorageDown`.
    """
    path = settings.database.sqlite_path
    if path is not None and not path.exists():
        raise NoSite("database", path=settings.data_dir, url=path)
    storage = storage_of(settings)
    try:
        if not schema.exists(storage):
            shown = getattr(storage, "shown_url", storage.url)
            raise NoSite("database", path=settings.data_dir, url=shown)
        return migrate_for(storage, by)
    finally:
        storage.close()


def migrate_for(storage: StorageBackend, by: Principal) -> tuple[str, str]:
    """`migrate` to this version, with an entry in the audit when there was something to do."""
    before, after = migrate(storage)
    if before != after:
        ids = process_numbers.lease(storage)
        try:
            with storage.write() as tx:
                audits.record(tx, ids.next(), by, "db.upgrade", f"{before or 'none'} to {after}")
        finally:
            process_numbers.give_back(storage, ids)
    return before, after


def migrate(storage: StorageBackend, target: str = SCHEMA_VERSION) -> tuple[str, str]:
    """Run the migrations up to `target` in one transaction, also on an empty database."""
    from mairust_core.store.migrations.runner import run

    with storage.write() as tx:
        storage.serialise(tx, "schema")
        found = schema.version(tx) if schema.is_there(tx) else NOTHING
        if found > target:
            raise NewerSite("schema", found=found, known=target)
        if found == target:
            return found, found
        run(tx, target)
    return found, target
