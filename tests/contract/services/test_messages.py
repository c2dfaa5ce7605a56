"""Messages, locally and over HTTP: bytes in, the same bytes out."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

import pytest
from sqlalchemy import update

from mairust_core.errors import Invalid, NotFound, QuotaExceeded, TooLarge
from mairust_core.model.account import Account, NewAccount
from mairust_core.model.message import Summary
from mairust_core.operations import BytesIn
from mairust_core.services.accounts import Accounts
from mairust_core.services.messages import Messages
from mairust_core.store.tables import message, placement
from tests.contract.services.conftest import Served
from tests.contract.services.words import Ops

MAIL = (
    b"From: =?utf-8?q?J=C3=BCrgen?= <j@x.example>\r\nTo: Ann <ann@y.example>\r\n"
    b"Subject: =?iso-2022-jp?B?GyRCRnxLXBsoQg==?=\r\nDate: Sun, 22 Nov 2026 10:00:00 +0900\r\n"
    b"Message-ID: <1@x.example>\r\n\r\nHello\r\n"
)


def put(ops: Ops, account: Account, data: bytes, mailbox: str = "INBOX") -> Summary:
    """Append one message."""
    content = BytesIn(chunks=[data], size_bytes=len(data))
    return ops(Messages).append(account.address, content, mailbox=mailbox)


def original(ops: Ops, summary: Summary) -> bytes:
    """The bytes as they came."""
    return b"".join(ops(Messages).raw(str(summary.id), original=True).chunks)


def test_append_answers_with_the_summary(ops: Ops, ann: Account) -> None:
    """What a list shows of a message is right at once."""
    summary = put(ops, ann, MAIL)
    assert (summary.account, summary.mailbox, summary.uid) == (ann.address, "INBOX", 1)
    assert (summary.subject, summary.message_id) == ("日本", "<1@x.example>")
    assert [(party.name, party.address) for party in summary.from_] == [("Jürgen", "j@x.example")]
    assert summary.date is not None
    assert summary.date.isoformat() == "2026-11-22T01:00:00+00:00"
    assert ops(Messages).browse(ann.address).items == (summary,)


def test_a_time_that_no_site_can_hold_is_refused_and_nothing_is_stored(ops: Ops, ann: Account) -> None:
    """One that ends up after the year 9999 in UTC would be an answer that cannot be written."""
    at = datetime(9999, 12, 31, 23, 59, 59, tzinfo=timezone(timedelta(hours=-14)))
    with pytest.raises(Invalid, match="after the year 9999"):
        ops(Messages).append(ann.address, BytesIn(chunks=[MAIL], size_bytes=len(MAIL)), date=at)
    assert ops(Messages).browse(ann.address).items == ()


def test_a_time_that_no_site_can_hold_hides_no_other_mail(ops: Ops, served: Served, ann: Account) -> None:
    """A row that an earlier version took is listed with the nearest time there is."""
    summary = put(ops, ann, MAIL)
    with served.site.storage.write() as tx:
        late = 253_402_351_199_000
        tx.execute(update(message).values(received_ms=late))
        tx.execute(update(placement).values(received_ms=late))
    (listed,) = ops(Messages).browse(ann.address).items
    assert (listed.id, listed.received_at.year) == (summary.id, 9999)


def test_show_adds_headers_and_the_hash(ops: Ops, ann: Account) -> None:
    """One message in full: header fields in order, decoded; size and hash of the bytes as they came."""
    message = ops(Messages).show(str(put(ops, ann, MAIL).id))
    assert [name for name, _ in message.headers] == ["From", "To", "Subject", "Date", "Message-ID"]
    assert dict(message.headers)["From"] == "Jürgen <j@x.example>"
    assert (message.original_size, message.eol) == (len(MAIL), "crlf")
    assert message.sha256 == hashlib.sha256(MAIL).hexdigest()


def test_a_list_is_bounded_whatever_a_sender_writes(ops: Ops, ann: Account) -> None:
    """Of a million octets of recipients a list shows the first ones; the header has them all."""
    everybody = b",\r\n ".join(b"%s <a%d@x.example>" % (b"n" * 900, number) for number in range(1000))
    summary = put(ops, ann, b"To: " + everybody + b"\r\nCc: " + b"c" * 5000 + b"@x.example\r\n\r\nHi\r\n")
    assert summary.to[0].address == "a0@x.example"
    assert sum(len(one.name) + len(one.address) for one in summary.to) < 10_000
    assert len(dict(ops(Messages).show(str(summary.id)).headers)["To"]) > 900_000


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        b"no header",
        MAIL,
        MAIL.replace(b"\r\n", b"\n"),
        b"A: b\r\r\n\n\rc\r",
        bytes(range(256)) * 3,
    ],
    ids=["empty", "nul", "one line", "crlf", "lf", "bare cr", "all octets"],
)
def test_trap_s3_bytes_come_back_to_the_octet(ops: Ops, ann: Account, data: bytes) -> None:
    """Whatever is appended comes back as it was, in size and hash too (rule B1)."""
    content = ops(Messages).raw(str(put(ops, ann, data).id), original=True)
    assert b"".join(content.chunks) == data
    assert (content.size_bytes, content.sha256) == (len(data), hashlib.sha256(data).digest())


def test_a_large_message_travels_in_pieces(ops: Ops, ann: Account) -> None:
    """Several MiB of unknown length, in odd pieces, come back whole."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    data = b"Subject: large\r\n\r\n" + rng.randbytes(5_000_000)

    def pieces() -> Iterator[bytes]:
        at = 0
        while at < len(data):
            size = rng.randrange(1, 300_000)
            yield data[at : at + size]
            at += size

    summary = ops(Messages).append(ann.address, BytesIn(chunks=pieces()))
    assert original(ops, summary) == data


def test_raw_without_original_is_the_rendering(ops: Ops, ann: Account) -> None:
    """Append adds no trace header (rule B2): the rendering is what came."""
    content = ops(Messages).raw(str(put(ops, ann, MAIL).id))
    assert b"".join(content.chunks) == MAIL
    assert content.content_type == "message/rfc822"
    assert content.filename.endswith(".eml")


def test_browse_goes_newest_first_through_pages(ops: Ops, ann: Account) -> None:
    """Every message once, newest first, whatever the page size."""
    uids = [put(ops, ann, b"Subject: %d\r\n\r\n" % n).uid for n in range(5)]
    found: list[int] = []
    cursor: str | None = ""
    while cursor is not None:
        page = ops(Messages).browse(ann.address, mailbox="INBOX", limit=2, cursor=cursor)
        found += [item.uid for item in page.items]
        cursor = page.next_cursor
    assert found == sorted(uids, reverse=True) == [5, 4, 3, 2, 1]


def test_a_mailbox_that_is_not_there_is_not_found(ops: Ops, ann: Account) -> None:
    """Neither listing nor appending makes a mailbox."""
    with pytest.raises(NotFound, match="has no mailbox Näh/rungs&mittel"):
        ops(Messages).browse(ann.address, mailbox="Näh/rungs&mittel")
    with pytest.raises(NotFound, match="has no mailbox Nope"):
        put(ops, ann, MAIL, mailbox="Nope")
    assert ops(Messages).browse(ann.address).items == ()


def test_too_large_a_message_is_refused(ops: Ops, served: Served, ann: Account) -> None:
    """The limit of SMTP holds for append: nothing is stored, and the next message is taken."""
    limit_bytes = served.site.settings.smtp.max_size
    pieces = (limit_bytes >> 20) + 1
    for announced in (None, pieces << 20):
        large = BytesIn(chunks=(bytes(1 << 20) for _ in range(pieces)), size_bytes=announced)
        with pytest.raises(TooLarge, match=f"larger than {limit_bytes} bytes"):
            ops(Messages).append(ann.address, large)
    assert ops(Messages).browse(ann.address).items == ()
    assert put(ops, ann, MAIL).uid == 1


def test_a_full_mailbox_refuses(ops: Ops, domain: str) -> None:
    """A message over the quota is not stored."""
    small = ops(Accounts).add(NewAccount(address=f"small@{domain}", quota_bytes=len(MAIL)))
    put(ops, small, MAIL)
    with pytest.raises(QuotaExceeded, match=f"small@{domain} has no room"):
        put(ops, small, MAIL)
    assert ops(Accounts).show(small.address).messages == 1


@pytest.mark.parametrize("wrong", ["", "x", "-1", "1.5", "9" * 30, "..", "1/raw", "١"])
def test_a_wrong_id_is_invalid(ops: Ops, wrong: str) -> None:
    """What is no id is told from one that is not there."""
    with pytest.raises(Invalid, match="is not an id" if wrong else "id: it is missing"):
        ops(Messages).show(wrong)


def test_an_unknown_id_is_not_found(ops: Ops) -> None:
    """An id of nothing is nothing's."""
    with pytest.raises(NotFound, match="no message 12345"):
        ops(Messages).raw("12345")


@pytest.mark.parametrize("cursor", ["x", "1-", "-1", "1-2-3", "1" * 40 + "-1", "²-1"])
def test_a_wrong_cursor_is_invalid(ops: Ops, ann: Account, cursor: str) -> None:
    """A cursor is taken from a page, not made up."""
    with pytest.raises(Invalid, match="cursor"):
        ops(Messages).browse(ann.address, cursor=cursor)
