"""The proxy by itself, spoken to as a plugin that means harm would."""

from __future__ import annotations

import asyncio
import os
import socket
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mairust_core.model.plugin import Network
from mairust_core.sandbox import egress
from mairust_core.sandbox.egress import CONNECTIONS, Egress
from mairust_core.sandbox.names import Names
from mairust_core.sandbox.reach import Reach, Site

ALLOW = "127.0.0.1:{}"
THOUGHT_S = 0.2


@pytest.fixture
async def origin() -> AsyncIterator[int]:
    """The port of a server that says back what it hears, behind `heard:`."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"heard:" + await reader.read())
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()


@pytest.fixture
async def listener() -> AsyncIterator[int]:
    """The port of a server that thinks a while, and as ours answers nobody who ended before it did.

    It says back all that it heard until then, behind `heard:`.
    """

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard = b""
        try:
            async with asyncio.timeout(THOUGHT_S):
                while data := await reader.read(1 << 16):
                    heard += data
        except TimeoutError:
            writer.write(b"heard:" + heard)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()


@pytest.fixture
async def proxy(origin: int) -> AsyncIterator[Egress]:
    """A proxy that lets its plugin reach that port, and one where nobody listens."""
    reach = Reach(network=Network.LOCAL_ONLY, allow=(ALLOW.format(origin), ALLOW.format(1)), site=Site())
    made = Egress("com.example.a", reach)
    yield made
    await made.close()


async def _said(proxy: Egress, text: bytes) -> bytes:
    """All that the proxy answers to this."""
    reader, writer = await asyncio.open_unix_connection(await proxy.socket())
    writer.write(text)
    writer.write_eof()
    try:
        return await reader.read()
    finally:
        writer.close()


@pytest.mark.parametrize(
    "request_line",
    [
        *("GET / HTTP/1.1", "nonsense", "CONNECT nowhere HTTP/1.1", "CONNECT a:b HTTP/1.1", "\xff GET"),
        *("GET https://127.0.0.1/ HTTP/1.1", "GET http://a:b@127.0.0.1/ HTTP/1.1", "GET http:///x HTTP/1.1"),
        *("GET http://127.0.0.1:99999/ HTTP/1.1", "GET http://127.0.0.1/ HTTP/9", "GET ftp://127.0.0.1/ x"),
    ],
)
async def test_what_is_no_request_to_a_proxy_is_refused(proxy: Egress, request_line: str) -> None:
    """Each of them with 400, and nothing is connected to."""
    said = await _said(proxy, f"{request_line}\r\nHost: x\r\n\r\n".encode("latin-1"))
    assert said.startswith(b"HTTP/1.1 400 ")


async def test_a_head_without_end_is_refused(proxy: Egress) -> None:
    """After sixteen kibibytes."""
    said = await _said(proxy, b"GET http://127.0.0.1/ HTTP/1.1\r\nX: " + b"x" * 40_000)
    assert said.startswith(b"HTTP/1.1 431 ")


async def test_half_a_head_is_no_request(proxy: Egress) -> None:
    """Whoever ends there gets nothing."""
    assert await _said(proxy, b"CONNECT 127.0.0.1:1 HT") == b""


async def test_a_place_where_nobody_listens_is_a_bad_gateway(proxy: Egress) -> None:
    """Listed, judged, and not there."""
    assert (await _said(proxy, b"CONNECT 127.0.0.1:1 HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 502 ")


async def test_every_address_of_a_name_is_tried(origin: int) -> None:
    """As of `localhost`, whose first one is often that of IPv6, where not every service listens."""
    places = [
        *((socket.AF_INET6, host) for host in ("::1", "2001:db8::1")),
        *((socket.AF_INET, host) for host in ("127.0.0.9", "127.0.0.1")),
    ]
    names = Names(lambda _, port: [(kind, socket.SOCK_STREAM, 6, "", (host, port)) for kind, host in places])
    reach = Reach(network=Network.LOCAL_ONLY, allow=(f"some.example:{origin}",), site=Site())
    proxy = Egress("com.example.a", reach, names)
    try:
        said = await _said(proxy, b"CONNECT some.example:%d HTTP/1.1\r\n\r\nhello" % origin)
    finally:
        await proxy.close()
    assert said.startswith(b"HTTP/1.1 200 ")
    assert said.endswith(b"heard:hello")


async def test_a_tunnel_carries_both_ways(proxy: Egress, origin: int) -> None:
    """More than any buffer holds."""
    body = os.urandom(3_000_000)
    said = await _said(proxy, b"CONNECT 127.0.0.1:%d HTTP/1.1\r\n\r\n" % origin + body)
    assert said == b"HTTP/1.1 200 Connection established\r\n\r\nheard:" + body


async def test_the_origin_hears_what_an_origin_takes(proxy: Egress, origin: int) -> None:
    """Path for URI, one host, one request, and no words for a proxy."""
    said = await _said(
        proxy,
        b"POST http://127.0.0.1:%d/p?q=1 HTTP/1.1\r\nHost: evil.test\r\nConnection: keep-alive\r\n" % origin
        + b"Proxy-Authorization: x\r\nContent-Length: 2\r\n\r\nhi",
    )
    assert said == (
        b"heard:POST /p?q=1 HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n" % origin
        + b"Content-Length: 2\r\nConnection: close\r\n\r\nhi"
    )


async def test_a_line_end_that_not_everybody_sees_is_refused(proxy: Egress, origin: int) -> None:
    """A second request could hide behind it."""
    for odd in (b"X: a\nY: b", b"X: a\rY: b", b"X: \0"):
        head = b"GET http://127.0.0.1:%d/ HTTP/1.1\r\n" % origin
        assert (await _said(proxy, head + odd + b"\r\n\r\n")).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    ("head", "body", "heard"),
    [
        (b"POST http://127.0.0.1:{}/api/v1/plugin/callback/a-1 HTTP/1.1\r\nContent-Length: 2", b"hi", True),
        (b"POST http://127.0.0.1:{}/api/v1/plugin/metrics HTTP/1.1\r\nContent-Length: 2", b"hi", True),
        (b"GET http://127.0.0.1:{}/api/v1/plugin/metrics HTTP/1.1\r\nContent-Length: 2", b"hi", False),
        (b"POST http://127.0.0.1:{}/api/v1/tokens HTTP/1.1\r\nContent-Length: 2", b"hi", False),
        (
            b"POST http://127.0.0.1:{}/api/v1/plugin/callback/../../x HTTP/1.1\r\nContent-Length: 2",
            b"hi",
            False,
        ),
        (b"POST http://127.0.0.1:{}/api/v1/plugin/metrics?x HTTP/1.1\r\nContent-Length: 2", b"hi", False),
        (b"POST http://127.0.0.1:{}/api/v1/plugin/metrics HTTP/1.1\r\nX: y", b"", False),
        (
            b"POST http://127.0.0.1:{}/api/v1/plugin/metrics HTTP/1.1\r\nContent-Length: 2\r\n"
            b"Transfer-Encoding: chunked",
            b"0\r\n\r\n",
            False,
        ),
        (
            b"POST http://127.0.0.1:{}/api/v1/plugin/metrics HTTP/1.1\r\nContent-Length: 2\r\n"
            b"Content-Length: 200",
            b"hi",
            False,
        ),
    ],
)
async def test_rule_h2_our_own_listener_hears_callbacks_and_nothing_else(
    proxy: Egress, listener: int, head: bytes, body: bytes, heard: bool
) -> None:
    """Of one request its own body, however much is sent behind it; what is answered later arrives."""
    own = [("127.0.0.1", listener)]
    site = Site(listeners=lambda: own, callbacks=lambda: own)
    proxy.reach = Reach(network=Network.LOCAL_ONLY, allow=(ALLOW.format(listener),), site=site)
    request = head.replace(b"{}", b"%d" % listener) + b"\r\n\r\n" + body
    said = await _said(proxy, request + b"GET /api/v1/tokens HTTP/1.1\r\n\r\n")
    assert said.startswith(b"heard:POST /api/v1/plugin/" if heard else b"HTTP/1.1 403 ")
    assert b"GET /api" not in said


async def test_rule_h2_a_callback_reaches_no_other_listener(proxy: Egress, origin: int) -> None:
    """SMTP, the database or S3: what looks like a callback is none there."""
    own = [("127.0.0.1", origin)]
    site = Site(listeners=lambda: own, callbacks=lambda: [("127.0.0.1", 1)])
    proxy.reach = Reach(network=Network.LOCAL_ONLY, allow=proxy.reach.allow, site=site)
    head = b"POST http://127.0.0.1:%d/api/v1/plugin/metrics HTTP/1.1\r\nContent-Length: 2" % origin
    assert (await _said(proxy, head + b"\r\n\r\nhi")).startswith(b"HTTP/1.1 403 ")


async def test_a_callback_is_no_tunnel(proxy: Egress, origin: int) -> None:
    """What is said in one nobody sees."""
    own = [("127.0.0.1", origin)]
    site = Site(listeners=lambda: own, callbacks=lambda: own)
    proxy.reach = Reach(network=Network.LOCAL_ONLY, allow=proxy.reach.allow, site=site)
    said = await _said(proxy, b"CONNECT 127.0.0.1:%d HTTP/1.1\r\n\r\n" % origin)
    assert said.startswith(b"HTTP/1.1 403 ")


async def test_who_goes_away_in_the_middle_is_no_fault(proxy: Egress, origin: int) -> None:
    """Nothing is reported to the event loop, and closing waits for nobody."""
    faults: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: faults.append(context))
    for _ in range(5):
        reader, writer = await asyncio.open_unix_connection(await proxy.socket())
        writer.write(b"CONNECT 127.0.0.1:%d HTTP/1.1\r\n\r\n" % origin + bytes(1_000_000))
        await reader.readexactly(20)
        writer.transport.abort()
    left = await asyncio.open_unix_connection(await proxy.socket())
    await proxy.close()
    left[1].transport.abort()
    await asyncio.sleep(0.05)
    assert faults == []


async def test_connections_are_bounded(proxy: Egress) -> None:
    """One more than there may be is told so; when one ends there is room again."""
    path = await proxy.socket()
    held = [await asyncio.open_unix_connection(path) for _ in range(CONNECTIONS)]
    said = await _said(proxy, b"CONNECT 127.0.0.1:1 HTTP/1.1\r\n\r\n")
    assert said.startswith(b"HTTP/1.1 503 ")
    for _, writer in held:
        writer.close()
        await writer.wait_closed()
    async with asyncio.timeout(20):
        while not (await _said(proxy, b"CONNECT 127.0.0.1:1 HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 502 "):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_new_approval_counts_at_once(proxy: Egress, origin: int) -> None:
    """On the same socket."""
    proxy.reach = Reach(network=Network.LOCAL_ONLY, allow=(), site=Site())
    said = await _said(proxy, b"CONNECT 127.0.0.1:%d HTTP/1.1\r\n\r\n" % origin)
    assert said.startswith(b"HTTP/1.1 403 ")


async def test_sockets_of_killed_servers_are_swept(proxy: Egress) -> None:
    """Those of the living stay."""
    temporary = Path(tempfile.gettempdir())
    dead = Path(tempfile.mkdtemp(prefix=f"{egress._PREFIX}999999999-", dir=temporary))
    alive = Path(tempfile.mkdtemp(prefix=f"{egress._PREFIX}{os.getpid()}-", dir=temporary))
    await proxy.socket()
    left = os.listdir(temporary)
    os.rmdir(alive)
    assert (dead.name in left, alive.name in left) == (False, True)
