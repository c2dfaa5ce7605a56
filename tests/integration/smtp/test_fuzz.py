"""Nothing a client sends breaks the server: it always takes mail afterwards."""

from __future__ import annotations

import asyncio
import random

import pytest

from mairust_core.model.envelope import Road
from mairust_core.smtp.limits import Limits
from mairust_core.smtp.memory import MemoryReceiver
from mairust_core.smtp.trusted import TrustedNetworks
from tests.integration.smtp.client import connect
from tests.integration.smtp.conftest import Listen

ROUNDS = 60
STATES = {
    "new": b"",
    "greeted": b"EHLO x\r\nLHLO x\r\n",
    "mail": b"EHLO x\r\nLHLO x\r\nMAIL FROM:<b@c>\r\n",
    "rcpt": b"EHLO x\r\nLHLO x\r\nMAIL FROM:<b@c>\r\nRCPT TO:<ann@example.org>\r\n",
    "data": b"EHLO x\r\nLHLO x\r\nMAIL FROM:<b@c>\r\nRCPT TO:<ann@example.org>\r\nDATA\r\n",
    "bdat": b"EHLO x\r\nLHLO x\r\nMAIL FROM:<b@c>\r\nRCPT TO:<ann@example.org>\r\nBDAT 50\r\nab",
}
WORDS = [
    *b"EHLO LHLO HELO MAIL RCPT DATA BDAT RSET NOOP QUIT VRFY HELP XCLIENT XFORWARD AUTH LAST".split(),
    *b"FROM:<a@b> TO:<ann@example.org> TO:<postmaster> SIZE=1 BODY=8BITMIME SMTPUTF8 ADDR=192.0.2.1".split(),
    *b"HELO=x 0 1 99999999999 <> < > @ + +0 = . ..".split(),
    *(b'"', b"\\", b"\xff", b"\xe3\x81\x82", b"\0", b"\t", b" ", b"x" * 3000),
    *(b"\r\n", b"\r\n", b"\r\n", b"\r", b"\n", b"\r\n.\r\n", b"\n.\n"),
]


def nonsense(chance: random.Random) -> bytes:
    """Words of the protocol, line ends and random bytes."""
    pieces = [
        chance.randbytes(chance.randrange(20)) if chance.random() < 0.1 else chance.choice(WORDS)
        for _ in range(chance.randrange(1, 40))
    ]
    return b"".join(piece + b" " * (chance.random() < 0.6) for piece in pieces)


@pytest.mark.parametrize("road", [Road.SMTP, Road.LMTP])
@pytest.mark.parametrize("state", STATES)
async def test_nonsense_in_every_state(
    state: str, road: Road, listen: Listen, receiver: MemoryReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    """Random bytes cut at random: only well-formed replies, no defect, and mail comes in afterwards."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    trusted = TrustedNetworks(["127.0.0.0/8"])
    address = await listen(road=road, trusted=trusted, limits=Limits(max_size_bytes=5000))
    for _ in range(ROUNDS):
        async with await connect(address) as client:
            data = STATES[state] + nonsense(chance)
            cut = chance.randrange(len(data) + 1)
            await client.send(data[:cut])
            await asyncio.sleep(0)
            await client.send(data[cut:])
            client.writer.write_eof()
            answers = (await client.rest()).splitlines()
            assert all(line[:3].isdigit() and line[3:4] in " -" and line.isprintable() for line in answers)
            assert not any(line.startswith("421 4.3.0") for line in answers)
    receiver.arrived.clear()
    async with await connect(address) as client:
        await client.greet("LHLO x" if road is Road.LMTP else "EHLO x")
        assert (await client.mail(b"after all\r\n")).startswith("250")
    assert [mail.data for mail in receiver.arrived] == [b"after all\r\n"]
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def test_the_same_bytes_cut_anywhere_give_the_same(listen: Listen, receiver: MemoryReceiver) -> None:
    """Where the network cuts a dialogue changes neither the replies nor what is stored."""
    dialogue = (
        b"EHLO x\r\nMAIL FROM:<b@c>\r\nRCPT TO:<ann@example.org>\r\nDATA\r\n..dot\r\n.\rx\r\n.\r\n"
        b"MAIL FROM:<b@c>\r\nRCPT TO:<ann@example.org>\r\nDATA\r\n..dot\r\n\r\n.\r\n"
        b"MAIL FROM:<b@c>\r\nRCPT TO:<ann@example.org>\r\nBDAT 3\r\nab\rBDAT 3 LAST\r\n\ncdQUIT\r\n"
    )
    address = await listen()
    outcomes = set()
    for cut in range(0, len(dialogue), 3):
        async with await connect(address) as client:
            await client.send(dialogue[:cut])
            await asyncio.sleep(0.001)
            await client.send(dialogue[cut:])
            replies = await client.rest()
        outcomes.add((replies, tuple(mail.data for mail in receiver.arrived)))
        receiver.arrived.clear()
    ((replies, stored),) = outcomes
    assert stored == (b".dot\r\n\r\n", b"ab\r\ncd")
    assert "550 5.6.11" in replies
