"""Sites to back up on each database, and places to restore them to."""

from __future__ import annotations

import shutil
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


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a furnished site on SQLite, to be copied."""
    return _furnished(settings_for(tmp_path_factory.mktemp("furnished") / "site"))


@pytest.fixture(scope="session")
def furnished_on_postgres(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: PostgresServer
) -> tuple[Path, str]:
    """The same on PostgreSQL, and the name of its database."""
    name = postgres_server.create_database()
    directory = tmp_path_factory.mktemp("furnished") / "site"
    return _furnished(settings_for(directory, postgres_server.dsn(name))), name


def _furnished(settings: Settings) -> Path:
    make_site(settings)
    with opened(settings) as made:
        furnish(made)
    return settings.data_dir


@pytest.fixture(params=["sqlite", "postgresql"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    """A furnished site on each database in turn."""
    if request.param == "sqlite":
        yield request.getfixturevalue("embedded")
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    directory, template = request.getfixturevalue("furnished_on_postgres")
    shutil.copytree(directory, tmp_path / "site")
    name = server.create_database(template=template)
    with opened(settings_for(tmp_path / "site", server.dsn(name))) as made:
        yield made
    server.drop_database(name)


@pytest.fixture
def embedded(tmp_path: Path, furnished: Path) -> Iterator[Site]:
    """A furnished site on SQLite, for what does not depend on the database."""
    shutil.copytree(furnished, tmp_path / "site")
    with opened(settings_for(tmp_path / "site")) as made:
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
