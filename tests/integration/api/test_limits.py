"""Limits of rate and of wrong keys over HTTP, for clients at other addresses (rule J2, trap A4)."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import httpx
import pytest

from mairust_core.access.throttle import PER_ADDRESS, PER_SUBJECT
from mairust_core.api import create_app
from mairust_core.api.authentication import RENEW_S, Authentication, Doorkeeper, key_of
from mairust_core.api.server import HttpServer
from mairust_core.app import Site, opened
from mairust_core.config import Settings, load_settings
from mairust_core.errors import Unauthenticated
from mairust_core.first_run import ADMIN_TOKEN, create_site
from mairust_core.model.principal import Principal, Scope
from mairust_core.model.token import NewToken
from mairust_core.services.tokens import Tokens
from tests.integration.api.test_authentication import Clock, scope_of

FROM = "x-test-from"
PATH = "/api/v1/domains"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A site that grants little."""
    overrides = {
        "http.address_requests_per_minute": 60,
        "http.key_requests_per_minute": 120,
        "http.trusted_networks": ["203.0.113.0/24"],
    }
    made = load_settings(data_dir=tmp_path / "site", env={}, overrides=overrides)
    create_site(made, "tester")
    return made


@pytest.fixture
def site(settings: Settings) -> Iterator[Site]:
    """It, open."""
    with opened(settings) as made:
        yield made


class Elsewhere:
    """Makes the address in a header that of the client, and the connection one over TLS."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Serve a request as if it came from there."""
        given = dict(scope.get("headers", ()))
        if FROM.encode() in given:
            address = given[FROM.encode()].decode()
            scope = scope | {"client": (address, 1) if address != "unix" else None, "scheme": "https"}
            if address == "unix":
                scope["server"] = ("/run/http.sock", None)
        await self._app(scope, receive, send)


@contextlib.asynccontextmanager
async def serving(site: Site) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a server in this process, with the first administrator's key."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = HttpServer(Elsewhere(create_app(site)))
    await server.start([listener])
    key = (site.settings.data_dir / ADMIN_TOKEN).read_text().strip()
    base = f"http://127.0.0.1:{listener.getsockname()[1]}"
    try:
        async with httpx.AsyncClient(
            base_url=base, headers={"authorization": f"Bearer {key}"}, trust_env=False, timeout=30
        ) as one:
            yield one
    finally:
        await server.stop(5)


async def statuses(client: httpx.AsyncClient, times: int, address: str, **headers: str) -> list[int]:
    """What so many requests from an address get."""
    return [(await client.get(PATH, headers={FROM: address, **headers})).status_code for _ in range(times)]


async def test_an_address_gets_429_beyond_its_rate_and_others_do_not(site: Site) -> None:
    """With Retry-After; the answer costs nothing more, and health is always told."""
    async with serving(site) as client:
        found = await statuses(client, 14, "192.0.2.1")
        assert found[:10] == [200] * 10
        assert 429 in found[10:]
        refused = await client.get(PATH, headers={FROM: "192.0.2.1"})
        if refused.status_code == 429:
            assert refused.json()["code"] == "too_many"
            assert int(refused.headers["retry-after"]) >= 1
        assert (await client.get("/health/live", headers={FROM: "192.0.2.1"})).status_code == 200
        assert await statuses(client, 3, "192.0.2.2") == [200] * 3


async def test_an_ipv6_network_is_one_client(site: Site) -> None:
    """Who changes the address within its /64 gains nothing."""
    async with serving(site) as client:
        found = [await statuses(client, 1, f"2001:db8::{number:x}") for number in range(1, 15)]
        assert [429] in found[10:]
        assert await statuses(client, 1, "2001:db8:0:1::1") == [200]


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "unix", "203.0.113.9"])
async def test_rule_j2_limits_by_address_skip_loopback_sockets_and_trusted_networks(
    site: Site, address: str
) -> None:
    """The limit of the key holds for them as well."""
    async with serving(site) as client:
        found = await statuses(client, 24, address)
        assert found[:20] == [200] * 20
        assert 429 in found[20:]


async def test_trap_a4_wrong_keys_close_an_address_for_wrong_keys_only(site: Site) -> None:
    """Every kind of wrong key is counted alike; the right key of a neighbour still opens."""
    revoked = site.service(Tokens, Principal.local("t")).create(NewToken(name="x", scopes=(Scope.READ,)))
    site.service(Tokens, Principal.local("t")).revoke(revoked.token.id)
    wrong = [f"mk_{number:016x}_nothing" for number in range(30)]
    async with serving(replace_rates(site)) as client:
        found = []
        for number, key in enumerate(wrong):
            key = revoked.key if number == 5 else "nonsense" if number == 6 else key
            found += await statuses(client, 1, "192.0.2.1", authorization=f"Bearer {key}")
        assert found[: PER_ADDRESS.at_once] == [401] * PER_ADDRESS.at_once
        assert 429 in found[PER_ADDRESS.at_once :]
        assert set(found) == {401, 429}
        closed = await client.get(PATH, headers={FROM: "192.0.2.1", "authorization": f"Bearer {wrong[0]}"})
        if closed.status_code == 429:
            assert int(closed.headers["retry-after"]) >= 1
        assert await statuses(client, 1, "192.0.2.1") == [200]
        assert await statuses(client, 1, "192.0.2.9", authorization=f"Bearer {wrong[29]}") == [401]


async def test_trap_a4_wrong_secrets_for_one_key_are_counted_and_never_lock_it(site: Site) -> None:
    """From wherever they come; whoever has the secret is let in all the time."""
    issued = site.service(Tokens, Principal.local("t")).create(NewToken(name="x", scopes=(Scope.READ,)))
    async with serving(replace_rates(site)) as client:
        found = []
        for number in range(PER_SUBJECT.at_once + 4):
            bearer = f"Bearer mk_{issued.token.id}_wrong{number}"
            found += await statuses(client, 1, f"192.0.2.{number}", authorization=bearer)
        assert found == [401] * PER_SUBJECT.at_once + [429] * 4
        right = await client.get(PATH, headers={"authorization": f"Bearer {issued.key}"})
        assert right.status_code == 200


def replace_rates(site: Site) -> Site:
    """The same site without limits of rate."""
    site.settings = replace(
        site.settings,
        http=replace(
            site.settings.http,
            address_requests_per_minute=0,
            key_requests_per_minute=0,
            trusted_networks=(ip_network("203.0.113.0/24"),),
        ),
    )
    return site


class Counting(Authentication):
    """Counts its looks at the database."""

    looks = 0

    def check(self, key: Any, ip: str | None = None) -> Principal:
        """One look."""
        self.looks += 1
        time.sleep(0.05)
        return super().check(key, ip)


async def test_requests_with_one_key_share_one_look_at_the_database(site: Site) -> None:
    """Sixteen at once, for a right key as for a wrong one."""
    keys = Counting(site.storage)
    door = Doorkeeper(keys, asyncio.to_thread)
    good = key_of(scope_of("Bearer " + (site.settings.data_dir / ADMIN_TOKEN).read_text().strip()))
    assert len(set(await asyncio.gather(*[door.principal(good, None) for _ in range(16)]))) == 1
    assert keys.looks == 1
    wrong = key_of(scope_of("Bearer mk_0123_x"))
    refused = await asyncio.gather(*[door.principal(wrong, None) for _ in range(16)], return_exceptions=True)
    assert {type(one) for one in refused} == {Unauthenticated}
    assert keys.looks == 2


async def test_a_key_in_use_is_looked_up_beside_the_requests(site: Site) -> None:
    """None of them waits for it; one that was revoked meanwhile is out as soon as that is seen."""
    clock = Clock()
    keys = Counting(site.storage, clock)
    door = Doorkeeper(keys, asyncio.to_thread)
    issued = site.service(Tokens, Principal.local("t")).create(NewToken(name="x", scopes=(Scope.READ,)))
    key = key_of(scope_of(f"Bearer {issued.key}"))
    by = await door.principal(key, None)
    clock.now += RENEW_S + 0.01
    assert await door.principal(key, None) == by
    await asyncio.gather(*door._looking.values())
    assert keys.looks == 2
    assert keys.age_s(key) == 0
    site.service(Tokens, Principal.local("t")).revoke(issued.token.id)
    clock.now += RENEW_S + 0.01
    assert await door.principal(key, None) == by
    await asyncio.gather(*door._looking.values(), return_exceptions=True)
    await asyncio.sleep(0)
    with pytest.raises(Unauthenticated):
        await door.principal(key, None)
