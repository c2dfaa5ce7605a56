"""Who the client is: PROXY, XCLIENT, XFORWARD, and what an untrusted peer may say about itself (rule J2)."""

from __future__ import annotations

import gc
import socket
import struct
from pathlib import Path

import pytest

from mairust_core.model.envelope import Connection, Road
from mairust_core.smtp.limits import Limits
from mairust_core.smtp.memory import MemoryReceiver
from mairust_core.smtp.trusted import TrustedNetworks
from tests.integration.smtp.client import RawClient, connect
from tests.integration.smtp.conftest import Listen

LOOPBACK = TrustedNetworks(["127.0.0.0/8"])
V2 = b"\r\n\r\n\x00\r\nQUIT\n"
HEADERS = {
    "v1 IPv4": (b"PROXY TCP4 192.0.2.1 192.0.2.2 4000 25\r\n", "192.0.2.1", 4000),
    "v1 IPv6": (b"PROXY TCP6 2001:db8::1 2001:db8::2 4000 25\r\n", "2001:db8::1", 4000),
    "v1 unknown": (b"PROXY UNKNOWN\r\n", None, None),
    "v2 IPv4": (
        V2 + b"\x21\x11" + struct.pack("!H4s4sHH", 12, b"\xc0\0\2\1", b"\xc0\0\2\2", 4000, 25),
        "192.0.2.1",
        4000,
    ),
    "v2 IPv6": (
        V2
        + b"\x21\x21"
        + struct.pack("!H16s16sHH", 36, b"\x20\x01\x0d\xb8" + bytes(12), bytes(16), 4000, 25),
        "2001:db8::",
        4000,
    ),
    "v2 mapped": (
        V2
        + b"\x21\x21"
        + struct.pack("!H16s16sHH", 36, bytes(10) + b"\xff\xff\xc0\0\2\1", bytes(16), 4000, 25),
        "192.0.2.1",
        4000,
    ),
    "v2 local": (V2 + b"\x20\x00\x00\x00", None, None),
    "v2 local with addresses": (V2 + b"\x20\x11\x00\x04abcd", None, None),
    "v2 local of a family to come": (V2 + b"\x20\xf7\x00\x02ab", None, None),
    "v2 unix": (V2 + b"\x21\x31" + struct.pack("!H", 216) + bytes(216), None, None),
}
MALFORMED = {
    "no header": b"EHLO client.example.net\r\n",
    "v1 nonsense": b"PROXY TCP4 192.0.2.1\r\n",
    "v1 bad address": b"PROXY TCP4 999.0.2.1 192.0.2.2 4000 25\r\n",
    "v1 bare LF": b"PROXY TCP4 192.0.2.1 192.0.2.2 4000 25\n",
    "v1 too long": b"PROXY TCP4 " + b"1" * 200 + b"\r\n",
    "v2 version": V2 + b"\x31\x11\x00\x00",
    "v2 short": V2 + b"\x21\x11\x00\x04abcd",
    "end": b"PROX",
}


async def told(
    client: RawClient, receiver: MemoryReceiver, hello: str = "EHLO client.example.net"
) -> Connection:
    """What the road was told of this client after one mail."""
    await client.greet(hello)
    assert (await client.mail(b"x\r\n")).startswith("250")
    return receiver.arrived[-1].envelope.connection


@pytest.mark.parametrize("name", HEADERS)
async def test_rule_j2_proxy_header_tells_the_client(
    name: str, listen: Listen, receiver: MemoryReceiver
) -> None:
    """The client is who the trusted proxy says; where it says nothing, unknown: never the proxy."""
    header, ip, port = HEADERS[name]
    address = await listen(trusted=LOOPBACK, proxy_protocol=True)
    async with await connect(address) as client:
        await client.send_apart(header)
        connection = await told(client, receiver)
    assert (connection.ip, connection.port) == (ip, port)


@pytest.mark.parametrize("name", MALFORMED)
async def test_malformed_proxy_headers_are_dropped(
    name: str, listen: Listen, receiver: MemoryReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    """Without a valid header the connection ends without a word, and the listener goes on; our log tells."""
    address = await listen(trusted=LOOPBACK, proxy_protocol=True)
    async with await connect(address) as client:
        await client.send(MALFORMED[name])
        client.writer.write_eof()
        assert await client.rest() == ""
    async with await connect(address) as client:
        await client.send(b"PROXY TCP4 192.0.2.9 192.0.2.2 4000 25\r\n")
        assert (await told(client, receiver)).ip == "192.0.2.9"
    assert {one.name for one in caplog.records if one.levelname != "DEBUG"} == {"mairust.smtp"}


async def test_a_proxy_header_must_come_in_time(listen: Listen) -> None:
    """A trusted peer that sends no header is sent away."""
    address = await listen(trusted=LOOPBACK, proxy_protocol=True, limits=Limits(handshake_s=0.1))
    async with await connect(address) as client:
        assert (await client.rest()).startswith("421 4.4.2")


async def test_untrusted_peers_cannot_use_proxy_headers(listen: Listen) -> None:
    """From anybody else a PROXY header is a command like any unknown one."""
    address = await listen(trusted=TrustedNetworks(["192.0.2.0/24"]), proxy_protocol=True)
    async with await connect(address) as client:
        assert (await client.reply()).startswith("220")
        assert (await client.ask("PROXY TCP4 192.0.2.1 192.0.2.2 4000 25")).startswith("500 5.5.2")


async def test_rule_j2_a_peer_that_is_gone_already_is_not_taken_for_a_socket(
    listen: Listen, receiver: MemoryReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    """Reset at once, a TCP connection has no address any more, as a UNIX socket has none: it is ended."""
    address = await listen(trusted=TrustedNetworks(["192.0.2.0/24"]), proxy_protocol=True)
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port))) as peer:
        peer.sendall(
            b"PROXY TCP4 192.0.2.1 192.0.2.2 4000 25\r\nEHLO evil\r\nMAIL FROM:<a@b>\r\n"
            b"RCPT TO:<ann@example.org>\r\nBDAT 3 LAST\r\nx\r\n"
        )
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    for _ in range(3):  # whoever came first is done by then
        async with await connect(address) as client:
            await told(client, receiver)
    assert {one.envelope.connection.helo for one in receiver.arrived} == {"client.example.net"}
    gc.collect()  # a task that failed is told of when it goes
    assert [one.name for one in caplog.records if one.levelname in {"WARNING", "ERROR"}] == []


async def test_rule_j2_connections_are_limited_by_the_real_address(listen: Listen) -> None:
    """Behind a proxy the limit per address is that of the clients, not of the proxy; it is released."""
    limits = Limits(connections_per_address=1)
    address = await listen(trusted=LOOPBACK, proxy_protocol=True, limits=limits)
    header = b"PROXY TCP4 192.0.2.%d 192.0.2.2 4000 25\r\n"
    async with await connect(address) as first, await connect(address) as other:
        await first.send(header % 1)
        await first.greet()
        await other.send(header % 7)
        await other.greet()
        async with await connect(address) as second:
            await second.send(header % 1)
            assert (await second.rest()).startswith("421 4.7.0")
        assert (await first.ask("QUIT")).startswith("221")
        first.writer.close()
        assert await first.rest() == ""
        async with await connect(address) as third:
            await third.send(header % 1)
            await third.greet()


async def test_a_proxied_client_is_not_trusted_itself(listen: Listen) -> None:
    """The proxy is trusted, who comes through it is not."""
    address = await listen(trusted=LOOPBACK, proxy_protocol=True)
    async with await connect(address) as client:
        await client.send(b"PROXY TCP4 192.0.2.1 192.0.2.2 4000 25\r\n")
        assert "XCLIENT" not in await client.greet()
        assert (await client.ask("XCLIENT ADDR=198.51.100.1")).startswith("550 5.7.1")
        assert (await client.ask("XFORWARD ADDR=198.51.100.1")).startswith("550 5.7.1")


async def test_rule_j2_a_trusted_peer_that_tells_nothing(listen: Listen, receiver: MemoryReceiver) -> None:
    """The address of a front server is never taken for the client's."""
    async with await connect(await listen(trusted=LOOPBACK)) as client:
        connection = await told(client, receiver)
    assert (connection.ip, connection.port) == (None, None)


async def test_rule_j2_xclient(listen: Listen, receiver: MemoryReceiver) -> None:
    """XCLIENT starts the session anew with the client it names; its HELO stays that client's."""
    async with await connect(await listen(trusted=LOOPBACK)) as client:
        assert "XCLIENT NAME ADDR PORT PROTO HELO\r\n" in await client.greet()
        answer = await client.ask(
            "XCLIENT ADDR=IPV6:2001:db8::9 PORT=4025 HELO=evil+2Bhost.example PROTO=SMTP NAME=[UNAVAILABLE]"
        )
        assert answer.startswith("220 ")
        assert (await client.ask("MAIL FROM:<b@c>")).startswith("503")
        await client.ask("EHLO front.example.org")
        assert (await client.mail(b"x\r\n")).startswith("250")
        assert (await client.mail(b"y\r\n")).startswith("250")
    for mail in receiver.arrived:
        connection = mail.envelope.connection
        assert (connection.ip, connection.port) == ("2001:db8::9", 4025)
        assert (connection.helo, connection.esmtp) == ("evil+host.example", False)


async def test_rule_j2_xforward_holds_for_one_mail(listen: Listen, receiver: MemoryReceiver) -> None:
    """XFORWARD describes the next mail only; the one after it comes from nobody known."""
    async with await connect(await listen(trusted=LOOPBACK, road=Road.LMTP)) as client:
        await client.greet("LHLO front.example.org")
        assert (await client.ask("XFORWARD ADDR=192.0.2.3 PORT=1")).startswith("250")
        assert (
            await client.ask("XFORWARD HELO=spike.example SOURCE=REMOTE IDENT=4f NAME=x PROTO=ESMTP")
        ).startswith("250")
        assert (await client.mail(b"x\r\n")).startswith("250")
        assert (await client.mail(b"y\r\n")).startswith("250")
    first, second = (mail.envelope.connection for mail in receiver.arrived)
    assert (first.ip, first.port, first.helo) == ("192.0.2.3", 1, "spike.example")
    assert (second.ip, second.port, second.helo) == (None, None, "front.example.org")


@pytest.mark.parametrize(
    "attributes",
    ["", "ADDR", "ADDR=", "ADDR=x", "PORT=99999", "PORT=x", "PROTO=LMTP", "HELO=a+0Db", "HELO=+", "X=1"],
)
async def test_bad_attributes_change_nothing(
    attributes: str, listen: Listen, receiver: MemoryReceiver
) -> None:
    """A malformed attribute is 501 and nothing of the command holds."""
    async with await connect(await listen(trusted=LOOPBACK)) as client:
        await client.greet()
        for command in ("XCLIENT", "XFORWARD"):
            assert (await client.ask(f"{command} PORT=7 {attributes}" if attributes else command)).startswith(
                "501"
            )
        assert (await client.mail(b"x\r\n")).startswith("250")
    assert receiver.arrived[0].envelope.connection.port is None


async def test_attributes_in_a_transaction_are_refused(listen: Listen) -> None:
    """The client cannot change in the middle of a mail."""
    async with await connect(await listen(trusted=LOOPBACK)) as client:
        await client.greet()
        await client.ask("MAIL FROM:<b@c>")
        for command in ("XCLIENT", "XFORWARD"):
            assert (await client.ask(f"{command} ADDR=192.0.2.1")).startswith("503")


async def test_rule_j2_unix_peers_are_trusted(
    tmp_path: Path, listen: Listen, receiver: MemoryReceiver
) -> None:
    """Whoever the file system lets to a UNIX socket may speak for its clients, and has no address itself."""
    async with await connect(await listen(f"unix:{tmp_path}/lmtp", road=Road.LMTP)) as client:
        assert "XFORWARD" in await client.greet("LHLO front")
        assert (await client.mail(b"x\r\n")).startswith("250")
        assert receiver.arrived[0].envelope.connection.ip is None
        await client.ask("XFORWARD ADDR=192.0.2.3")
        assert (await client.mail(b"x\r\n")).startswith("250")
        assert receiver.arrived[1].envelope.connection.ip == "192.0.2.3"
