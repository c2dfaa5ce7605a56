"""Sites on both databases, with the durable settings that servers have; seeds that are printed."""

from __future__ import annotations

import os
import random
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


@pytest.fixture
def sqlite_site(tmp_path: Path) -> Site:
    """A fresh site on SQLite."""
    return make_site(tmp_path / "site")


@pytest.fixture
def postgres_site(tmp_path: Path, postgres: PostgresServer) -> Iterator[Site]:
    """A fresh site on PostgreSQL."""
    name = postgres.create_database()
    yield make_site(tmp_path / "site", database=postgres.dsn(name))
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
