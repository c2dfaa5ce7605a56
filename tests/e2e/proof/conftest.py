"""Sites on both databases, with the durable settings that servers have; seeds that are printed."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.proof.ledger import Ledger
from tests.support.postgres import PostgresServer, require_server
from tests.support.server import Site, make_site


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL of our own that syncs, stops and starts as in production."""
    server = require_server(durable=True, outside=False)
    yield server
    server.kill()  # no checkpoint for files that are thrown away
    server.stop()


@pytest.fixture(scope="session")
def template_on_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A site on SQLite that is only copied."""
    return make_site(tmp_path_factory.mktemp("template") / "site")


@pytest.fixture(scope="session")
def template_on_postgres(
    tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer
) -> tuple[Site, str]:
    """A site on PostgreSQL that is only copied, and the name of its database."""
    name = postgres.create_database()
    directory = tmp_path_factory.mktemp("template") / "site"
    return make_site(directory, database=postgres.dsn(name)), name


@pytest.fixture
def sqlite_site(tmp_path: Path, template_on_sqlite: Site) -> Site:
    """A fresh site on SQLite."""
    shutil.copytree(template_on_sqlite.directory, tmp_path / "site")
    return Site(directory=tmp_path / "site")


@pytest.fixture
def postgres_site(
    tmp_path: Path, postgres: PostgresServer, template_on_postgres: tuple[Site, str]
) -> Iterator[Site]:
    """A fresh site on PostgreSQL."""
    template, database = template_on_postgres
    shutil.copytree(template.directory, tmp_path / "site")
    name = postgres.create_database(template=database)
    yield Site(directory=tmp_path / "site", database=postgres.dsn(name))
    postgres.drop_database(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def site(request: pytest.FixtureRequest) -> Site:
    """A fresh site, on each database."""
    found: Site = request.getfixturevalue("sqlite_site" if request.param == "sqlite" else "postgres_site")
    return found


@pytest.fixture
def rng() -> random.Random:
    """Chance; `MAIRUST_PROOF_SEED` repeats it."""
    seed = os.environ.get("MAIRUST_PROOF_SEED") or str(random.SystemRandom().randrange(1 << 32))
    print(f"MAIRUST_PROOF_SEED={seed}")
    return random.Random(seed)


@pytest.fixture
def ledger() -> Ledger:
    """What the clients of this test were told."""
    return Ledger()
