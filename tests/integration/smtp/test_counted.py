"""What a listener counts of its connections and its mail, whatever way they end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from mairust_core.model.blob import Content
from mairust_core.model.envelope import Envelope, Road
from mairust_core.model.reply import Reply
from mairust_core.observe.counters import OUTCOMES, Counters, Sums
from mairust_core.smtp import replies
from mairust_core.smtp.limits import Limits
from mairust_core.smtp.memory import MemoryReceiver
from mairust_core.smtp.server import Listener
from mairust_core.smtp.settings import ListenerSettings
from tests.integration.smtp.client import PATIENCE_S, RawClient, connect

RECIPIENTS = ("ann@example.org", "bob@example.org")
CLOSED, LARGE = b"BDAT 3", b"BDAT 2000"
"""Chunks that a closed road refuses, and that are too large."""


class Slow(MemoryReceiver):
    """A road on which a mail waits until the test goes on, and which may be closed or broken."""

    def __init__(self) -> None:
        super().__init__(RECIPIENTS, max_size_bytes=1000)
        self.entered, self.go_on = asyncio.Event(), asyncio.Event()
        self.closed: Reply | None = None
        self.broken = False

    def ready(self) -> Reply | None:
        """What the test says."""
        return self.closed

    async def receive(self, envelope: Envelope, content: Content) -> list[Reply]:
        """Wait, then store."""
        self.entered.set()
        await self.go_on.wait()
        if self.broken:
            raise RuntimeError("defect")
        return await super().receive(envelope, content)


async def bring_to_all(client: RawClient) -> None:
    """Begin an LMTP session with a mail of three octets to every recipient; its answers are still to come."""
    await client.greet("LHLO relay")
    await client.ask("MAIL FROM:<a@b.example>")
    for recipient in RECIPIENTS:
        await client.ask(f"RCPT TO:<{recipient}>")
    await client.send(b"BDAT 3 LAST\r\nabc")


def counting(receiver: MemoryReceiver, **settings: object) -> tuple[Listener, Counters]:
    """A listener and what it counts into."""
    counters = Counters.alone()
    given = ListenerSettings(hostname="mx.example.org", **settings)  # type: ignore[arg-type]  # as given
    return Listener(receiver, given, counters), counters


def outcomes(counters: Counters, road: str) -> list[int]:
    """How many answers to mail there were: stored, deferred, refused."""
    return [counters.all.sums().mails[road, outcome] for outcome in OUTCOMES]


async def test_r_mon_1_connections_come_and_go(receiver: MemoryReceiver) -> None:
    """Those open now, those that came, and those of which there were too many."""
    listener, counters = counting(receiver, limits=Limits(max_connections=2))
    address = await listener.start("127.0.0.1:0")
    async with await connect(address) as one, await connect(address) as two:
        assert (await one.reply())[:3] == (await two.reply())[:3] == "220"
        async with await connect(address) as three:
            assert (await three.rest()).startswith("421")
        sums = counters.all.sums()
        assert (sums.came["smtp"], sums.open["smtp"], sums.sent_away["smtp"]) == (3, 2, 1)
    await until(counters, lambda sums: sums.open["smtp"] == 0)
    await listener.stop(0)
    assert counters.all.sums().came == {"smtp": 3, "lmtp": 0, "deliver": 0}


async def test_r_mon_1_a_mail_waits_until_it_is_answered() -> None:
    """From its final dot on, and once the client has its answer it is counted."""
    receiver = Slow()
    listener, counters = counting(receiver)
    async with await connect(await listener.start("127.0.0.1:0")) as client:
        await client.greet()
        await client.open_data()
        assert counters.all.sums().waiting == 0
        await client.send(b"Subject: x\r\n\r\n.\r\n")
        await asyncio.wait_for(receiver.entered.wait(), PATIENCE_S)
        assert counters.all.sums().waiting == 1
        receiver.go_on.set()
        assert (await client.reply()).startswith("250")
        sums = counters.all.sums()
        assert (sums.waiting, sums.mail_times.count, sums.mails["smtp", "stored"]) == (0, 1, 1)
        assert sums.stored_bytes["smtp"] == len(b"Subject: x\r\n\r\n")
    await listener.stop(0)


async def test_r_mon_1_a_mail_whose_session_fails_waits_no_more() -> None:
    """Its client is told 421 and tries again: it is deferred."""
    receiver = Slow()
    receiver.broken = True
    receiver.go_on.set()
    listener, counters = counting(receiver)
    async with await connect(await listener.start("127.0.0.1:0")) as client:
        await client.greet()
        await client.open_data()
        await client.send(b"x\r\n.\r\n")
        assert (await client.rest()).startswith("421")
    await listener.stop(0)
    sums = counters.all.sums()
    assert (sums.waiting, sums.mail_times.count) == (0, 1)
    assert outcomes(counters, "smtp") == [0, 1, 0]


async def test_r_mon_1_what_is_refused_counts_by_its_reply() -> None:
    """Recipients, content that is too large, mail that is too large from the first, and a closed road."""
    receiver = Slow()
    receiver.go_on.set()
    listener, counters = counting(receiver, limits=Limits(max_recipients=1))
    async with await connect(await listener.start("127.0.0.1:0")) as client:
        await client.greet()
        await client.ask("MAIL FROM:<a@b.example>")
        for recipient, code in (("who@example.org", "550"), (RECIPIENTS[0], "250"), (RECIPIENTS[1], "452")):
            assert (await client.ask(f"RCPT TO:<{recipient}>")).startswith(code)
        await client.ask("DATA")
        await client.send(b"x" * 2000 + b"\r\n.\r\n")
        assert (await client.reply()).startswith("552")
        assert (await client.ask("MAIL FROM:<a@b.example> SIZE=2000")).startswith("552")
        receiver.closed = replies.NO_ANSWER
        await client.ask("MAIL FROM:<a@b.example>")
        await client.ask(f"RCPT TO:<{RECIPIENTS[0]}>")
        assert (await client.ask("DATA")).startswith("451")
    await listener.stop(0)
    sums = counters.all.sums()
    assert sums.recipients_refused["smtp", "refused"] == 1
    assert sums.recipients_refused["smtp", "deferred"] == 1
    assert [sums.mails["smtp", outcome] for outcome in ("stored", "deferred", "refused")] == [0, 1, 2]
    assert (sums.mail_times.count, sums.stored_bytes["smtp"]) == (1, 0)


async def test_r_mon_1_lmtp_counts_each_recipients_answer(receiver: MemoryReceiver) -> None:
    """And the content once."""
    listener, counters = counting(receiver, road=Road.LMTP)
    async with await connect(await listener.start("127.0.0.1:0")) as client:
        await bring_to_all(client)
        assert [answer[:3] for answer in await client.replies(2)] == ["250", "250"]
    await listener.stop(0)
    sums = counters.all.sums()
    assert (sums.mails["lmtp", "stored"], sums.stored_bytes["lmtp"]) == (2, 3)
    assert sums.mail_times.count == 1


@pytest.mark.parametrize(
    ("chunks", "ended"),
    [
        ([CLOSED], False),
        ([CLOSED, CLOSED], False),
        ([CLOSED, CLOSED + b" LAST"], True),
        ([CLOSED + b" LAST"], True),
        ([LARGE], False),
        ([LARGE, b"BDAT 3"], False),
        ([LARGE, b"BDAT 3 LAST"], True),
        ([LARGE + b" LAST"], True),
    ],
)
@pytest.mark.parametrize(("road", "recipients"), [(Road.SMTP, 1), (Road.LMTP, 2)])
async def test_r_mon_1_refused_chunks_count_once_for_their_transaction(
    road: Road, recipients: int, chunks: list[bytes], ended: bool
) -> None:
    """Whether the client gives up then or sends the rest; over LMTP once for each recipient."""
    receiver = Slow()
    closed = chunks[0].startswith(CLOSED)
    receiver.closed = replies.NO_ANSWER if closed else None
    listener, counters = counting(receiver, road=road)
    async with await connect(await listener.start("127.0.0.1:0")) as client:
        await client.greet("LHLO relay" if road is Road.LMTP else "EHLO relay")
        await client.ask("MAIL FROM:<a@b.example>")
        for recipient in RECIPIENTS:
            await client.ask(f"RCPT TO:<{recipient}>")
        for chunk in chunks:
            await client.send(chunk + b"\r\n" + b"x" * int(chunk.split()[1]))
            for answer in await client.replies(recipients if b"LAST" in chunk else 1):
                assert answer.startswith("451" if closed else "552")
        if not ended:
            await client.ask("RSET")
    await listener.stop(0)
    assert outcomes(counters, str(road)) == [0, closed * recipients, (not closed) * recipients]


async def test_r_mon_1_content_without_recipients_is_in_no_outcome() -> None:
    """Its recipients are counted by themselves."""
    receiver = Slow()
    listener, counters = counting(receiver)
    async with await connect(await listener.start("127.0.0.1:0")) as client:
        await client.greet()
        await client.ask("MAIL FROM:<a@b.example>")
        assert (await client.ask("DATA")).startswith("503")
        await client.ask("RCPT TO:<who@example.org>")
        assert (await client.ask("DATA")).startswith("554")
        await client.send(b"BDAT 3\r\nabc")
        assert (await client.reply()).startswith("554")
        await client.send(b"BDAT 3 LAST\r\nabc")
        assert (await client.reply()).startswith("554")
    await listener.stop(0)
    assert outcomes(counters, "smtp") == [0, 0, 0]
    assert counters.all.sums().recipients_refused["smtp", "refused"] == 1


async def test_r_mon_1_what_the_first_of_many_has_is_stored_content() -> None:
    """Over LMTP the last recipient may be refused."""

    class Half(MemoryReceiver):
        async def receive(self, envelope: Envelope, content: Content) -> list[Reply]:
            [first, *_] = await super().receive(envelope, content)
            return [first, replies.TOO_BIG]

    listener, counters = counting(Half(RECIPIENTS), road=Road.LMTP)
    async with await connect(await listener.start("127.0.0.1:0")) as client:
        await bring_to_all(client)
        assert [answer[:3] for answer in await client.replies(2)] == ["250", "552"]
    await listener.stop(0)
    assert outcomes(counters, "lmtp") == [1, 0, 1]
    assert counters.all.sums().stored_bytes["lmtp"] == 3


async def until(counters: Counters, holds: Callable[[Sums], bool]) -> None:
    """Wait until the sums are so."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds(found := counters.all.sums()):
        assert time.monotonic() < deadline, found.open
        await asyncio.sleep(0.01)
