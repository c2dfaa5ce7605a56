"""What happens inside a server: unexpected errors, what outsiders are told, too much at once, slow bodies."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import socket
import threading
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from mairust_core.api import create_app
from mairust_core.api.edge import Bounds
from mairust_core.api.server import HttpServer
from mairust_core.errors import Damaged, StorageDown
from mairust_core.model.account import Account
from mairust_core.model.forms import Removed
from mairust_core.model.principal import Principal, ReachKind, Scope
from mairust_core.model.token import NewToken
from mairust_core.operations import Service, operation
from mairust_core.services.messages import Messages
from mairust_core.services.tokens import Tokens
from tests.integration.api.conftest import Web

ENTERED = threading.Semaphore(0)
GATE = threading.Event()


class Trouble(Service):
    """Operations that go wrong."""

    @operation("GET", "/trouble/bug", scope=Scope.READ)
    def bug(self) -> Removed:
        """Fail as a bug does."""
        raise ZeroDivisionError("secret-detail-of-a-bug")

    @operation("GET", "/trouble/threads", scope=Scope.READ)
    def threads(self) -> Removed:
        """Fail as a machine does that gives no more threads."""
        raise RuntimeError("can't start new thread")

    @operation("GET", "/trouble/down", scope=Scope.READ)
    def down(self) -> Removed:
        """Fail as a lost database does."""
        raise StorageDown("open", url="postgresql://inside.example/db", why="secret-host refused")

    @operation("GET", "/trouble/damaged", scope=Scope.READ)
    def damaged(self) -> Removed:
        """Fail as bytes that the disk lost do."""
        raise Damaged("blob", sha256="0" * 64, locator="inside.example:7", why="secret-host lost it")

    @operation("GET", "/trouble/wait", scope=Scope.READ)
    def wait(self) -> Removed:
        """Wait until the test goes on."""
        ENTERED.release()
        GATE.wait(30)
        return Removed(name="waited")


@contextlib.asynccontextmanager
async def client(web: Web, **bounds: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a server in this process."""
    app = create_app(web.site, services=(Trouble, Messages), bounds=Bounds(**bounds))
    listener = socket.create_server(("127.0.0.1", 0))
    server = HttpServer(app)
    await server.start([listener])
    base = f"http://127.0.0.1:{listener.getsockname()[1]}"
    headers = {"authorization": f"Bearer {web.key}"}
    try:
        async with httpx.AsyncClient(base_url=base, headers=headers, trust_env=False, timeout=30) as one:
            yield one
    finally:
        await server.stop(5)


async def test_a_bug_is_a_500_with_the_request_s_id(web: Web, caplog: pytest.LogCaptureFixture) -> None:
    """The client learns under which id the log tells more, and nothing of the bug."""
    async with client(web) as one:
        with caplog.at_level(logging.ERROR):
            answer = await one.get("/api/v1/trouble/bug")
    assert (answer.status_code, answer.json()["code"]) == (500, "failed")
    request_id = answer.headers["x-request-id"]
    assert request_id in answer.json()["hint"]
    assert "secret-detail" not in answer.text
    assert f"{request_id} trouble.bug failed" in caplog.text
    assert "secret-detail-of-a-bug" in caplog.text


async def test_what_the_machine_does_not_give_is_a_503(web: Web, caplog: pytest.LogCaptureFixture) -> None:
    """To be tried again; one line of the log tells what, and nothing is reported as a bug."""
    async with client(web) as one:
        with caplog.at_level(logging.ERROR):
            answer = await one.get("/api/v1/trouble/threads")
    assert (answer.status_code, answer.json()["code"]) == (503, "temporary")
    assert int(answer.headers["retry-after"]) > 0
    assert "gives no further thread" in answer.json()["detail"]
    assert "gives no further thread" in caplog.text
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("reach", [ReachKind.ACCOUNT, ReachKind.DOMAIN])
@pytest.mark.parametrize(("trouble", "code"), [("down", "storage_down"), ("damaged", "damaged")])
async def test_trap_a6_outsiders_learn_nothing_of_the_inside(
    web: Web, ann: Account, reach: ReachKind, trouble: str, code: str
) -> None:
    """Where database and bytes are and why they failed is told to keys of the site only."""
    subject = ann.address if reach is ReachKind.ACCOUNT else ann.address.partition("@")[2]
    new = NewToken(name="x", scopes=(Scope.READ,), reach=reach, subject=subject)
    narrow = web.site.service(Tokens, Principal.local("tester")).create(new).key
    path = f"/api/v1/trouble/{trouble}"
    async with client(web) as one:
        inside = await one.get(path)
        outside = await one.get(path, headers={"authorization": f"Bearer {narrow}"})
    assert "secret-host" in inside.json()["detail"]
    assert outside.status_code == inside.status_code
    assert outside.json()["code"] == code
    assert "inside.example" not in outside.text
    assert "secret-host" not in outside.text
    assert outside.headers.get("retry-after") == inside.headers.get("retry-after")


async def test_more_requests_than_places_are_sent_away(web: Web) -> None:
    """Beyond its bound a process answers 429 at once, and goes on when it has room."""
    GATE.clear()
    async with client(web, requests=2, threads=4) as one:
        waiting = [asyncio.create_task(one.get("/api/v1/trouble/wait")) for _ in range(2)]
        for _ in waiting:
            assert await asyncio.to_thread(ENTERED.acquire, timeout=30)
        answer = await one.get("/api/v1/trouble/wait")
        assert (answer.status_code, answer.json()["code"]) == (429, "too_many")
        assert (await one.get("/health/live")).text == "up\n"
        GATE.set()
        assert [(await task).status_code for task in waiting] == [200, 200]
        assert (await one.get("/api/v1/trouble/wait")).status_code == 200


async def test_r_mon_1_numbers_are_told_while_every_place_is_taken(web: Web) -> None:
    """Stuck requests are what its alerts are for; who needs a key needs a place as well."""
    GATE.clear()
    async with client(web, requests=2, threads=4) as one:
        waiting = [asyncio.create_task(one.get("/api/v1/trouble/wait")) for _ in range(2)]
        for _ in waiting:
            assert await asyncio.to_thread(ENTERED.acquire, timeout=30)
        assert (await one.get("/metrics")).status_code == 200
        assert (await one.get("/metrics", headers={"x-forwarded-for": "192.0.2.1"})).status_code == 429
        GATE.set()
        assert [(await task).status_code for task in waiting] == [200, 200]
        assert (await one.get("/metrics", headers={"x-forwarded-for": "192.0.2.1"})).status_code == 200


async def test_a_body_that_stands_still_is_given_up(web: Web, ann: Account) -> None:
    """A client that stops sending gets a 408, and its place is free again."""

    async def body() -> AsyncIterator[bytes]:
        yield b"Subject: half"
        await asyncio.sleep(30)

    async with client(web, body_idle_s=0.1) as one:
        answer = await asyncio.wait_for(
            _post(str(one.base_url), f"/api/v1/accounts/{ann.address}/messages", web.key), 20
        )
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b'"code": "usage"' in answer
        found = await one.get(f"/api/v1/accounts/{ann.address}/messages")
        assert found.json()["items"] == []


async def _post(base: str, path: str, key: str) -> bytes:
    """Begin an upload and wait for the head of the answer and its body."""
    host, _, port = base.removeprefix("http://").rstrip("/").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n"
        "Content-Type: message/rfc822\r\nContent-Length: 100\r\n\r\nSubject: half".encode()
    )
    head = await reader.readuntil(b"\r\n\r\n")
    answer = head + await reader.readuntil(b"}")
    writer.close()
    return answer


async def test_random_bytes_never_stop_the_server(web: Web, caplog: pytest.LogCaptureFixture) -> None:
    """Requests cut, doubled and overwritten at random: no error inside, and the next request is answered."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    good = (
        f"POST /api/v1/accounts/ann%40x.example/messages?mailbox=a HTTP/1.1\r\nHost: x\r\n"
        f"Authorization: Bearer {web.key}\r\nContent-Type: message/rfc822\r\n"
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    ).encode()
    async with client(web) as one:
        port = one.base_url.port
        for _ in range(300):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(_mutated(rng, good))
            writer.write_eof()
            with contextlib.suppress(ConnectionError):
                await asyncio.wait_for(reader.read(), 20)
            writer.close()
        assert (await one.get("/health/live")).text == "up\n"
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


def _mutated(rng: random.Random, good: bytes) -> bytes:
    data = bytearray(good)
    for _ in range(rng.randrange(1, 6)):
        at = rng.randrange(len(data) + 1)
        match rng.randrange(4):
            case 0:
                del data[at:]
            case 1:
                data[at:at] = rng.randbytes(rng.randrange(1, 9))
            case 2:
                data[at : at + 1] = rng.randbytes(1)
            case _:
                data[at:at] = data[: rng.randrange(len(data) + 1)]
    return bytes(data)
