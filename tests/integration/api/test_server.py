"""The listener: clients that never finish, TLS whose certificate changes, a stop that loses nothing."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import socket
import ssl
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trustme

from mairust_core.api.connection import HttpLimits
from mairust_core.api.server import HttpServer
from mairust_core.tls import CertificateStore

QUICK = HttpLimits(head_s=0.2, stalled_s=0.3, keep_alive_s=1, head_bytes=4096, max_connections=4)
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class App:
    """An ASGI application that says hello, slowly or at length when asked."""

    def __init__(self) -> None:
        self.began = asyncio.Event()
        self.go_on = asyncio.Event()
        self.ended = False
        self.scopes: list[Any] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer by path."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        self.scopes.append(scope)
        self.began.set()
        if scope["path"] == "/slow":
            await self.go_on.wait()
        body = bytes(1 << 24) if scope["path"] == "/long" else scope["scheme"].encode()
        headers = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _live(self, receive: Any, send: Any) -> None:
        for word in ("startup", "shutdown"):
            await receive()
            self.ended = word == "shutdown"
            await send({"type": f"lifespan.{word}.complete"})


@contextlib.asynccontextmanager
async def serving(
    app: App, limits: HttpLimits = QUICK, tls: CertificateStore | None = None
) -> AsyncIterator[tuple[HttpServer, int]]:
    """A started server and its port."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    server = HttpServer(app, tls=tls, limits=limits)
    await server.start([listener])
    try:
        yield server, port
    finally:
        await server.stop(0)


async def talk(port: int, data: bytes, **options: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect and send."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, **options)
    writer.write(data)
    return reader, writer


async def everything(port: int, data: bytes) -> bytes:
    """What comes until the server closes."""
    reader, writer = await talk(port, data)
    try:
        return await asyncio.wait_for(reader.read(), 30)
    finally:
        writer.close()


@pytest.mark.parametrize("begun", [b"", b"GET / HTT", b"GET / HTTP/1.1\r\nHost: x\r\n", GET + b"GET /"])
async def test_a_head_that_never_ends_is_cut_off(begun: bytes) -> None:
    """A connection holds its place only so long without a whole request, first or later (slowloris)."""
    async with serving(App()) as (_, port):
        received = await everything(port, begun)
        assert received.count(b"200 OK") == begun.count(b"\r\n\r\n")


async def test_a_dripping_head_is_cut_off_too() -> None:
    """A byte now and then does not extend the time."""
    async with serving(App()) as (_, port):
        reader, writer = await talk(port, b"GET / HTTP/1.1\r\nX: ")
        drip = asyncio.create_task(_drip(writer))
        assert await asyncio.wait_for(reader.read(), 30) == b""
        drip.cancel()
        writer.close()


async def _drip(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"x")
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("ending", [b"", b" HTTP/1.1\r\nHost: x\r\n\r\n", b"\r\n\r\n"])
@pytest.mark.parametrize("size", [5_000, 70_000])
@pytest.mark.parametrize(
    ("begun", "filling", "status"),
    [
        (b"GET /", b"a", 414),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: ", b"a", 431),
        (b"GET / HTTP/1.1\r\nHost: x", b"\r\nX-A: b", 431),
    ],
)
async def test_a_head_too_large_is_refused(
    begun: bytes, filling: bytes, status: int, size: int, ending: bytes
) -> None:
    """Request line and fields are bounded, whole in one piece, too: a labelled problem, then the end."""
    sent = begun + filling * (size // len(filling)) + ending
    async with serving(App(), replace(QUICK, head_s=20)) as (_, port):
        received = await everything(port, sent)
    assert received.startswith(b"HTTP/1.1 %d " % status)
    assert b'"code": "too_large"' in received
    assert re.search(rb"\r\nX-Request-Id: [0-9a-f]{16}\r\n", received)


async def test_requests_at_once_have_each_the_whole_head() -> None:
    """What came together is counted one by one."""
    request = GET.replace(b"\r\n\r\n", b"\r\nX: " + b"a" * 3000 + b"\r\n\r\n")
    async with serving(App(), replace(QUICK, head_s=20)) as (_, port):
        received = await everything(port, 3 * request)
    assert received.count(b"200 OK") == 3


CHUNKED = b"POST /slow HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize("trailers", [b"a:\r\n" * 15_000, b"a: " + b"b" * 70_000])
async def test_trailers_too_large_are_refused(trailers: bytes) -> None:
    """The fields after a body count as those before it, one that never ends, too."""
    app = App()
    async with serving(app) as (_, port):
        reader, writer = await talk(port, CHUNKED + b"0\r\n")
        await app.began.wait()
        writer.write(trailers)
        received = await asyncio.wait_for(reader.read(), 5)
        writer.close()
    assert received.startswith(b"HTTP/1.1 431 ")


async def test_trailers_are_not_taken_for_fields() -> None:
    """What follows a body says nothing of the request any more."""
    app = App()
    async with serving(app) as (_, port):
        reader, writer = await talk(port, CHUNKED + b"0\r\nHost: y\r\n\r\n")
        await app.began.wait()
        app.go_on.set()
        assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
        writer.close()
    assert [value for name, value in app.scopes[0]["headers"] if name == b"host"] == [b"x"]


async def test_a_head_behind_an_unanswered_request_is_bounded() -> None:
    """A client that need not wait for its answer may not fill the memory with its next request."""
    app = App()
    async with serving(app) as (_, port):
        reader, writer = await talk(port, GET.replace(b"/", b"/slow", 1))
        await app.began.wait()
        writer.write(GET[:-2] + b"X: " + b"a" * 70_000)
        await writer.drain()
        await asyncio.sleep(0.1)
        app.go_on.set()
        received = await asyncio.wait_for(reader.read(), 30)
        writer.close()
    assert re.findall(rb"HTTP/1.1 (\d+)", received) == [b"200", b"431"]


@pytest.mark.parametrize("path", [b"/", b"/slow", b"/long"])
@pytest.mark.parametrize(
    ("behind", "status"),
    [
        (b"GARB\0", b"400"),
        (GET[:-2] + b"X: " + b"a" * 70_000 + b"\r\n\r\n", b"431"),
        (CHUNKED + b"no size\r\n", b"400"),
    ],
)
async def test_what_is_refused_does_not_take_the_answer_before_it(
    path: bytes, behind: bytes, status: bytes
) -> None:
    """Requests that came whole are answered, in their order, then the one that is none is refused."""
    app = App()
    async with serving(app, replace(QUICK, stalled_s=20)) as (_, port):
        first = GET.replace(b"/", path, 1)
        reader, writer = await talk(port, GET + first + behind)
        received = await reader.readline()
        app.go_on.set()
        received += await asyncio.wait_for(reader.read(), 30)
        writer.close()
    assert re.findall(rb"HTTP/1.1 (\d+)", received) == [b"200", b"200", status]
    assert [scope["path"].encode() for scope in app.scopes] == [b"/", path]


async def test_more_connections_than_places_are_refused() -> None:
    """The next one gets a 503 as a problem; a place that becomes free is given again."""
    async with serving(App(), replace(QUICK, head_s=20, keep_alive_s=20)) as (_, port):
        kept = [await talk(port, GET) for _ in range(QUICK.max_connections)]
        for reader, _ in kept:
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        refused = await everything(port, b"")
        assert refused.startswith(b"HTTP/1.1 503 ")
        assert b'"code": "too_many"' in refused
        kept[0][1].close()
        await kept[0][1].wait_closed()
        reader, writer = await talk(port, GET)
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        for _, one in [*kept, (reader, writer)]:
            one.close()


async def test_a_client_that_does_not_read_is_cut_off() -> None:
    """An answer nobody takes does not stay in memory for ever: its connection's place is another's."""
    asked = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    async with serving(App(), replace(QUICK, stalled_s=3)) as (_, port):
        stuck = [
            await talk(port, b"GET /long HTTP/1.1\r\nHost: x\r\n\r\n", limit=1024)
            for _ in range(QUICK.max_connections)
        ]
        for reader, _ in stuck:  # which reads no more than its limit
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        answer = await everything(port, asked)
        assert answer.startswith(b"HTTP/1.1 503 ")
        async with asyncio.timeout(30):
            while not answer.startswith(b"HTTP/1.1 200"):
                await asyncio.sleep(0.05)
                answer = await everything(port, asked)
        for _, writer in stuck:
            writer.transport.abort()


async def test_a_quiet_connection_ends_after_its_rest() -> None:
    """Between requests a connection is kept for the keep-alive time."""
    async with serving(App()) as (_, port):
        assert (await everything(port, GET)).endswith(b"http")


async def test_stop_lets_a_request_finish() -> None:
    """What is under way is answered; then nobody is let in, and the application has ended."""
    app = App()
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    server = HttpServer(app, limits=HttpLimits())
    await server.start([listener])
    reader, writer = await talk(port, b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
    await app.began.wait()
    stopping = asyncio.create_task(server.stop(30))
    await asyncio.sleep(0.3)
    with pytest.raises(OSError, match="Connect call failed"):
        await asyncio.open_connection("127.0.0.1", port)
    app.go_on.set()
    assert (await reader.read()).endswith(b"http")
    await stopping
    assert app.ended
    writer.close()


async def test_stop_breaks_off_what_outlasts_the_grace() -> None:
    """A request that does not end is cut off."""
    app = App()
    async with serving(app) as (server, port):
        reader, writer = await talk(port, b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        await app.began.wait()
        await server.stop(0)
        assert b"200" not in await reader.read()
        writer.close()


async def test_a_unix_socket_is_served(tmp_path: Path) -> None:
    """HTTP over a UNIX socket, as behind a proxy on the same machine."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "s"))
    server = HttpServer(App(), limits=QUICK)
    await server.start([listener])
    reader, writer = await asyncio.open_unix_connection(tmp_path / "s")
    writer.write(GET)
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    writer.close()
    await server.stop(0)


async def test_no_signal_handler_is_taken() -> None:
    """Signals belong to the process, not to the listener."""
    import signal

    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    async with serving(App()):
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def write_certificate(authority: trustme.CA, directory: Path, name: str) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 and its key, written over what is there."""
    made = authority.issue_cert("127.0.0.1", organization_name=name)
    cert, key = directory / "cert.pem", directory / "key.pem"
    made.cert_chain_pems[0].write_to_path(cert)
    made.private_key_pem.write_to_path(key)
    return cert, key


async def owner(port: int, authority: trustme.CA) -> str:
    """The organisation in the certificate that a client is shown, and proof of HTTPS."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    reader, writer = await talk(port, GET, ssl=context, server_hostname="127.0.0.1")
    assert b"https" in await reader.readuntil(b"https")
    shown = writer.get_extra_info("peercert")["subject"]
    writer.close()
    return str(dict(field[0] for field in shown)["organizationName"])


async def test_https_follows_its_certificate(tmp_path: Path) -> None:
    """A renewed certificate is shown without a restart; a broken one leaves the old in force."""
    authority = trustme.CA()
    files = write_certificate(authority, tmp_path, "first")
    async with serving(App(), HttpLimits(), CertificateStore(*files)) as (_, port):
        assert await owner(port, authority) == "first"
        files[0].write_bytes(b"half a certificate")
        await asyncio.sleep(1.2)
        assert await owner(port, authority) == "first"
        write_certificate(authority, tmp_path, "second")
        os.utime(files[0], ns=(1, 1))
        for _ in range(100):
            if await owner(port, authority) == "second":
                return
            await asyncio.sleep(0.1)
        pytest.fail("the renewed certificate was never shown")
