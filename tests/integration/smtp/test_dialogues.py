"""Whole dialogues, as anybody can read them."""

from __future__ import annotations

import pytest

from mairust_core.model.envelope import Road
from mairust_core.model.reply import Reply
from mairust_core.smtp.limits import Limits
from mairust_core.smtp.memory import MemoryReceiver
from tests.integration.smtp.client import connect, play
from tests.integration.smtp.conftest import Listen

SMTP = {
    "plain mail": """
        S: 220 mx.example.org ESMTP MaiRust
        C: HELO client
        S: 250 mx.example.org
        C: MAIL FROM:<bob@example.net>
        S: 250 2.1.0 Sender ok
        C: RCPT TO:<ann@example.org>
        S: 250 2.1.5 Recipient ok
        C: DATA
        S: 354 End data with <CR><LF>.<CR><LF>
        C: Subject: hi
        C:
        C: .
        S: 250 2.0.0 stored 1
        C: QUIT
        S: 221 2.0.0 Bye
        S:
    """,
    "order of commands": """
        S: 220 *
        C: MAIL FROM:<bob@example.net>
        S: 503 5.5.1 Say hello first
        C: EHLO
        S: 501 5.5.4 *
        C: EHLO client
        S: 250-mx.example.org*PIPELINING*SIZE 1048576*8BITMIME*SMTPUTF8*ENHANCEDSTATUSCODES*CHUNKING*HELP
        C: RCPT TO:<ann@example.org>
        S: 503 5.5.1 Send MAIL first
        C: DATA
        S: 503 5.5.1 Send MAIL first
        C: MAIL FROM:<bob@example.net>
        S: 250 2.1.0 *
        C: MAIL FROM:<bob@example.net>
        S: 503 5.5.1 A mail transaction is open already
        C: DATA
        S: 503 5.5.1 Send RCPT first
        C: RCPT TO:<nobody@example.org>
        S: 550 5.1.1 No such user here
        C: DATA
        S: 554 5.5.1 No valid recipients
        C: RSET
        S: 250 2.0.0 Ok
        C: RCPT TO:<ann@example.org>
        S: 503 5.5.1 *
    """,
    "parameters": """
        S: 220 *
        C: EHLO client
        S: 250-*
        C: MAIL FROM:<bob@example.net> SIZE=1048577
        S: 552 5.3.4 *
        C: MAIL FROM:<bob@example.net> SIZE=x
        S: 501 5.5.4 *
        C: MAIL FROM:<bob@example.net> SIZE
        S: 501 5.5.4 *
        C: MAIL FROM:<bob@example.net> BODY=BINARYMIME
        S: 501 5.5.4 *
        C: MAIL FROM:<bob@example.net> SMTPUTF8=yes
        S: 501 5.5.4 *
        C: MAIL FROM:<bob@example.net> RET=FULL
        S: 555 5.5.4 *
        C: MAIL FROM:<bob@example.net> SIZE=1 SIZE=2
        S: 501 5.5.4 *
        C: MAIL FROM:<bob@example.net> =1
        S: 501 5.5.4 *
        C: mail from: <bob@example.net>  size=1048576 body=8bitmime
        S: 250 2.1.0 *
        C: RCPT TO:<ann@example.org> NOTIFY=NEVER
        S: 555 5.5.4 *
        C: RCPT TO:<ann@example.org> =
        S: 501 5.5.4 *
        C: rcpt to:<ann@example.org>
        S: 250 2.1.5 *
    """,
    "parameters need EHLO": """
        S: 220 *
        C: HELO client
        S: 250 mx.example.org
        C: MAIL FROM:<bob@example.net> SIZE=1
        S: 555 5.5.4 *
    """,
    "addresses": """
        S: 220 *
        C: EHLO client
        S: 250-*
        C: MAIL FROM:bob@example.net
        S: 501 5.1.7 *
        C: MAIL <bob@example.net>
        S: 501 5.5.4 *
        C: MAIL FROM:<bob@@example.net>
        S: 501 5.1.7 *
        C: MAIL FROM:<>
        S: 250 2.1.0 *
        C: RCPT TO:<>
        S: 501 5.1.3 *
        C: RCPT TO:<ann@example.org
        S: 501 5.1.3 *
        C: RCPT <ann@example.org>
        S: 501 5.5.4 *
        C: RCPT TO:<Postmaster>
        S: 250 2.1.5 *
        C: RCPT TO:<@relay.example,@other.example:ann@example.org>
        S: 250 2.1.5 *
        C: RCPT TO:<"no such"@example.org>
        S: 550 5.1.1 *
        C: RCPT TO:<日本@example.org>
        S: 553 5.6.7 *
        C: RSET
        S: 250 *
        C: MAIL FROM:<日本@example.org>
        S: 553 5.6.7 *
        C: MAIL FROM:<日本@example.org> SMTPUTF8
        S: 250 2.1.0 *
        C: RCPT TO:<日本@example.org>
        S: 250 2.1.5 *
    """,
    "small talk": """
        S: 220 *
        C: NOOP
        S: 250 2.0.0 Ok
        C: NOOP whatever
        S: 250 2.0.0 Ok
        C: VRFY ann
        S: 252 2.1.5 *
        C: VRFY
        S: 501 5.5.4 *
        C: EXPN staff
        S: 502 5.5.1 *
        C: TURN
        S: 502 5.5.1 *
        C: AUTH PLAIN AGFubgBzZWNyZXQ=
        S: 502 5.5.1 *
        C: STARTTLS
        S: 502 5.5.1 *
        C: XCLIENT ADDR=192.0.2.1
        S: 550 5.7.1 *
        C: HELP
        S: 214 2.0.0 Commands: BDAT DATA EHLO HELO HELP MAIL NOOP QUIT RCPT RSET VRFY
        C: HELP STARTTLS
        S: 214 2.0.0 Commands: BDAT DATA *
        C: help mail
        S: 214 2.0.0 Syntax: MAIL FROM:<address> [[]SP parameters]
        C: RSET now
        S: 501 5.5.4 *
        C: QUIT now
        S: 501 5.5.4 *
        C: WIZ
        S: 500 5.5.2 Command not recognized
        C: LHLO client
        S: 500 5.5.2 *
        C:
        S: 500 5.5.2 *
        C: QUIT
        S: 221 2.0.0 Bye
    """,
}

LMTP = {
    "only LHLO": """
        S: 220 mx.example.org LMTP MaiRust
        C: HELO front
        S: 500 5.5.1 *
        C: EHLO front
        S: 500 5.5.1 *
        C: LHLO
        S: 501 5.5.4 Say your host name, such as LHLO mail.example.org
        C: LHLO front
        S: 250-mx.example.org*PIPELINING*
        C: MAIL FROM:<>
        S: 250 2.1.0 *
    """,
    "a reply for each": """
        S: 220 *
        C: LHLO front
        S: 250-*
        C: MAIL FROM:<bob@example.net>
        S: 250 *
        C: RCPT TO:<ann@example.org>
        S: 250 *
        C: RCPT TO:<nobody@example.org>
        S: 550 5.1.1 *
        C: RCPT TO:<bob@example.org>
        S: 250 *
        C: RCPT TO:<ann@example.org>
        S: 250 *
        C: DATA
        S: 354 *
        C: Subject: x
        C: .
        S: 250 2.0.0 stored 1
        S: 452 4.2.2 Mailbox full
        S: 250 2.0.0 stored 1
        C: QUIT
        S: 221 *
    """,
    "none for nobody": """
        S: 220 *
        C: LHLO front
        S: 250-*
        C: MAIL FROM:<bob@example.net>
        S: 250 *
        C: RCPT TO:<nobody@example.org>
        S: 550 5.1.1 *
        C: DATA
        S: 503 5.5.1 *
        C: NOOP
        S: 250 *
    """,
    "looping mail is refused to each": f"""
        S: 220 *
        C: LHLO front
        S: 250-*
        C: MAIL FROM:<bob@example.net>
        S: 250 *
        C: RCPT TO:<ann@example.org>
        S: 250 *
        C: RCPT TO:<bob@example.org>
        S: 250 *
        C: DATA
        S: 354 *
{("        C: Received: from a by b" + chr(10)) * 101}        C: .
        S: 554 5.4.6 *
        S: 554 5.4.6 *
        C: NOOP
        S: 250 2.0.0 Ok
    """,
}


@pytest.mark.parametrize("name", SMTP)
async def test_smtp_dialogue(name: str, listen: Listen) -> None:
    """An SMTP client gets these replies."""
    await play(await listen(), SMTP[name])


@pytest.mark.parametrize("name", LMTP)
async def test_trap_s9_lmtp_dialogue(name: str, listen: Listen, receiver: MemoryReceiver) -> None:
    """LMTP answers once per recipient, in order, also when refusing (RFC 2033)."""
    receiver.replies["bob@example.org"] = Reply(452, "4.2.2", "Mailbox full")
    await play(await listen(road=Road.LMTP), LMTP[name])


async def test_what_the_road_is_told(listen: Listen, receiver: MemoryReceiver) -> None:
    """The envelope holds what was said, and the client's address."""
    async with await connect(await listen()) as client:
        await client.greet("EHLO [192.0.2.7]")
        await client.ask("MAIL FROM:<ä@example.net> SMTPUTF8 BODY=8BITMIME")
        await client.ask("RCPT TO:<@a,@b:Ann@example.org>")
        await client.ask("DATA")
        await client.send(b"x\r\n.\r\n")
        assert await client.reply() == "250 2.0.0 stored 1"
    envelope = receiver.arrived[0].envelope
    assert (envelope.mail_from, envelope.smtputf8, envelope.body) == ("ä@example.net", True, "8BITMIME")
    assert [to.address for to in envelope.recipients] == ["Ann@example.org"]
    connection = envelope.connection
    assert (connection.ip, connection.helo, connection.esmtp) == ("127.0.0.1", "[192.0.2.7]", True)
    assert (connection.tls, connection.road) == ("", Road.SMTP)


async def test_trap_s6_unknown_recipient_is_refused_at_rcpt(listen: Listen, receiver: MemoryReceiver) -> None:
    """An unknown recipient is refused at RCPT and noted; the others get the mail."""
    async with await connect(await listen()) as client:
        await client.greet()
        await client.ask("MAIL FROM:<bob@example.net>")
        assert (await client.ask("RCPT TO:<nobody@example.org>")).startswith("550 5.1.1")
        await client.ask("RCPT TO:<ann@example.org>")
        await client.ask("DATA")
        await client.send(b"x\r\n.\r\n")
        assert (await client.reply()).startswith("250")
    assert [(sender, to, reply.code) for sender, to, reply in receiver.refusals] == [
        ("bob@example.net", "nobody@example.org", 550)
    ]
    assert [to.address for to in receiver.arrived[0].envelope.recipients] == ["ann@example.org"]


async def test_size_refused_at_mail_is_noted(listen: Listen, receiver: MemoryReceiver) -> None:
    """SIZE over the limit is refused at MAIL and told to the road."""
    async with await connect(await listen()) as client:
        await client.greet()
        assert (await client.ask("MAIL FROM:<b@example.net> SIZE=99999999")).startswith("552 5.3.4")
    assert [(sender, to) for sender, to, _ in receiver.refusals] == [("b@example.net", "")]


async def test_trap_s10_pipelined_commands_are_answered_in_one_write(listen: Listen) -> None:
    """A group of commands gets its replies together and in order (RFC 2920)."""
    async with await connect(await listen()) as client:
        await client.greet()
        await client.send(
            b"MAIL FROM:<b@c>\r\nRCPT TO:<ann@example.org>\r\nRCPT TO:<no@example.org>\r\nDATA\r\n"
        )
        together = await client.reader.read(65536)
        assert [line[:3] for line in together.splitlines()] == [b"250", b"250", b"550", b"354"]
        await client.send(b"x\r\n.\r\nMAIL FROM:<b@c>\r\nRSET\r\nQUIT\r\nNOOP\r\n")
        assert [line[:3] for line in (await client.rest()).splitlines()] == ["250", "250", "250", "221"]


async def test_commands_before_the_end_of_input_are_answered(listen: Listen) -> None:
    """A client that closes its side after its last command still gets all replies."""
    async with await connect(await listen()) as client:
        await client.send(
            b"EHLO x\r\nMAIL FROM:<b@c>\r\nRCPT TO:<ann@example.org>\r\nDATA\r\nx\r\n.\r\nQUIT\r\n"
        )
        client.writer.write_eof()
        codes = [line[:3] for line in (await client.rest()).splitlines() if line[3] == " "]
    assert codes == ["220", "250", "250", "250", "354", "250", "221"]


@pytest.mark.parametrize(
    "line",
    [
        b"\xff\xfe\r\n",
        "NÖÖP\r\n".encode(),
        b"NO\x00OP\r\n",
        b"NOOP \x07\r\n",
        b"NOOP \xff\r\n",
        b"NOOP a\rb\r\n",
        b"NOOP\n",
        "NOOP \u202eabc\r\n".encode(),
        b"X" * 100_000 + b"\r\n",
        b"NOOP " + b"x" * 3000 + b"\r\n",
    ],
    ids=lambda line: repr(line[:10]),
)
async def test_trap_s4_odd_lines_are_one_error_each(line: bytes, listen: Listen) -> None:
    """A line with odd bytes, a bare LF or too much length is one 500, and the next command works."""
    async with await connect(await listen()) as client:
        await client.greet()
        await client.send(line)
        assert (await client.reply()).startswith("500 5.5.2")
        assert await client.ask("NOOP") == "250 2.0.0 Ok"


async def test_trap_s4_too_many_recipients(listen: Listen, receiver: MemoryReceiver) -> None:
    """Recipients over the limit get 452 4.5.3 (RFC 5321 §4.5.3.1.10); those before get the mail."""
    async with await connect(await listen(limits=Limits(max_recipients=2))) as client:
        await client.greet()
        await client.ask("MAIL FROM:<b@c>")
        codes = [(await client.ask("RCPT TO:<ann@example.org>"))[:9] for _ in range(3)]
        assert codes == ["250 2.1.5", "250 2.1.5", "452 4.5.3"]
        await client.ask("DATA")
        await client.send(b".\r\n")
        assert (await client.reply()).startswith("250")
    assert len(receiver.arrived[0].envelope.recipients) == 2
