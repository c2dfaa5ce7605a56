"""Databases for every suite: PostgreSQL once per test process, a fresh database for each test."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import hypothesis
import pytest

from mairust_core.config import Settings
from mairust_core.store import open_storage, schema
from tests.support import memory
from tests.support.postgres import PostgresServer, require_server
from tests.support.skips import pytest_make_collect_report as pytest_make_collect_report
from tests.support.skips import pytest_runtest_makereport as pytest_runtest_makereport
from tests.support.stores import Kit, open_kit, settings_for

# Otherwise each of the thousand processes that tests start would compile what it imports.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

gc.set_threshold(10_000)
"""The thousands of tests themselves are what it would walk, and stay to the end."""

hypothesis.settings.register_profile("ours", deadline=None, print_blob=True)
hypothesis.settings.load_profile("ours")
"""A busy machine is no fault of what is tested; a failure says how to see it again."""

ROOM_BYTES = 3 << 30
"""Twice what they come to."""
if found := memory.place(ROOM_BYTES):
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(found))

LONG = ("contract/test_api_fuzz.py", "e2e/docs/test_readme.py", "e2e/proof/test_outages.py")
"""Files with tests of ten seconds and more, which begin first: at the end one would leave a worker idle."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long comes first; the rest keeps its order."""
    items.sort(key=lambda item: not item.nodeid.partition("::")[0].endswith(LONG))


def pytest_collection_finish() -> None:
    """What was imported and collected is walked no more."""
    gc.freeze()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A fast server, for functional tests only."""
    server = require_server()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def postgres_template(postgres_server: PostgresServer) -> str:
    """A database with our tables and nothing in them."""
    name = postgres_server.create_database()
    with closing(open_storage(postgres_server.dsn(name))) as storage:
        schema.create(storage)
    return name


@pytest.fixture(params=["sqlite", "postgresql"])
def site_settings(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Settings]:
    """The settings of a site on each database in turn, with nothing in it."""
    if request.param == "sqlite":
        yield settings_for(tmp_path / "site")
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    name = server.create_database(template=request.getfixturevalue("postgres_template"))
    yield settings_for(tmp_path / "site", server.dsn(name))
    server.drop_database(name)


@pytest.fixture
def kit(site_settings: Settings) -> Iterator[Kit]:
    """An open site on each database, with blobs on the disk."""
    with open_kit(site_settings) as made:
        yield made
