"""`init --database postgresql://…` and the same commands on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command_line import Run
from tests.support.postgres import PostgresServer, require_server


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A PostgreSQL of this module."""
    running = require_server()
    yield running
    running.stop()


def test_rule_d5_init_chooses_postgresql_for_every_later_command(
    run: Run, server: PostgresServer, tmp_path: Path, mail: Path
) -> None:
    """No file is written by hand."""
    url = server.dsn(server.create_database())
    at = ["--data-dir", str(tmp_path / "pg")]
    made = run("init", "--database", url, *at, "--json")
    assert made.code == 0, made.stderr
    assert made.json["database"] == "postgresql"
    assert not (tmp_path / "pg/mairust.db").exists()
    assert run("init", *at, "--json").json["created"] is False
    assert run("domain", "add", "example.org", *at).code == 0
    assert run("account", "add", "ann@example.org", *at).code == 0
    added = run("message", "append", str(mail), "--account", "ann@example.org", "--json", *at).json
    assert run("message", "show", added["id"], "--original", *at).stdout == mail.read_bytes()
    assert run("db", "check", "--json", *at).json["database"] == "postgresql"
    assert run("db", "upgrade", *at).code == 0


def test_a_database_that_is_not_there_is_exit_75_and_is_not_kept(run: Run, tmp_path: Path) -> None:
    """So that the next try may name another; the password is in no message."""
    at = ["--data-dir", str(tmp_path / "pg")]
    down = run("init", "--database", "postgresql://mairust:geheim@127.0.0.1:1/mairust", *at)
    assert down.code == 75
    assert "geheim" not in down.stderr
    assert not (tmp_path / "pg/mairust.toml").exists()
    assert run("init", *at).code == 0
