"""Connections to an HTTP plugin: how long they are kept, how many there are, when one is not used again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

import pytest

from mairust_core.hooks.connections import Connections
from mairust_core.hooks.destinations import Destination
from mairust_core.hooks.exchange import Exchange
from mairust_core.hooks.transport import CallFailed
from mairust_core.model.plugin import Limits, Network
from mairust_core.sandbox.reach import Site

HEAD = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n"
FINE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def anything(_: int, __: Mapping[str, str]) -> bool:
    """Take every answer."""
    return True


class Peer:
    """A server that counts, and does what it is told with each request."""

    def __init__(self, serve: Serve) -> None:
        self._serve = serve
        self.connections = 0
        self.ended = asyncio.Event()
        """One of its connections came to its end."""

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.connections += 1
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(1)
                await self._serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            self.ended.set()
        finally:
            writer.close()


async def fine(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer."""
    writer.write(FINE)


@asynccontextmanager
async def served(serve: Serve, most: int = 8, kept_s: float = 60) -> AsyncIterator[tuple[Peer, Connections]]:
    """A peer, and connections to it."""
    peer = Peer(serve)
    server = await asyncio.start_server(peer.handle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    async def connect() -> Exchange:
        _, exchange = await asyncio.get_running_loop().create_connection(Exchange, "127.0.0.1", port)
        return exchange

    connections = Connections(connect, most, kept_s)
    try:
        yield peer, connections
    finally:
        await connections.close()
        server.close()


async def ask(connections: Connections, body: bytes = b"?") -> bytes:
    """One question."""
    return await connections.ask(HEAD, body, anything)


async def test_one_connection_serves_one_question_after_another() -> None:
    """As many as there are at a time, and no more."""
    async with served(fine) as (peer, connections):
        for _ in range(3):
            assert await ask(connections) == b"ok"
        assert peer.connections == 1
        await asyncio.gather(*(ask(connections) for _ in range(4)))
        assert peer.connections == 4


async def test_an_idle_connection_is_closed_after_a_while() -> None:
    """By itself: the peer sees its end, though nobody asks anything any more."""
    async with served(fine, kept_s=0.05) as (peer, connections):
        await ask(connections)
        await asyncio.wait_for(peer.ended.wait(), 10)
        assert await ask(connections) == b"ok"
        assert peer.connections == 2


async def test_no_more_at_a_time_than_allowed() -> None:
    """Further questions wait for one to end."""
    open_, most = 0, 0
    go, full = asyncio.Event(), asyncio.Event()

    async def count(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal open_, most
        open_ += 1
        most = max(most, open_)
        if open_ == 2:
            full.set()
        await go.wait()
        open_ -= 1
        writer.write(FINE)

    async with served(count, most=2) as (peer, connections):
        asked = [asyncio.create_task(ask(connections)) for _ in range(5)]
        await asyncio.wait_for(full.wait(), 10)
        go.set()
        assert await asyncio.gather(*asked) == [b"ok"] * 5
        assert (most, peer.connections) == (2, 2)


@pytest.mark.parametrize(
    "answer",
    [
        FINE + FINE,
        FINE.replace(b"OK\r\n", b"OK\r\nConnection: close\r\n"),
        FINE.replace(b"HTTP/1.1", b"HTTP/1.0"),
    ],
)
async def test_a_connection_whose_answer_may_be_followed_by_another_is_not_kept(answer: bytes) -> None:
    """The second of two answers is not that to the next question."""

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)

    async with served(serve) as (peer, connections):
        assert [await ask(connections) for _ in range(3)] == [b"ok"] * 3
        assert peer.connections == 3


async def test_who_speaks_unasked_is_not_asked_again_on_that_connection() -> None:
    """What it said meanwhile would be taken for an answer."""
    more = asyncio.Event()

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(FINE)
        await more.wait()
        writer.write(FINE.replace(b"ok", b"no"))
        more.clear()

    async with served(serve) as (peer, connections):
        assert await ask(connections) == b"ok"
        more.set()
        await asyncio.wait_for(peer.ended.wait(), 10)
        assert (await ask(connections), peer.connections) == (b"ok", 2)


async def test_an_answer_before_the_question_was_read_counts_and_ends_the_connection() -> None:
    """The rest of the question is not sent after it."""
    async with served(fine) as (peer, connections):
        assert await ask(connections, b"?" * (32 << 20)) == b"ok"
        assert (await ask(connections), peer.connections) == (b"ok", 2)


async def test_an_answer_that_ends_with_its_connection() -> None:
    """Of a server that says no length."""

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.0 200 OK\r\n\r\nok")
        await writer.drain()
        raise ConnectionError

    async with served(serve) as (peer, connections):
        assert [await ask(connections) for _ in range(2)] == [b"ok"] * 2
        assert peer.connections == 2


async def test_what_is_asked_after_closing_makes_no_connection() -> None:
    """It fails at once."""
    async with served(fine) as (peer, connections):
        await connections.close()
        with pytest.raises(CallFailed, match="being closed"):
            await ask(connections)
        assert peer.connections == 0


async def test_closing_ends_calls_under_way_and_connections() -> None:
    """None is left open, none is made any more."""

    there = asyncio.Event()

    async def never(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        there.set()
        await reader.read()
        raise ConnectionError

    async with served(never) as (peer, connections):
        asked = asyncio.create_task(ask(connections))
        await asyncio.wait_for(there.wait(), 10)
        await connections.close()
        with pytest.raises(CallFailed):
            await asked
        await asyncio.wait_for(peer.ended.wait(), 10)
        with pytest.raises(CallFailed, match="being closed"):
            await ask(connections)


@pytest.mark.parametrize(
    ("url", "place", "target"),
    [
        ("http://127.0.0.1:8080/hook", "127.0.0.1:8080", "/hook"),
        ("http://LOCALHOST", "localhost", "/"),
        ("http://[::1]:80/a?b=c&d=/", "[::1]", "/a?b=c&d=/"),
        ("https://localhost:443/%C3%A9;v=1", "localhost", "/%C3%A9;v=1"),
        ('http://localhost/a"b\x01?<', "localhost", "/a%22b%01?%3C"),
    ],
)
def test_what_is_asked_for_and_of_whom(url: str, place: str, target: str) -> None:
    """Host and request target as RFC 9110 §7.2 and RFC 9112 §3.2.1 have them, whatever the URL holds."""
    allowed = [f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]") for port in (80, 443, 8080)]
    limits = Limits(network=Network.LOCAL_ONLY, network_allow=tuple(allowed))
    destination = Destination.of(url, limits, Site())
    assert (destination.place, destination.request_target) == (place, target)
