"""What may be said in DATA and BDAT, and what ends it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mairust_core.errors import DiskFull, TooMany
from mairust_core.model.blob import Content
from mairust_core.model.envelope import Envelope, Road
from mairust_core.model.reply import Reply
from mairust_core.observe.counters import Counters
from mairust_core.smtp.limits import Limits
from mairust_core.smtp.memory import MemoryReceiver
from mairust_core.smtp.server import Listener
from mairust_core.smtp.settings import ListenerSettings
from tests.integration.smtp.client import PATIENCE_S, connect
from tests.integration.smtp.conftest import Listen

ENDINGS = {
    "lf-dot-lf": b"\n.\n",
    "cr-dot-cr": b"\r.\r",
    "cr-dot-lf": b"\r.\n",
    "lf-dot-cr": b"\n.\r",
    "lf-dot-crlf": b"\n.\r\n",
    "crlf-dot-lf": b"\r\n.\n",
    "cr-dot-crlf": b"\r.\r\n",
    "crlf-dot-cr": b"\r\n.\r",
    "dot-crcrlf": b"\r\n.\r\r\n",
    "crcrlf-dot-crcrlf": b"\r\r\n.\r\r\n",
}
HARMLESS = {
    "nul-before-dot": b"\r\n\x00.\r\n",
    "nul-after-dot": b"\r\n.\x00\r\n",
    "space-before-dot": b"\r\n .\r\n",
    "space-after-dot": b"\r\n. \r\n",
    "stuffed": b"\r\n..\r\n",
}
SMUGGLED = b"MAIL FROM:<evil@example.net>\r\nRCPT TO:<ann@example.org>\r\nDATA\r\nsmuggled\r\n"


@pytest.mark.parametrize("apart", [False, True], ids=["at once", "byte by byte"])
@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS)
async def test_trap_s1_only_crlf_dot_crlf_ends_data(
    ending: bytes, apart: bool, listen: Listen, receiver: MemoryReceiver
) -> None:
    """None of the ten false endings lets a second mail through; the mail is refused with 550 5.6.11."""
    async with await connect(await listen()) as client:
        await client.greet()
        await client.open_data()
        data = b"Subject: x\r\n\r\nbody" + ending + SMUGGLED + b".\r\n"
        await (client.send_apart(data) if apart else client.send(data))
        assert await client.reply() == "550 5.6.11 Message contains bare CR or LF"
        assert await client.ask("NOOP") == "250 2.0.0 Ok"
    assert receiver.arrived == []
    assert all(collector.discarded for collector in receiver.collectors)


@pytest.mark.parametrize("apart", [False, True], ids=["at once", "byte by byte"])
@pytest.mark.parametrize("ending", HARMLESS.values(), ids=HARMLESS)
async def test_trap_s1_what_looks_like_an_end_is_content(
    ending: bytes, apart: bool, listen: Listen, receiver: MemoryReceiver
) -> None:
    """Lines that merely resemble the final dot are content of one mail."""
    async with await connect(await listen()) as client:
        await client.greet()
        await client.open_data()
        data = b"body" + ending + SMUGGLED + b".\r\n"
        await (client.send_apart(data) if apart else client.send(data))
        assert (await client.reply()).startswith("250")
    assert [mail.data for mail in receiver.arrived] == [
        (b"body" + ending + SMUGGLED).replace(b"\r\n.", b"\r\n")
    ]


@pytest.mark.parametrize("how", ["half closed", "gone"])
@pytest.mark.parametrize(("hello", "road"), [("EHLO relay", Road.SMTP), ("LHLO relay", Road.LMTP)])
async def test_trap_s1_content_of_a_client_that_goes_away_is_never_read_as_commands(
    hello: str, road: Road, how: str, receiver: MemoryReceiver
) -> None:
    """A relay that loses its connection in the middle of DATA lets no mail out of its content."""
    inner = b"Subject: smuggled\r\n\r\n"
    commands = b"RSET\r\nMAIL FROM:<evil@example.net>\r\nRCPT TO:<ann@example.org>\r\n"
    listener = Listener(receiver, ListenerSettings(hostname="mx.example.org", road=road), Counters.alone())
    async with await connect(await listener.start("127.0.0.1:0")) as client:
        await client.greet(hello)
        await client.open_data()
        await client.send(b"Subject: x\r\n\r\n" + commands + b"BDAT %d LAST\r\n" % len(inner) + inner)
        if how == "half closed":
            client.writer.write_eof()
            assert await client.rest() == ""
        else:
            client.writer.close()
            await client.writer.wait_closed()
        assert await listener.stop(PATIENCE_S) == 0
    assert receiver.arrived == []
    assert len(receiver.collectors) == 1


@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS)
async def test_trap_s1_accepted_bare_newlines_end_nothing(
    ending: bytes, listen: Listen, receiver: MemoryReceiver
) -> None:
    """Where bare newlines are let in they still end nothing, and the bytes are kept."""
    async with await connect(await listen(bare_newlines="accept")) as client:
        await client.greet()
        assert (await client.mail(b"body" + ending + SMUGGLED)).startswith("250")
    assert [mail.data for mail in receiver.arrived] == [
        (b"body" + ending + SMUGGLED).replace(b"\r\n.", b"\r\n")
    ]


@pytest.mark.skipif("MAIRUST_CORPORA" not in os.environ, reason="MAIRUST_CORPORA is not set")
async def test_trap_s1_endings_of_the_corpus(listen: Listen, receiver: MemoryReceiver) -> None:
    """No ending known from attacks in the wild brings a second mail in."""
    rows = (Path(os.environ["MAIRUST_CORPORA"]) / "smtp" / "smuggling-eod.tsv").read_text().splitlines()[1:]
    endings = {name: bytes.fromhex(digits) for name, _, digits, *_ in (row.split("\t") for row in rows)}
    false_endings = [ending for name, ending in endings.items() if not name.startswith("VALID")]
    assert len(false_endings) >= 12
    address = await listen()
    for ending in false_endings:
        receiver.arrived.clear()
        async with await connect(address) as client:
            await client.greet()
            answer = await client.mail(b"Subject: x\r\n\r\nbody" + ending + SMUGGLED)
            assert answer[:3] in ("250", "550")
            assert await client.ask("NOOP") == "250 2.0.0 Ok"
        assert len(receiver.arrived) == (answer[:3] == "250")


@pytest.mark.parametrize("size", [11, 1000, 300_000])
async def test_trap_s2_oversized_data_is_drained(size: int, listen: Listen, receiver: MemoryReceiver) -> None:
    """Too much content is read to its end, then 552; none of it is taken for commands."""
    async with await connect(await listen(limits=Limits(max_size_bytes=10))) as client:
        assert "SIZE 10\r\n" in await client.greet()
        answer = await client.mail(b"QUIT\r\n" * (size // 6 + 1))
        assert answer == "552 5.3.4 Message size exceeds the limit"
        assert (await client.mail(b"12345678\r\n")).startswith("250")
    assert [mail.data for mail in receiver.arrived] == [b"12345678\r\n"]


async def test_trap_s2_the_road_may_allow_less(listen: Listen) -> None:
    """The advertised SIZE is the smaller of the listener's limit and the road's."""
    async with await connect(await listen(limits=Limits(max_size_bytes=1 << 30))) as client:
        assert "SIZE 1048576\r\n" in await client.greet()


async def test_trap_s3_mail_is_bytes(listen: Listen, receiver: MemoryReceiver) -> None:
    """Every octet but bare CR and LF arrives as sent, and lines may be of any length (rule B3)."""
    every = bytes(octet for octet in range(256) if octet not in b"\r\n")
    content = b"Subject: " + every + b"\r\n\r\n" + every * 1000 + b"\r\n"
    async with await connect(await listen()) as client:
        await client.greet()
        assert (await client.mail(content)).startswith("250")
    assert receiver.arrived[0].data == content


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (b"", b""),
        (b"..\r\n", b".\r\n"),
        (b"..leading\r\n...three\r\nno.dot\r\n", b".leading\r\n..three\r\nno.dot\r\n"),
        (b"\r\n..\r\n", b"\r\n.\r\n"),
        (b".lonely\r\n", b"lonely\r\n"),
    ],
)
async def test_trap_s8_dots_are_unstuffed(
    sent: bytes, kept: bytes, listen: Listen, receiver: MemoryReceiver
) -> None:
    """One dot is taken from each line that begins with one, also from the first."""
    async with await connect(await listen()) as client:
        await client.greet()
        assert (await client.mail(sent)).startswith("250")
    assert receiver.arrived[0].data == kept


@pytest.mark.parametrize(("hops", "code"), [(100, "250"), (101, "554")])
async def test_trap_s13_more_than_a_hundred_hops_is_a_loop(hops: int, code: str, listen: Listen) -> None:
    """101 Received fields are refused, 100 are not; those in the body do not count."""
    content = b"rEceived: from a\r\n\tby b\r\n" * hops + b"\r\n" + b"Received: quoted\r\n" * 200
    async with await connect(await listen()) as client:
        await client.greet()
        assert (await client.mail(content)).startswith(code)


@pytest.mark.parametrize("road", [Road.SMTP, Road.LMTP])
async def test_rule_j3_data_is_refused_before_content_when_the_road_is_down(
    road: Road, listen: Listen, receiver: MemoryReceiver
) -> None:
    """Known trouble answers DATA itself with 4xx; when it is over the same session goes on."""
    receiver.not_ready = Reply(451, "4.3.0", "Mail store is temporarily unavailable")
    async with await connect(await listen(road=road)) as client:
        await client.greet("LHLO x" if road is Road.LMTP else "EHLO x")
        await client.ask("MAIL FROM:<b@c>")
        await client.ask("RCPT TO:<ann@example.org>")
        assert (await client.ask("DATA")).startswith("451 4.3.0")
        receiver.not_ready = None
        assert (await client.ask("DATA")).startswith("354")
        await client.send(b"x\r\n.\r\n")
        assert (await client.reply()).startswith("250")
    assert [reply.code for _, _, reply in receiver.refusals] == [451]


async def test_rule_b4_no_room_in_flight_is_452(listen: Listen, receiver: MemoryReceiver) -> None:
    """No collector to be had answers DATA with 452."""
    receiver.no_collector = TooMany("in_flight")
    async with await connect(await listen()) as client:
        await client.greet()
        await client.ask("MAIL FROM:<b@c>")
        await client.ask("RCPT TO:<ann@example.org>")
        assert (await client.ask("DATA")).startswith("452 4.3.2")


@pytest.mark.parametrize("bdat", [False, True], ids=["DATA", "BDAT"])
async def test_trap_s12_a_full_disk_in_the_middle_is_452(
    bdat: bool, listen: Listen, receiver: MemoryReceiver
) -> None:
    """A collector that fails has its mail drained and answered 452 4.3.1; the session lives on."""
    receiver.failure, receiver.fail_after_bytes = DiskFull("write"), 100_000
    content = b"QUIT\r\n" * 50_000
    async with await connect(await listen()) as client:
        await client.greet()
        if bdat:
            await client.ask("MAIL FROM:<b@c>")
            await client.ask("RCPT TO:<ann@example.org>")
            await client.send(b"BDAT %d LAST\r\n" % len(content) + content)
            answer = await client.reply()
        else:
            answer = await client.mail(content)
        assert answer.startswith("452 4.3.1")
        receiver.failure = None
        assert (await client.mail(b"x\r\n")).startswith("250")
    assert receiver.collectors[0].discarded


async def test_chunking_keeps_every_octet(listen: Listen, receiver: MemoryReceiver) -> None:
    """Chunks are joined as they are: no dot is special (RFC 3030), CR and LF may lie in two chunks."""
    async with await connect(await listen()) as client:
        await client.greet()
        await client.send(
            b"MAIL FROM:<b@c>\r\nRCPT TO:<ann@example.org>\r\n"
            b"BDAT 4\r\n.\r\n\rBDAT 6\r\n\n..\r\n.BDAT 0\r\nbdat 2 last\r\n\r\nNOOP\r\n"
        )
        codes = [answer[:9] for answer in await client.replies(7)]
        assert codes == ["250 2.1.0", "250 2.1.5", *["250 2.0.0"] * 5]
    assert receiver.arrived[0].data == b".\r\n\r\n..\r\n.\r\n"


async def test_rule_b3_public_chunks_refuse_bare_newlines(listen: Listen, receiver: MemoryReceiver) -> None:
    """On public listeners BDAT refuses bare CR and LF as DATA does, also a CR at the very end."""
    async with await connect(await listen()) as client:
        await client.greet()
        for content in (b"a\nb", b"a\rb", b"a\r"):
            await client.ask("MAIL FROM:<b@c>")
            await client.ask("RCPT TO:<ann@example.org>")
            await client.send(b"BDAT %d LAST\r\n%s" % (len(content), content))
            assert (await client.reply()).startswith("550 5.6.11")
    assert receiver.arrived == []


async def test_refused_chunks_are_read_and_never_make_half_a_mail(
    listen: Listen, receiver: MemoryReceiver
) -> None:
    """Once a chunk was refused the rest of that mail is, too, though the road is well again (RFC 3030 §2)."""
    receiver.not_ready = Reply(451, "4.3.0", "down")
    async with await connect(await listen()) as client:
        await client.greet()
        await client.ask("MAIL FROM:<b@c>")
        await client.ask("RCPT TO:<ann@example.org>")
        await client.send(b"BDAT 6\r\nQUIT\r\n")
        assert (await client.reply()).startswith("451")
        receiver.not_ready = None
        assert (await client.ask("RCPT TO:<ann@example.org>")).startswith("503")
        assert (await client.ask("DATA")).startswith("503")
        await client.send(b"BDAT 6 LAST\r\nQUIT\r\n")
        assert (await client.reply()).startswith("451")
        assert (await client.mail(b"whole\r\n")).startswith("250")
    assert [mail.data for mail in receiver.arrived] == [b"whole\r\n"]


async def test_chunks_without_a_transaction_are_read(listen: Listen) -> None:
    """The octets of a chunk are never commands, whatever is missing before it."""
    async with await connect(await listen()) as client:
        await client.greet()
        await client.send(b"BDAT 6 LAST\r\nQUIT\r\n")
        assert (await client.reply()).startswith("503 5.5.1")
        assert await client.ask("NOOP") == "250 2.0.0 Ok"


_UNREADABLE = {
    "bare LF": b"BDAT %d LAST\n",
    "tab": b"BDAT\t%d LAST\r\n",
    "blank before": b" BDAT %d LAST\r\n",
    "NUL": b"BDAT %d LAST\0\r\n",
    "NUL before": b"\0bdat %d LAST\r\n",
    "no blank": b"BDAT%d LAST\r\n",
    "broken UTF-8": b"bdat %d \xff\r\n",
    "too long": b"BDAT %d LAST" + b" " * 3000 + b"\r\n",
    "blanks, too long": b" " * 5000 + b"BDAT %d LAST\r\n",
}


@pytest.mark.parametrize("apart", [False, True], ids=["at once", "byte by byte"])
@pytest.mark.parametrize("line", _UNREADABLE.values(), ids=_UNREADABLE)
async def test_trap_s1_after_a_bdat_that_cannot_be_read_nothing_is(
    line: bytes, apart: bool, listen: Listen, receiver: MemoryReceiver
) -> None:
    """Its chunk follows, and content is never read as commands: 421, and the rest is dropped."""
    async with await connect(await listen()) as client:
        await client.greet()
        await client.ask("MAIL FROM:<b@c>")
        await client.ask("RCPT TO:<ann@example.org>")
        inner = b"RSET\r\n" + SMUGGLED + b".\r\n"
        data = line % len(inner) + inner
        await (client.send_apart(data) if apart else client.send(data))
        refused, last = (await client.rest()).splitlines()
    assert refused.startswith("500 5.5.2")
    assert last == "421 4.7.0 No content after a BDAT that cannot be read, closing connection"
    assert receiver.arrived == []


@pytest.mark.parametrize("line", ["BDAT", "BDAT x", "BDAT -1", "BDAT 5 LAST x", "BDAT 123456789012345678901"])
async def test_a_chunk_of_unknown_size_ends_the_session(line: str, listen: Listen) -> None:
    """What follows such a command could be anything, so nothing of it is executed."""
    async with await connect(await listen()) as client:
        await client.greet()
        await client.send(line.encode() + b"\r\nNOOP\r\n")
        assert (await client.rest()).startswith("501 5.5.4")


async def test_lmtp_chunks_answer_for_each_recipient(listen: Listen, receiver: MemoryReceiver) -> None:
    """The last chunk of an LMTP mail gets a reply per recipient, also when it is too big."""
    async with await connect(await listen(road=Road.LMTP, limits=Limits(max_size_bytes=10))) as client:
        await client.greet("LHLO x")
        for size, code in ((10, "250"), (11, "552")):
            await client.ask("MAIL FROM:<b@c>")
            await client.ask("RCPT TO:<ann@example.org>")
            await client.ask("RCPT TO:<bob@example.org>")
            await client.send(b"BDAT %d LAST\r\n" % size + b"x" * size)
            assert [answer[:3] for answer in await client.replies(2)] == [code, code]
    assert len(receiver.arrived) == 1


async def test_a_road_that_answers_wrongly_is_not_believed() -> None:
    """More or fewer replies than recipients: every recipient gets 451, none a 250 that may not be its own."""

    class Wrong(MemoryReceiver):
        async def receive(self, envelope: Envelope, content: Content) -> list[Reply]:
            return [Reply(250, "2.0.0", "stored")] * 3

    listener = Listener(Wrong(), ListenerSettings(hostname="mx", road=Road.LMTP), Counters.alone())
    async with await connect(await listener.start("127.0.0.1:0")) as client:
        await client.greet("LHLO x")
        assert (await client.mail(b"x\r\n")).startswith("451 4.3.0")
        assert await client.ask("NOOP") == "250 2.0.0 Ok"
    await listener.stop(0)


async def test_a_road_that_fails_ends_the_session_with_421(caplog: pytest.LogCaptureFixture) -> None:
    """A defect behind the listener is a 421 and a line in the log, and the next client is served."""

    class Defective(MemoryReceiver):
        async def receive(self, envelope: Envelope, content: Content) -> list[Reply]:
            if b"secret" in content.view()[:]:
                raise RuntimeError("defect")
            return await super().receive(envelope, content)

    listener = Listener(Defective(), ListenerSettings(hostname="mx"), Counters.alone())
    address = await listener.start("127.0.0.1:0")
    async with await connect(address) as client:
        await client.greet()
        await client.open_data()
        await client.send(b"secret text\r\n.\r\n")
        assert (await client.rest()).startswith("421 4.3.0")
    async with await connect(address) as client:
        await client.greet()
        assert (await client.mail(b"x\r\n")).startswith("250")
    await listener.stop(0)
    assert "defect" in caplog.text
    assert "secret text" not in caplog.text
