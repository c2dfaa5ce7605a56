"""Slow, greedy and mad clients (trap S4)."""

from __future__ import annotations

import asyncio

import pytest

from mairust_core.model.envelope import Road
from mairust_core.smtp.limits import Limits
from mairust_core.smtp.memory import MemoryReceiver
from tests.integration.smtp.client import RawClient, connect
from tests.integration.smtp.conftest import Listen


async def dribble(client: RawClient, data: bytes) -> None:
    """Send a byte now and then, for as long as the server listens."""
    for position in range(len(data)):
        if client.reader.at_eof():
            return
        client.writer.write(data[position : position + 1])
        await asyncio.sleep(0.02)


async def talk_on(client: RawClient) -> None:
    """Send commands for ever."""
    while True:
        await client.send(b"HELP\r\n" * 1000)


async def test_trap_s4_idle_clients_are_sent_away(listen: Listen) -> None:
    """A client that says nothing gets 421 4.4.2."""
    async with await connect(await listen(limits=Limits(idle_s=0.1))) as client:
        await client.greet()
        assert (await client.rest()).startswith("421 4.4.2")


async def test_trap_s4_a_dribbled_command_is_idle(listen: Listen) -> None:
    """A byte now and then does not keep the slot: the command as a whole must come in time."""
    async with await connect(await listen(limits=Limits(idle_s=0.3))) as client:
        await client.greet()
        dribbling = asyncio.create_task(dribble(client, b"X" * 1500))
        assert (await client.rest()).startswith("421 4.4.2")
        dribbling.cancel()


async def test_trap_s4_silence_in_data_ends_it(listen: Listen, receiver: MemoryReceiver) -> None:
    """Content that stops coming ends in 421 and is forgotten."""
    async with await connect(await listen(limits=Limits(data_idle_s=0.1))) as client:
        await client.greet()
        await client.open_data()
        await client.send(b"half a m")
        assert (await client.rest()).startswith("421 4.4.2")
    assert receiver.arrived == []
    assert receiver.collectors[0].discarded


@pytest.mark.parametrize("command", ["DATA", "BDAT"])
async def test_trap_s4_slow_content_ends_it(command: str, listen: Listen, receiver: MemoryReceiver) -> None:
    """Content below the least rate ends in 421, though it never stops and much of it came at first."""
    limits = Limits(data_grace_s=0.2, data_bytes_per_s=10_000)
    async with await connect(await listen(limits=limits)) as client:
        await client.greet()
        await client.send(b"MAIL FROM:<b@c>\r\nRCPT TO:<ann@example.org>\r\n")
        await client.replies(2)
        await client.send(b"DATA\r\n" if command == "DATA" else b"BDAT 99999\r\n")
        await client.send(b"x" * 11_000)  # more than it must be in a second, or a total would do for a rate
        dribbling = asyncio.create_task(dribble(client, b"x" * 1500))
        assert "421 4.4.2" in await client.rest()
        dribbling.cancel()
    assert receiver.collectors[0].discarded


async def test_trap_s4_a_refused_chunk_counts_as_content(listen: Listen) -> None:
    """It is drained, and whoever sends it fast enough is not cut for being slow; who dribbles is."""
    limits = Limits(data_grace_s=0.1, data_bytes_per_s=100_000)
    async with await connect(await listen(limits=limits)) as client:
        await client.greet()
        await client.ask("MAIL FROM:<b@c>")
        await client.send(b"BDAT 2000000\r\n")
        for _ in range(20):
            await client.send(b"x" * 100_000)
            await asyncio.sleep(0.02)
        assert (await client.reply()).startswith("503")
        await client.send(b"BDAT 2000000\r\n")
        dribbling = asyncio.create_task(dribble(client, b"x" * 1500))
        assert "421 4.4.2" in await client.rest()
        dribbling.cancel()


async def test_trap_s4_sessions_end(listen: Listen) -> None:
    """A busy session ends when its time is over."""
    async with await connect(await listen(limits=Limits(session_s=0.3))) as client:
        await client.greet()
        answers = [""]
        while answers[-1][:3] != "421":
            client.writer.write(b"NOOP\r\n")
            answers.append(await client.reply())
            await asyncio.sleep(0.01)
    assert "Session" in answers[-1]


async def test_trap_s4_a_client_that_does_not_read_is_cut(listen: Listen, receiver: MemoryReceiver) -> None:
    """Replies nobody fetches do not pile up: the connection is cut."""
    limits = Limits(idle_s=0.2, linger_s=0.1, max_junk_commands=10**9)
    async with await connect(await listen(limits=limits)) as client:
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a stream's transport reads, too
        with pytest.raises(ConnectionError):
            await talk_on(client)


async def test_trap_s4_errors_are_counted(listen: Listen) -> None:
    """After too many errors comes 421 4.7.0."""
    async with await connect(await listen(limits=Limits(max_errors=3))) as client:
        await client.greet()
        await client.send(b"WIZ\r\n" * 10)
        codes = [line[:3] for line in (await client.rest()).splitlines()]
    assert codes == ["500", "500", "500", "500", "421"]


@pytest.mark.parametrize(("command", "code", "most"), [("WIZ", "500", 20), ("NOOP", "250", 100)])
async def test_trap_s4_errors_and_junk_have_the_limits_the_docs_tell_of(
    command: str, code: str, most: int, listen: Listen
) -> None:
    """`docs/explanation/how-mail-flows.md`, Limits: twenty, and a hundred."""
    async with await connect(await listen()) as client:
        await client.greet()
        await client.send(f"{command}\r\n".encode() * 2 * most + b"QUIT\r\n")
        codes = [line[:3] for line in (await client.rest()).splitlines()]
    assert codes[-1] == "421"
    assert most <= codes.count(code) == len(codes) - 1 <= most + 1


async def test_trap_s4_address_harvesting_is_an_error(listen: Listen) -> None:
    """Unknown recipients are errors of an SMTP client, and an accepted mail clears the account."""
    async with await connect(await listen(limits=Limits(max_errors=3))) as client:
        await client.greet()
        for _ in range(3):
            await client.ask("MAIL FROM:<b@c>")
            for _ in range(3):
                assert (await client.ask("RCPT TO:<no@example.org>")).startswith("550")
            await client.ask("RCPT TO:<ann@example.org>")
            await client.ask("DATA")
            await client.send(b".\r\n")
            assert (await client.reply()).startswith("250")
        await client.ask("MAIL FROM:<b@c>")
        await client.send(b"RCPT TO:<no@example.org>\r\n" * 4)
        assert "421 4.7.0" in await client.rest()


async def test_front_servers_may_ask_for_many_unknown(listen: Listen) -> None:
    """Over LMTP unknown recipients are not the front server's errors."""
    async with await connect(await listen(road=Road.LMTP, limits=Limits(max_errors=3))) as client:
        await client.greet("LHLO x")
        await client.ask("MAIL FROM:<b@c>")
        for _ in range(10):
            assert (await client.ask("RCPT TO:<no@example.org>")).startswith("550")


async def test_trap_s4_junk_commands_are_counted(listen: Listen) -> None:
    """Commands that lead nowhere end in 421 4.7.0."""
    async with await connect(await listen(limits=Limits(max_junk_commands=5))) as client:
        await client.greet()
        await client.send(b"NOOP\r\n" * 10)
        codes = [line[:3] for line in (await client.rest()).splitlines()]
    assert codes == ["250"] * 5 + ["421"]


async def test_trap_s4_transactions_are_counted(listen: Listen) -> None:
    """A session has only so many mails."""
    async with await connect(await listen(limits=Limits(max_transactions=2))) as client:
        await client.greet()
        assert (await client.mail(b"1\r\n")).startswith("250")
        assert (await client.mail(b"2\r\n")).startswith("250")
        assert (await client.ask("MAIL FROM:<b@c>")).startswith("421 4.7.0")


async def test_trap_s4_connections_are_limited(listen: Listen) -> None:
    """One connection too many gets 421 4.3.2; when another has gone there is room again."""
    address = await listen(limits=Limits(max_connections=2))
    async with await connect(address) as first:
        await first.greet()
        async with await connect(address) as second:
            await second.greet()
            async with await connect(address) as third:
                assert (await third.rest()).startswith("421 4.3.2")
        while True:
            async with await connect(address) as fourth:
                if (await fourth.reply()).startswith("220"):
                    break


async def test_rule_j2_loopback_has_no_limit_per_address(listen: Listen) -> None:
    """Connections from loopback are not counted by address."""
    address = await listen(limits=Limits(connections_per_address=1))
    async with await connect(address) as first, await connect(address) as second:
        await first.greet()
        await second.greet()


async def test_trap_a3_secrets_are_not_logged(listen: Listen, caplog: pytest.LogCaptureFixture) -> None:
    """Neither arguments nor lines that are no command are in the log, at any level."""
    caplog.set_level("DEBUG")
    async with await connect(await listen()) as client:
        await client.greet()
        await client.ask("AUTH PLAIN AGFubgBzZWNyZXQ=")
        answer = await client.ask("c2VjcmV0")
        assert "c2VjcmV0" not in answer
        assert (await client.mail(b"Subject: confidential\r\n")).startswith("250")
    assert "mairust.smtp" in {record.name for record in caplog.records}
    logged = caplog.text.casefold()  # verbs are made upper case before they are looked at
    for secret in ("AGFubgBzZWNyZXQ", "c2VjcmV0", "confidential"):
        assert secret.casefold() not in logged


@pytest.mark.parametrize("road", [Road.SMTP, Road.LMTP])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "OPTIONS", "CONNECT", "post"])
async def test_what_speaks_http_carries_no_mail_in(
    method: str, road: Road, listen: Listen, receiver: MemoryReceiver
) -> None:
    """A browser, or a plugin that may make requests, cannot bring SMTP in a body: the connection ends."""
    hello = b"LHLO x" if road is Road.LMTP else b"EHLO x"
    body = hello + b"\r\nMAIL FROM:<b@x.example>\r\nRCPT TO:<ann@example.org>\r\nDATA\r\n\r\nHi.\r\n.\r\n"
    async with await connect(await listen(road=road)) as client:
        await client.send(b"%s / HTTP/1.1\r\nHost: x\r\n\r\n%s" % (method.encode(), body))
        greeting, *told = (await client.rest()).splitlines()
    assert greeting.startswith("220 ")
    assert told == ["421 4.7.0 HTTP is not spoken here, closing connection"]
    assert receiver.arrived == []
