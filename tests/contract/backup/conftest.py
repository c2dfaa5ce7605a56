"""Sites to back up on each database, and places to restore them to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from mairust_core.app import Site, opened
from mairust_core.config import Settings
from mairust_core.transfer.repository import Repository
from tests.support.postgres import PostgresServer
from tests.support.sites import furnish, make_site
from tests.support.stores import settings_for

EmptySettings = Callable[..., Settings]
"""The settings of a place where there is nothing yet: `empty("postgresql")`."""


@pytest.fixture
def site(site_settings: Settings) -> Iterator[Site]:
    """A furnished site on each database in turn."""
    make_site(site_settings)
    with opened(site_settings) as made:
        furnish(made)
        yield made


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[Site]:
    """A furnished site on SQLite, for what does not depend on the database."""
    settings = settings_for(tmp_path / "site")
    make_site(settings)
    with opened(settings) as made:
        furnish(made)
        yield made


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """A new plain repository."""
    return Repository.create(tmp_path / "repository")


@pytest.fixture
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EmptySettings]:
    """Makes settings of new places, as many as are asked for."""
    with ExitStack() as stack:
        made: list[Settings] = []

        def make(database: str = "sqlite") -> Settings:
            directory = tmp_path / f"empty{len(made)}"
            url = None
            if database == "postgresql":
                server: PostgresServer = request.getfixturevalue("postgres_server")
                name = server.create_database()
                stack.callback(server.drop_database, name)
                url = server.dsn(name)
            made.append(settings_for(directory, url))
            return made[-1]

        yield make
