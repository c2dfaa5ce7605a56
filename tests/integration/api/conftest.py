"""One served site on SQLite for the tests of HTTP itself."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import uuid4

import httpx
import pytest

from mairust_core.app import Site, opened
from mairust_core.config import load_settings
from mairust_core.first_run import ADMIN_TOKEN, create_site
from mairust_core.model.account import Account, NewAccount
from mairust_core.model.domain import NewDomain
from mairust_core.model.principal import Principal
from mairust_core.services.accounts import Accounts
from mairust_core.services.domains import Domains
from tests.support.http_server import HttpServerProcess, running

MIB = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Web:
    """The site, its server, and a plain HTTP client with the first administrator's key."""

    site: Site
    http: HttpServerProcess
    key: str
    client: httpx.Client

    @property
    def bearer(self) -> str:
        """The header line with the key."""
        return f"Authorization: Bearer {self.key}"

    def wait_for_log(self, text: str, times: int = 1) -> str:
        """The server's log, once it has the text so many times; a line comes after its answer."""
        deadline = time.monotonic() + 30
        while (log := self.http.log.read_text()).count(text) < times:
            assert time.monotonic() < deadline, f"{text!r} was never logged"
            time.sleep(0.01)
        return log


@pytest.fixture(scope="session")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """The served site; messages may have 2 MiB."""
    data_dir = tmp_path_factory.mktemp("web")
    (data_dir / "mairust.toml").write_text('[smtp]\nmax_size = "2MiB"\n')
    settings = load_settings(data_dir=data_dir, env={})
    create_site(settings, "tester")
    key = (data_dir / ADMIN_TOKEN).read_text().strip()
    with (
        opened(settings) as site,
        running(data_dir) as http,
        httpx.Client(
            base_url=http.url, headers={"authorization": f"Bearer {key}"}, trust_env=False, timeout=60
        ) as client,
    ):
        yield Web(site=site, http=http, key=key, client=client)


@pytest.fixture
def ann(web: Web) -> Account:
    """An account in a domain of its own."""
    by = Principal.local("tester")
    name = web.site.service(Domains, by).add(NewDomain(name=f"w{uuid4().hex[:10]}.example")).name
    return web.site.service(Accounts, by).add(NewAccount(address=f"ann@{name}"))
