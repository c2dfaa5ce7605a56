"""What is found of databases: on a real SQLite, and by what a PostgreSQL server says of itself."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from mairust_core.doctor.databases import (
    ACCOUNTS,
    MAILS_A_DAY,
    SIZE_BYTES,
    judged_clock,
    judged_growth,
    judged_server,
)
from mairust_core.model.finding import Level
from mairust_core.store.inspection import ServerFacts
from tests.integration.doctor.conftest import Examine
from tests.support.harm import harm
from tests.support.users import NOBODY

GOOD = {
    "fsync": "on", "full_page_writes": "on", "synchronous_commit": "on", "synchronous_standby_names": "",
    "max_connections": "100", "superuser_reserved_connections": "3", "reserved_connections": "0",
}  # fmt: skip


def ids(standbys: int = 0, connections: int = 40, **changed: str) -> list[str]:
    """What is found of a server with these settings."""
    facts = ServerFacts(settings=GOOD | changed, standbys=standbys)
    return [one.id for one in judged_server(facts, connections)]


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, []),
        ({"fsync": "off"}, ["postgresql.fsync"]),
        ({"full_page_writes": "off"}, ["postgresql.full_page_writes"]),
        ({"synchronous_commit": "off"}, ["postgresql.synchronous_commit"]),
        ({"synchronous_commit": "remote_apply"}, []),
        ({"max_connections": "42"}, ["postgresql.connections"]),
        ({"max_connections": "43"}, []),
        ({"max_connections": "43", "reserved_connections": "1"}, ["postgresql.connections"]),
    ],
)
def test_settings_of_postgresql(changed: dict[str, str], expected: list[str]) -> None:
    """Those on which a 250 depends, and room for our connections."""
    assert ids(0, 40, **changed) == expected


def test_rule_d6_asynchronous_replicas() -> None:
    """They void a 250 when one takes over; synchronous ones do not."""
    assert ids(standbys=1) == ["postgresql.asynchronous_replica"]
    assert ids(standbys=1, synchronous_standby_names="ANY 1 (*)") == []


@pytest.mark.parametrize(
    ("mails", "people", "size", "outgrown"),
    [
        (MAILS_A_DAY, ACCOUNTS, SIZE_BYTES, False),
        (MAILS_A_DAY + 1, 0, 0, True),
        (0, ACCOUNTS + 1, 0, True),
        (0, 0, SIZE_BYTES + 1, True),
    ],
)
def test_r_db_2_a_site_that_outgrows_sqlite(mails: int, people: int, size: int, outgrown: bool) -> None:
    """One finding with all the numbers, or none."""
    found = judged_growth(mails, people, size)
    assert [one.id for one in found] == (["sqlite.outgrown"] if outgrown else [])
    assert all((one.values["mails"], one.values["accounts"]) == (mails, people) for one in found)


@pytest.mark.parametrize(
    ("now", "theirs", "newest", "expected"),
    [
        (10**12, 10**12 + 5000, 0, []),
        (10**12, 10**12 + 5001, 0, ["clock.skew"]),
        (10**12, 10**12 - 60_000, 0, ["clock.skew"]),
        (10**12, 10**12, 10**12 + 10_000, []),
        (10**12, 10**12, 10**12 + 10_001, ["clock.back"]),
    ],
)
def test_clocks(now: int, theirs: int, newest: int, expected: list[str]) -> None:
    """Against the database's, and against the newest id."""
    assert [one.id for one in judged_clock(now, theirs, newest)] == expected


@pytest.mark.parametrize(
    ("version", "id_"), [("0000", "database.old_schema"), ("9999", "database.newer_schema")]
)
def test_the_schema_is_of_another_version(data_dir: Path, found: Examine, version: str, id_: str) -> None:
    """Nothing more is asked of such a database."""
    with closing(sqlite3.connect(data_dir / "mairust.db")) as database:
        database.execute("UPDATE alembic_version SET version_num = ?", (version,))
        database.commit()
    one = found()[id_]
    assert one.level is Level.ERROR
    assert version in one.what
    assert "domain.none" not in found()


def test_a_database_without_a_site(data_dir: Path, found: Examine) -> None:
    """An empty file is no site."""
    for name in ("mairust.db-wal", "mairust.db-shm"):
        (data_dir / name).unlink(missing_ok=True)
    os.truncate(data_dir / "mairust.db", 0)
    (data_dir / "blobs" / "owner").unlink()
    assert "database.empty" in found()


def test_a_database_that_is_garbage(data_dir: Path, found: Examine) -> None:
    """Is a finding with what SQLite says, and the rest is looked at all the same."""
    for name in ("mairust.db-wal", "mairust.db-shm"):
        (data_dir / name).unlink(missing_ok=True)
    (data_dir / "mairust.db").write_bytes(b"not a database at all" * 500)
    (data_dir / "admin.token").chmod(0o644)
    told = found()
    assert "not a database" in told["database.damaged"].what
    assert told["database.damaged"].level is Level.ERROR
    assert "admin_token.readable" in told


def test_a_page_that_is_garbage(data_dir: Path, found: Examine) -> None:
    """One finding, an error, however many checks come upon it."""
    harm(data_dir, "domain")
    told = found()
    assert told["database.damaged"].level is Level.ERROR
    assert "restore the last backup" in told["database.damaged"].mend
    assert "doctor.check_failed" not in told


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
@pytest.mark.parametrize("name", ["mairust.db", "write.lock"])
def test_a_file_of_root_that_the_site_has_to_write(data_dir: Path, found: Examine, name: str) -> None:
    """As a command run by root in another way leaves it; the command that is named mends it."""
    (data_dir / "write.lock").touch(0o600)
    for path in (data_dir, *data_dir.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    os.chown(data_dir / name, 0, 0)
    one = found()["database.not_writable"]
    assert one.level is Level.ERROR
    assert f"{data_dir / name}: " in one.what
    command = one.mend.partition(";")[0].replace("USER", str(NOBODY))
    subprocess.run(["sh", "-euc", command], check=True)
    assert "database.not_writable" not in found()


def test_a_server_that_does_not_answer(found: Examine) -> None:
    """Within its time-out, without its password."""
    told = found(database__url="postgresql://u:hush@127.0.0.1:9/d")
    assert told["database.unreachable"].level is Level.ERROR
    assert "hush" not in repr(told)


def test_rule_d1_an_unsafe_sqlite(found: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The standard library's may be one: doctor tells exactly when it is."""
    from mairust_core.store.sqlite import corruption_fixed

    monkeypatch.setenv("MAIRUST_SQLITE", "stdlib")
    assert ("sqlite.version" in found()) is not corruption_fixed(sqlite3.sqlite_version_info)
