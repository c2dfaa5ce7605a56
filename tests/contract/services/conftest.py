"""One site per database with a real HTTP server beside it; every test does its work both ways.

Tests share a site (a server takes a second to start) and keep apart by domains of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

import pytest

from mairust_core.app import Site, opened
from mairust_core.config import Settings, load_settings
from mairust_core.first_run import ADMIN_TOKEN, create_site
from mairust_core.model.account import Account, NewAccount
from mairust_core.model.domain import NewDomain
from mairust_core.model.principal import Principal, ReachKind, Scope
from mairust_core.model.token import NewToken
from mairust_core.operations import Service
from mairust_core.remote import Server, remote
from mairust_core.services.accounts import Accounts
from mairust_core.services.domains import Domains
from mairust_core.services.tokens import Tokens
from tests.support.http_server import HttpServerProcess, running
from tests.support.linking import allow_unsigned
from tests.support.postgres import PostgresServer, require_server

S = TypeVar("S", bound=Service)


@dataclass(frozen=True, kw_only=True)
class Served:
    """A site that this process has open while a server process serves it."""

    site: Site
    http: HttpServerProcess
    admin_key: str
    servers: dict[str, Server] = field(default_factory=dict)

    def here(self, kind: type[S]) -> S:
        """The service as a local command has it."""
        return self.site.service(kind, Principal.local("tester"))

    def there(self, kind: type[S], key: str | None = None) -> S:
        """The service over HTTP, as the first administrator unless a key is given."""
        return remote(kind, self.server(key))

    def server(self, key: str | None = None) -> Server:
        """The server as the proxy sees it; one for each key."""
        token = key or self.admin_key
        if token not in self.servers:
            self.servers[token] = Server(url=self.http.url, token=token)
        return self.servers[token]

    def issue(self, *scopes: Scope, reach: ReachKind = ReachKind.SITE, subject: str | None = None) -> str:
        """A new API key."""
        new = NewToken(name="of a test", scopes=scopes, reach=reach, subject=subject)
        return self.here(Tokens).create(new).key


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One PostgreSQL per test process."""
    server = require_server()
    yield server
    server.stop()


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A served site on each database."""
    with serving(request, tmp_path_factory.mktemp("site")) as found:
        yield found


@contextmanager
def serving(request: pytest.FixtureRequest, data_dir: Path) -> Iterator[Served]:
    """A new site that is served, on the database that a fixture's parameter names."""
    url = None
    if request.param == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres")
        url = server.dsn(server.create_database())
    settings = _make_site(data_dir, url)
    admin_key = (settings.data_dir / ADMIN_TOKEN).read_text().strip()
    with opened(settings) as site, running(settings.data_dir, url) as http:
        found = Served(site=site, http=http, admin_key=admin_key)
        yield found
        for used in found.servers.values():
            used.close()


def _make_site(data_dir: Path, url: str | None) -> Settings:
    allow_unsigned(data_dir)
    settings = load_settings(data_dir=data_dir, env={}, overrides={"database.url": url})
    create_site(settings, "tester")
    return settings


@pytest.fixture(params=["locally", "remotely"])
def ops(request: pytest.FixtureRequest, served: Served) -> Callable[[type[S]], S]:
    """Gives a service: in this process, or through the server."""
    return served.here if request.param == "locally" else served.there


@pytest.fixture
def domain(served: Served) -> str:
    """A new domain that only this test knows."""
    return served.here(Domains).add(NewDomain(name=f"d{uuid4().hex[:12]}.example")).name


@pytest.fixture
def ann(served: Served, domain: str) -> Account:
    """An account in that domain."""
    return served.here(Accounts).add(NewAccount(address=f"ann@{domain}"))
