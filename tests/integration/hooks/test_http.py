"""Plugins over real sockets: what is sent, what is an answer, and where nothing goes (R-BOX-5, H4, G2)."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trustme

from mairust_core.errors import StorageDown
from mairust_core.hooks.book import Registered
from mairust_core.hooks.http import over_tcp, over_unix
from mairust_core.hooks.payload import Callback
from mairust_core.hooks.transport import MAX_ANSWER_BYTES, Answer, Call, CallFailed, Transport
from mairust_core.model.ids import Id
from mairust_core.model.plugin import Entry, Limits, Network, Permissions, Protocol, Runnable
from mairust_core.sandbox.reach import Site
from tests.support.ports import free_port

BODY = b'{"protocol":1}'
FINE = b'{"action":"deliver"}'
CALL = Call(delivery_id="d-1", hook="h", body=BODY, timeout_ms=5000)
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
_tasks: set[asyncio.Task[Any]] = set()


class Keys:
    """Credentials of a test."""

    def __init__(self, *secrets: str, token: str = "") -> None:
        self.given = secrets
        self.token = token
        self.reads = 0
        self.fault: Exception | None = None

    def secrets(self, plugin: Runnable) -> tuple[str, ...]:
        """As they were given."""
        self.reads += 1
        if self.fault is not None:
            raise self.fault
        return self.given

    def call_token(self, plugin: Runnable, delivery_id: str) -> str:
        """As it was given, with what it is for."""
        return f"{self.token}.{plugin.id}.{delivery_id}" if self.token else ""

    def callback(
        self, registered: Registered, delivery_id: str, message_id: Id, place: tuple[int, int]
    ) -> Callback | None:
        """None."""
        return None


class Peer:
    """A real HTTP server that keeps every request and answers as it is told."""

    def __init__(self, answer: bytes | Serve) -> None:
        self._answer = answer
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.connections = 0

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.connections += 1
        try:
            while await self._one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        fields = {k.lower(): v.strip() for k, v in (line.split(":", 1) for line in lines[1:] if line)}
        body = await reader.readexactly(int(fields["content-length"]))
        self.requests.append(({"line": lines[0], **fields}, body))
        if callable(self._answer):
            await self._answer(reader, writer)
            return False
        writer.write(self._answer)
        await writer.drain()
        return True


def http(body: bytes, status: str = "200 OK", kind: str = "application/json", more: str = "") -> bytes:
    """An HTTP response."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{more}\r\n"
    return head.encode() + body


def plugin(
    port: int,
    *,
    host: str = "127.0.0.1",
    scheme: str = "http",
    network: Network = Network.LOCAL_ONLY,
    allow: tuple[str, ...] | None = None,
) -> Runnable:
    """An http plugin at a place."""
    allowed = (f"{host}:{port}",) if allow is None else allow
    return Runnable(
        id="com.example.http",
        version="1.0.0",
        entry=Entry(protocol=Protocol.HTTP, endpoint=f"{scheme}://{host}:{port}/hook"),
        permissions=Permissions(),
        limits=Limits(network=network, network_allow=allowed),
    )


@asynccontextmanager
async def served(answer: bytes | Serve, tls: ssl.SSLContext | None = None) -> AsyncIterator[tuple[Peer, int]]:
    """A peer on a free port."""
    peer = Peer(answer)
    server = await asyncio.start_server(peer.handle, "127.0.0.1", 0, ssl=tls)
    try:
        yield peer, server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def ask(transport: Transport, timeout_ms: int = 5000, delivery: str = "d-1") -> Answer:
    """One call, cancelled when its time is over, as the chain does."""
    async with asyncio.timeout(timeout_ms / 1000):
        return await transport.call(Call(delivery_id=delivery, hook="h", body=BODY, timeout_ms=timeout_ms))


@asynccontextmanager
async def opened(port: int, keys: Keys | None = None, **more: Any) -> AsyncIterator[Transport]:
    """A transport to a plugin at a port."""
    site = more.pop("site", Site())
    transport = over_tcp(plugin(port, **more), keys or Keys(), site)
    try:
        yield transport
    finally:
        await transport.close()


async def test_r_sig_1_the_request_is_signed_as_the_contract_says() -> None:
    """Recomputed here from what came over the socket."""
    async with served(http(FINE)) as (peer, port), opened(port, Keys("s3cret", token="jwt")) as transport:
        assert (await ask(transport)).body == FINE
        [(told, body)] = peer.requests
        assert told["line"] == "POST /hook HTTP/1.1"
        assert body == BODY
        signed = f"{told['x-mairust-timestamp']}\nd-1\ncom.example.http\n".encode() + body
        expected = hmac.new(b"s3cret", signed, hashlib.sha256).hexdigest()
        assert told["x-mairust-signature"] == f"sha256={expected}"
        assert (told["x-mairust-delivery"], told["x-mairust-plugin-id"]) == ("d-1", "com.example.http")
        assert told["authorization"] == "Bearer jwt.com.example.http.d-1"
        assert (told["content-type"], told["user-agent"]) == ("application/json", "MaiRust")
        assert "x-mairust-signature-previous" not in told


async def test_rule_g2_during_the_grace_period_both_secrets_sign() -> None:
    """The new one in the header, the old one in `-Previous`."""
    async with served(http(FINE)) as (peer, port), opened(port, Keys("new", "old")) as transport:
        await ask(transport)
        [(told, body)] = peer.requests
        head = f"{told['x-mairust-timestamp']}\nd-1\ncom.example.http\n".encode()
        for name, secret in (("x-mairust-signature", b"new"), ("x-mairust-signature-previous", b"old")):
            expected = hmac.new(secret, head + body, hashlib.sha256).hexdigest()
            assert told[name] == f"sha256={expected}"


async def test_secrets_are_read_once_for_all_calls_that_wait() -> None:
    """However many calls begin at once."""
    keys = Keys("s3cret")
    async with served(http(FINE)) as (peer, port), opened(port, keys) as transport:
        await asyncio.gather(*(ask(transport) for _ in range(20)))
        assert (len(peer.requests), keys.reads) == (20, 1)


async def test_rule_d3_a_changed_secret_is_in_force_without_a_call_that_waits_for_it() -> None:
    """Read again beside the calls; the old one goes when the new one is there."""
    keys = Keys("old")
    async with served(http(FINE)) as (peer, port), opened(port, keys) as transport:
        await ask(transport)
        keys.given = ("new",)
        while _signed_with(peer) != "new":
            await asyncio.sleep(0.05)
            await ask(transport)
        assert keys.reads < len(peer.requests)


async def test_trap_h1_secrets_that_cannot_be_read_fail_the_calls_and_no_later_ones() -> None:
    """Nothing is sent unsigned meanwhile."""
    keys = Keys("s3cret")
    keys.fault = StorageDown("database")
    async with served(http(FINE)) as (peer, port), opened(port, keys) as transport:
        for _ in range(2):
            with pytest.raises(StorageDown):
                await ask(transport)
        keys.fault = None
        await ask(transport)
        assert (len(peer.requests), _signed_with(peer)) == (1, "s3cret")


def _signed_with(peer: Peer) -> str:
    """The secret of the last request."""
    told, body = peer.requests[-1]
    head = f"{told['x-mairust-timestamp']}\nd-1\ncom.example.http\n".encode()
    for secret in ("old", "new", "s3cret"):
        made = hmac.new(secret.encode(), head + body, hashlib.sha256).hexdigest()
        if told.get("x-mairust-signature") == f"sha256={made}":
            return secret
    return ""


async def test_without_secrets_nothing_is_signed() -> None:
    """And no empty headers go."""
    async with served(http(FINE)) as (peer, port), opened(port) as transport:
        await ask(transport)
        [(told, _)] = peer.requests
        assert not {"x-mairust-signature", "authorization", "cookie"} & told.keys()


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (http(FINE, "302 Found", more="Location: http://127.0.0.1:1/\r\n"), "redirects are not followed"),
        (http(FINE, "500 Oops"), "HTTP 500"),
        (http(FINE, "429 Too Many"), "HTTP 429"),
        (http(b"", "204 No Content"), "HTTP 204"),
        (http(FINE, kind="text/html"), "not application/json"),
        (http(FINE, more="Content-Encoding: gzip\r\n"), "compressed"),
        (http(b"x" * (MAX_ANSWER_BYTES + 1)), "larger than"),
        (b"HTTP/1.1 102 Processing\r\n\r\n" * 9 + http(FINE), "informational"),
        (b"220 mail.example ESMTP\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", "not HTTP"),
    ],
)
async def test_trap_h1_what_is_no_answer_fails_with_a_word(answer: bytes, why: str) -> None:
    """Each is `CallFailed`, never another exception."""
    async with served(answer) as (peer, port), opened(port) as transport:
        with pytest.raises(CallFailed, match=why):
            await ask(transport)
        assert len(peer.requests) == 1


@pytest.mark.parametrize(
    ("status", "kind"),
    [("500 Oops", "application/json"), ("302 Found", "text/html"), ("200 OK", "text/html")],
)
async def test_in_a_trial_the_body_of_what_is_no_answer_is_kept(status: str, kind: str) -> None:
    """Also when it comes after its head."""
    whole = http(b'{"error":"none"}', status, kind)
    cut = whole.index(b"\r\n\r\n") + 4

    async def slow(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for piece in (whole[:cut], whole[cut:]):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.02)

    async with served(slow) as (_, port), opened(port) as transport:
        with pytest.raises(CallFailed) as caught:
            await transport.call(replace(CALL, trial=True))
        assert caught.value.body == b'{"error":"none"}'
        with pytest.raises(CallFailed, match=str(caught.value)) as caught:
            await transport.call(CALL)
        assert caught.value.body is None


async def test_a_trial_does_not_wait_for_a_body_that_does_not_come() -> None:
    """What is wrong is known from the head."""

    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(http(FINE, "500 Oops")[: -len(FINE)])
        await reader.read()

    async with served(half) as (_, port), opened(port) as transport:
        with pytest.raises(CallFailed, match="HTTP 500") as caught:
            await transport.call(replace(CALL, trial=True))
        assert caught.value.body is None


async def test_an_answer_that_does_not_say_what_it_is_is_looked_at() -> None:
    """As a plain server leaves it (RFC 9110 §8.3); what says something else is none."""
    without = http(FINE).replace(b"Content-Type: application/json\r\n", b"")
    async with served(without) as (_, port), opened(port) as transport:
        assert (await ask(transport)).body == FINE
    for kind in (b"", b"text/html, application/json", b"text/json"):
        wrong = without.replace(b"\r\n", b"\r\nContent-Type: " + kind + b"\r\n", 1)
        async with served(wrong) as (_, port), opened(port) as transport:
            with pytest.raises(CallFailed, match="not application/json"):
                await ask(transport)


async def test_informational_responses_before_the_answer_are_passed_over() -> None:
    """A few of them (RFC 9110 §15.2), on a connection that is kept, too."""
    answer = b"HTTP/1.1 103 Early Hints\r\n\r\n" * 8 + http(FINE)
    async with served(answer) as (_, port), opened(port) as transport:
        assert [(await ask(transport)).body for _ in range(2)] == [FINE] * 2


async def test_trap_h4_a_redirect_is_not_followed() -> None:
    """The place it names hears nothing."""
    async with served(http(FINE)) as (second, target):
        moved = http(b"", "307 Moved", more=f"Location: http://127.0.0.1:{target}/\r\n")
        async with served(moved) as (_, port), opened(port) as transport:
            with pytest.raises(CallFailed, match="redirect"):
                await ask(transport)
        assert second.connections == 0


async def test_an_endless_answer_is_cut_off() -> None:
    """A hundred megabytes are not read: the peer sees the connection end long before."""
    sent = 0

    async def flood(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        piece = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
        while sent < 100 << 20:
            writer.write(piece)
            await writer.drain()
            sent += 0x10000

    async with served(flood) as (_, port), opened(port) as transport:
        with pytest.raises(CallFailed, match="larger than"):
            await ask(transport)
    assert sent < 32 << 20


async def test_half_an_answer_fails() -> None:
    """The connection closed before the length it promised."""

    async def half(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(http(FINE)[:-5])
        await writer.drain()

    async with served(half) as (_, port), opened(port) as transport:
        with pytest.raises(CallFailed, match="not complete"):
            await ask(transport)


async def test_a_peer_that_closes_at_once_fails() -> None:
    """Without an answer there is none."""

    async def close(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with served(close) as (_, port), opened(port) as transport:
        with pytest.raises(CallFailed, match="closed the connection"):
            await ask(transport)


async def test_a_late_answer_is_a_time_out() -> None:
    """Also when headers come in time and the body does not: it is cancelled, the connection given up."""
    ended = asyncio.Event()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(http(FINE)[:-3])
        await writer.drain()
        await reader.read()
        ended.set()

    async with served(slow) as (_, port), opened(port) as transport:
        with pytest.raises(TimeoutError):
            await ask(transport, timeout_ms=100)
        await asyncio.wait_for(ended.wait(), 10)


async def test_nobody_listening_fails() -> None:
    """A port that is free."""
    async with opened(free_port()) as transport:
        with pytest.raises(CallFailed, match="cannot be reached"):
            await ask(transport)


async def test_connections_are_kept_and_a_closed_one_is_no_failure() -> None:
    """A service that was restarted between two mails costs none of them."""
    async with served(http(FINE)) as (peer, port), opened(port) as transport:
        await ask(transport)
        await ask(transport)
        assert peer.connections == 1

    async def once(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(http(FINE))  # and closes, although it did not say so
        await writer.drain()

    async with served(once) as (peer, port), opened(port) as transport:
        for _ in range(3):
            assert (await ask(transport)).body == FINE
        assert 3 <= len(peer.requests) <= 5


async def test_calls_overlap() -> None:
    """Many at once on one transport."""
    waiting = 0
    all_there = asyncio.Event()

    async def together(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal waiting
        waiting += 1
        if waiting == 20:
            all_there.set()
        await all_there.wait()
        writer.write(http(FINE))
        await writer.drain()

    async with served(together) as (_, port), opened(port) as transport:
        found = await asyncio.gather(*(ask(transport) for _ in range(20)))
    assert [one.body for one in found] == [FINE] * 20


async def test_a_name_of_loopback_is_resolved_and_judged() -> None:
    """`localhost` is what the system says it is."""
    async with served(http(FINE)) as (_, port), opened(port, host="localhost") as transport:
        assert (await ask(transport)).body == FINE


@pytest.mark.parametrize(
    ("host", "network", "why"),
    [
        ("169.254.169.254", Network.OUTBOUND_LIMITED, "not public"),
        ("[::ffff:169.254.169.254]", Network.OUTBOUND_LIMITED, "not public"),
        ("10.0.0.1", Network.OUTBOUND_LIMITED, "not public"),
        ("[fd00:ec2::254]", Network.OUTBOUND_LIMITED, "not public"),
        ("[64:ff9b::a00:1]", Network.OUTBOUND_LIMITED, "not public"),
        ("[fe80::1]", Network.OUTBOUND_LIMITED, "not public"),
        ("0.0.0.0", Network.OUTBOUND_LIMITED, "no address of one machine"),
        ("[::]", Network.OUTBOUND_LIMITED, "no address of one machine"),
        ("100.64.0.1", Network.OUTBOUND_LIMITED, "not public"),
        ("127.0.0.1", Network.OUTBOUND_LIMITED, "loopback"),
        ("[::1]", Network.OUTBOUND_LIMITED, "loopback"),
        ("[::ffff:127.0.0.1]", Network.OUTBOUND_LIMITED, "loopback"),
        ("8.8.8.8", Network.LOCAL_ONLY, "not on this machine"),
        ("127.0.0.1", Network.NONE, "lets nobody call it"),
        ("127.0.0.1", Network.UNLIMITED, "lets nobody call it"),
    ],
)
def test_trap_h4_rule_h2_addresses_are_judged(host: str, network: Network, why: str) -> None:
    """By what they are, however they are written; nothing connects."""
    with pytest.raises(CallFailed, match=why):
        over_tcp(plugin(443, host=host, scheme="https", network=network), Keys(), Site())


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "127.1", "localhost"])
async def test_trap_h4_odd_spellings_of_loopback_are_resolved_before_they_are_judged(host: str) -> None:
    """What the system makes of a name is what counts: outbound does not lead inside."""
    async with served(http(FINE)) as (peer, port):
        async with opened(port, host=host, scheme="https", network=Network.OUTBOUND_LIMITED) as transport:
            with pytest.raises(CallFailed, match=r"loopback|no http URL"):
                await ask(transport)
        assert peer.connections == 0


def test_rule_h2_plain_http_goes_to_loopback_only() -> None:
    """Elsewhere it takes TLS."""
    with pytest.raises(CallFailed, match="plain http"):
        over_tcp(plugin(80, host="8.8.8.8", network=Network.OUTBOUND_LIMITED), Keys(), Site())


def test_rule_h2_only_the_places_that_were_named() -> None:
    """Host and port, both."""
    with pytest.raises(CallFailed, match=r"network_allow does not name 127\.0\.0\.1:8001"):
        over_tcp(plugin(8001, allow=("127.0.0.1:8000", "localhost:8001")), Keys(), Site())


def test_rule_h2_private_addresses_take_the_sites_word() -> None:
    """`plugins.private_networks` lists them."""
    from ipaddress import ip_network

    inside = plugin(443, host="10.1.2.3", scheme="https", network=Network.OUTBOUND_LIMITED)
    over_tcp(inside, Keys(), Site(private=(ip_network("10.1.0.0/16"),)))
    with pytest.raises(CallFailed, match="not public"):
        over_tcp(inside, Keys(), Site(private=(ip_network("10.2.0.0/16"),)))


@pytest.mark.parametrize("listening", ["127.0.0.1", "0.0.0.0", "", "::", "::1"])
async def test_rule_h2_never_our_own_listeners(listening: str) -> None:
    """Whatever address of ours they listen on."""
    async with served(http(FINE)) as (peer, port):
        site = Site(listeners=lambda: [(listening, port)])
        with pytest.raises(CallFailed, match="a listener of the site itself"):
            over_tcp(plugin(port), Keys(), site)
        async with opened(port, host="localhost", site=site) as transport:
            with pytest.raises(CallFailed, match="a listener of the site itself"):
                await ask(transport)
        assert peer.connections == 0


async def test_a_certificate_is_verified() -> None:
    """One by an authority that is trusted, and one that is not."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    async with served(http(FINE), context) as (peer, port):
        one = over_tcp(plugin(port, scheme="https"), Keys(), Site(), trusting)
        assert (await ask(one)).body == FINE
        await one.close()
        async with opened(port, scheme="https") as other:
            with pytest.raises(CallFailed, match="certificate is not trusted"):
                await ask(other)
        assert len(peer.requests) == 1


def _at(path: Path) -> Runnable:
    return Runnable(
        id="com.example.unix",
        version="1.0.0",
        entry=Entry(protocol=Protocol.UNIX, endpoint=f"unix:{path}"),
        permissions=Permissions(),
        limits=Limits(),
    )


async def test_a_unix_socket_below_its_directory(tmp_path: Path) -> None:
    """The same requests, signed alike."""
    sockets = tmp_path / "s"
    sockets.mkdir()
    peer = Peer(http(FINE))
    server = await asyncio.start_unix_server(peer.handle, sockets / "p.sock")
    transport = over_unix(_at(sockets / "p.sock"), Keys("s"), sockets)
    assert json.loads((await ask(transport)).body) == {"action": "deliver"}
    assert peer.requests[0][0]["x-mairust-signature"].startswith("sha256=")
    await transport.close()
    server.close()


async def test_rule_h2_unix_sockets_elsewhere_are_not_used(tmp_path: Path) -> None:
    """Neither by a path, nor by `..`, nor by a link; nor what is no socket."""
    sockets, outside = tmp_path / "s", tmp_path / "o"
    sockets.mkdir()
    outside.mkdir()
    peer = Peer(http(FINE))
    server = await asyncio.start_unix_server(peer.handle, outside / "p.sock")
    (sockets / "link.sock").symlink_to(outside / "p.sock")
    (sockets / "file").write_text("")
    for path, why in (
        (outside / "p.sock", "not below"),
        (sockets / ".." / "o" / "p.sock", "not below"),
        (sockets / "link.sock", "not below"),
        (sockets / "file", "no socket"),
        (sockets / "missing.sock", "cannot be reached"),
    ):
        with pytest.raises(CallFailed, match=why):
            over_unix(_at(path), Keys(), sockets)
    assert peer.connections == 0
    server.close()


async def test_rule_h2_a_unix_socket_is_judged_at_each_connection(tmp_path: Path) -> None:
    """The plugin may write where it lies: a link put in its place leads nowhere; a new socket is taken."""
    sockets, outside = tmp_path / "s", tmp_path / "o"
    sockets.mkdir()
    outside.mkdir()
    ours, other = Peer(http(FINE, more="Connection: close\r\n")), Peer(http(FINE))
    servers = [
        await asyncio.start_unix_server(ours.handle, sockets / "p.sock"),
        await asyncio.start_unix_server(other.handle, outside / "p.sock"),
    ]
    transport = over_unix(_at(sockets / "p.sock"), Keys(), sockets)
    await ask(transport)
    (sockets / "p.sock").rename(sockets / "q.sock")
    (sockets / "p.sock").symlink_to(outside / "p.sock")
    with pytest.raises(CallFailed, match="not below"):
        await ask(transport)
    (sockets / "p.sock").unlink()
    (sockets / "q.sock").rename(sockets / "p.sock")
    await ask(transport)
    assert (len(ours.requests), other.connections) == (2, 0)
    await transport.close()
    for server in servers:
        server.close()
