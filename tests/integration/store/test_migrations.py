"""Migrations: from nothing to the tables in code, whole or not at all, on both databases (trap D5)."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from mairust_core.app import open_site
from mairust_core.config import Settings
from mairust_core.errors import BadConfig, NewerSite, NoSite
from mairust_core.first_run import create_site
from mairust_core.model.principal import Principal
from mairust_core.store import StorageBackend, audits, open_storage, schema, traces, upkeeps
from mairust_core.store.migrations import migrate, upgrade
from mairust_core.store.migrations.runner import config
from mairust_core.store.sqlite import Sqlite
from mairust_core.store.tables import SCHEMA_VERSION, alembic_version, metadata
from tests.support import forks
from tests.support.postgres import PostgresServer
from tests.support.stores import settings_for

TESTER = Principal.local("tester")
ROOT = Path(__file__).parents[3]
MIGRATE = """
import os, signal, sys
from sqlalchemy import event
from mairust_core.store import open_storage
from mairust_core.store.migrations import migrate
storage = open_storage(sys.argv[1])
left = int(sys.argv[2])
def die(*_):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
event.listen(storage.engine, "after_cursor_execute", die)
print(*migrate(storage))
storage.close()
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Settings]:
    """The settings of a database without any table."""
    data_dir = tmp_path / "site"
    data_dir.mkdir()
    if request.param == "sqlite":
        settings = settings_for(data_dir)
        with closing(open_storage(settings.database.url)) as storage:
            assert isinstance(storage, Sqlite)
            storage.create_file()
        yield settings
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    name = server.create_database()
    yield settings_for(data_dir, server.dsn(name))
    server.drop_database(name)


def start(settings: Settings, die_at: int = 0) -> subprocess.Popen[str]:
    """A process that migrates, and kills itself after that many statements."""
    command = [sys.executable, "-c", MIGRATE, settings.database.url, str(die_at)]
    pipe = subprocess.PIPE
    return forks.Popen(command, cwd=ROOT, stdout=pipe, stderr=pipe, text=True)


def described(storage: StorageBackend) -> dict[str, Any]:
    """Everything the database says of its schema, and the rows that come with it."""
    with storage.read() as tx:
        found = inspect(tx)
        tables = {name: _table(found, name) for name in found.get_table_names()}
        rows = {
            name: [tuple(row) for row in tx.execute(text(f"SELECT * FROM {name}"))]
            for name in ("tenant", "generation", "alembic_version")
        }
        if storage.name == "sqlite":  # the inspector does not tell
            without = "SELECT name FROM sqlite_master WHERE sql LIKE '%WITHOUT ROWID%' ORDER BY name"
            rows["without_rowid"] = [tuple(row) for row in tx.execute(text(without))]
    return {"tables": tables, "rows": rows}


def _table(found: Any, name: str) -> dict[str, Any]:
    return {
        "columns": [
            (column["name"], str(column["type"]), column["nullable"], column.get("default"))
            for column in found.get_columns(name)
        ],
        "pk": found.get_pk_constraint(name),
        "fk": sorted(found.get_foreign_keys(name), key=str),
        "unique": sorted(found.get_unique_constraints(name), key=str),
        "indexes": sorted(_index(one) for one in found.get_indexes(name)),
    }


def _index(one: Any) -> str:
    conditions = {key: str(value) for key, value in one.get("dialect_options", {}).items()}
    return str([one["name"], one["column_names"], bool(one["unique"]), sorted(conditions.items())])


def test_trap_d5_migrations_lead_to_the_tables_in_code(empty: Settings, tmp_path: Path) -> None:
    """Alembic finds no difference, nor does a look at every column, key and index of both ways."""
    with closing(open_storage(empty.database.url)) as storage:
        assert migrate(storage) == ("", SCHEMA_VERSION)
        with storage.read() as tx:
            assert compare_metadata(MigrationContext.configure(tx), metadata) == []
        migrated = described(storage)
        with storage.write() as tx:
            metadata.drop_all(tx)
        assert schema.create(storage)
        assert described(storage) == migrated
    assert len(migrated["tables"]) == len(metadata.tables)


def test_trap_d5_the_version_in_code_is_the_head() -> None:
    """And there is one head."""
    assert ScriptDirectory.from_config(config()).get_heads() == [SCHEMA_VERSION]


def test_a_schema_that_is_up_to_date_stays(empty: Settings) -> None:
    """Nothing is done twice, on whichever road it was made."""
    with closing(open_storage(empty.database.url)) as storage:
        schema.create(storage)
        assert migrate(storage) == (SCHEMA_VERSION, SCHEMA_VERSION)
        assert not schema.create(storage)
        assert not schema.is_old(storage)
    assert upgrade(empty, TESTER) == (SCHEMA_VERSION, SCHEMA_VERSION)


@pytest.mark.parametrize("die_at", [5, 12, 24])
def test_trap_d5_killed_in_the_middle_the_old_schema_is_whole(empty: Settings, die_at: int) -> None:
    """Nothing of the migration is there; the next one runs through."""
    process = start(empty, die_at)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    with closing(open_storage(empty.database.url)) as storage:
        with storage.read() as tx:
            assert inspect(tx).get_table_names() == []
        assert migrate(storage) == ("", SCHEMA_VERSION)
        schema.check(storage)


def test_two_processes_that_migrate_at_once_do_it_once(empty: Settings) -> None:
    """One migrates, the other waits and finds it done."""
    running = [start(empty) for _ in range(3)]
    told = [process.communicate(timeout=60) for process in running]
    answers = sorted(out.strip() for out, _ in told)
    assert answers == [SCHEMA_VERSION, *[f"{SCHEMA_VERSION} {SCHEMA_VERSION}"] * 2], told


def test_trap_d5_what_0001_holds_is_kept_and_found(empty: Settings) -> None:
    """A site of the first schema with traces: they are found by their Message-ID and counted by the hour."""
    with closing(open_storage(empty.database.url)) as storage:
        migrate(storage, "0001")
        old = "INSERT INTO trace VALUES (?, 1, ?, ?, 'smtp', NULL, 'x', '', '[]', ?, '250 ok', '[]')"
        with storage.write() as tx:
            for number, header in enumerate(("<a@x>", "<b@x>", "")):
                storage.execute_many(tx, old, [(number + 1, 1000 + number, bool(header), header)])
        assert migrate(storage) == ("0001", SCHEMA_VERSION)
        by = Principal.local("tester")
        with storage.read() as tx:
            assert [row.id for row in traces.by_message_id(tx, by, "b@x")] == [2]
            assert traces.count(tx, by, 1001) == (1, 1)
            assert upkeeps.last(tx, "gc") is None


def test_a_site_of_0017_gets_back_what_that_dropped(empty: Settings) -> None:
    """It ran for a while; a site that never had it comes to the same tables."""
    with closing(open_storage(empty.database.url)) as storage:
        migrate(storage, "0016")
        before = described(storage)["tables"]
        migrate(storage, "0017")
        with storage.write() as tx:
            tx.execute(text("DROP INDEX ix_message_account_id"))
            tx.execute(text("DROP INDEX ix_hook_log_at_ms"))
        assert migrate(storage) == ("0017", SCHEMA_VERSION)
        for table in ("message", "hook_log"):
            assert described(storage)["tables"][table] == before[table]


def test_entries_of_0018_are_listed_without_details(empty: Settings) -> None:
    """The audit of before says on what, and as ever nothing of what exactly."""
    with closing(open_storage(empty.database.url)) as storage:
        migrate(storage, "0018")
        with storage.write() as tx:
            storage.execute_many(tx, "INSERT INTO audit VALUES (?, 1, 5, 'a', 'x.y', 'subject')", [(7,)])
        assert migrate(storage) == ("0018", SCHEMA_VERSION)
        with storage.read() as tx:
            (entry,) = audits.page(tx, TESTER, audits.Sought(since_ms=0), 0, 10)
        assert (entry.subject, entry.details) == ("subject", None)


def test_a_newer_schema_is_left_alone(empty: Settings) -> None:
    """It is refused by the migration and by everything that opens a site."""
    create_site(empty, "tester")
    with closing(open_storage(empty.database.url)) as storage:
        with storage.write() as tx:
            tx.execute(alembic_version.update().values(version_num="9999"))
        with pytest.raises(NewerSite):
            migrate(storage)
        with pytest.raises(NewerSite):
            schema.check(storage)
    for use in (
        lambda settings: upgrade(settings, TESTER),
        open_site,
        lambda settings: create_site(settings, "tester"),
    ):
        with pytest.raises(NewerSite):
            use(empty)


def test_there_is_nothing_to_upgrade_without_a_site(empty: Settings, tmp_path: Path) -> None:
    """Only `init`, `serve` and `restore` create one (rule D3)."""
    with pytest.raises(NoSite):
        upgrade(empty, TESTER)
    with pytest.raises(NoSite):
        upgrade(settings_for(tmp_path / "nowhere"), TESTER)


def test_an_old_schema_is_upgraded_by_itself_where_the_settings_say_so(empty: Settings) -> None:
    """By default on SQLite only; elsewhere the error names the command."""
    with closing(open_storage(empty.database.url)) as storage, storage.write() as tx:
        alembic_version.create(tx)
    if empty.database.auto_upgrade:
        assert empty.database.sqlite_path is not None
        create_site(empty, "tester")
        open_site(empty).close()
        return
    with pytest.raises(BadConfig, match="mairust db upgrade"):
        create_site(empty, "tester")
    assert upgrade(empty, TESTER) == ("", SCHEMA_VERSION)
    create_site(empty, "tester")


def test_an_upgrade_is_audited(empty: Settings) -> None:
    """By whom, from where to where; nothing to do leaves no entry."""
    with closing(open_storage(empty.database.url)) as storage:
        migrate(storage, "0001")
    assert upgrade(empty, TESTER) == ("0001", SCHEMA_VERSION)
    assert upgrade(empty, TESTER) == (SCHEMA_VERSION, SCHEMA_VERSION)
    with closing(open_storage(empty.database.url)) as storage, storage.read() as tx:
        entries = audits.page(tx, TESTER, audits.Sought(since_ms=0, operation="db"), 0, 10)
    assert [(one.actor, one.subject) for one in entries] == [("local:tester", f"0001 to {SCHEMA_VERSION}")]


def test_alembic_is_loaded_for_nothing_but_an_upgrade(tmp_path: Path) -> None:
    """Making, opening and using a site does without."""
    script = """
import sys
from pathlib import Path
from mairust_core.config import load_settings
from mairust_core.app import opened
from mairust_core.first_run import create_site
settings = load_settings(data_dir=Path(sys.argv[1]), env={})
create_site(settings, "tester")
with opened(settings) as site:
    site.ids.next()
    site.collect()
print([name for name in sys.modules if name.startswith("alembic")])
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "site")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
