"""Directories that cannot be served: the error says why, the exit code is the one scripts expect."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from sqlalchemy import update

from mairust_core.store.tables import alembic_version
from tests.support.server import (
    END_TIMEOUT_S,
    Server,
    ServerFailed,
    Site,
    clean_environment,
    command_line,
)
from tests.support.users import AS_NOBODY


def test_rule_d3_a_data_directory_of_another_owner_is_not_served() -> None:
    """Exit 77, naming the directory: files of a second owner would lock the first one out."""
    listeners = ("--smtp", "127.0.0.1:0", "--lmtp", "off", "--http", "off")
    roots = Site(directory=Path("/"))
    done = subprocess.run(
        [*AS_NOBODY, *command_line(roots, "serve", *listeners)],
        env=clean_environment(),
        cwd="/",
        capture_output=True,
        check=False,
        timeout=END_TIMEOUT_S,
    )
    assert done.returncode == 77, done.stderr
    assert b"/ belongs to the user with id 0" in done.stderr


def test_a_site_of_a_newer_version_is_not_served_and_not_changed(sqlite_site: Site) -> None:
    """Exit 78, naming both versions; a command says the same."""
    with sqlite_site.opened() as here, here.storage.write() as tx:
        tx.execute(update(alembic_version).values(version_num="9999"))
    with pytest.raises(ServerFailed, match=r"exit 78: .*newer_site.*9999"):
        Server(site=sqlite_site).start()
    assert sqlite_site.command("domain", "list").returncode == 78


def test_a_configuration_that_leads_nowhere_makes_no_other_site(sqlite_site: Site) -> None:
    """A disk that is not mounted: `serve` exits 78, `deliver` 75, so that mail waits."""
    (sqlite_site.directory / "mairust.toml").symlink_to(sqlite_site.directory / "not-mounted.toml")
    with pytest.raises(ServerFailed, match=r"exit 78: .*leads nowhere"):
        Server(site=sqlite_site).start()
    assert sqlite_site.command("deliver", "user0@example.org").returncode == 75
