"""What travels between the loop's process and the committing one arrives as it was."""

from __future__ import annotations

import pytest

from mairust_core.errors import MaiRustError, NotFound, OutcomeUnknown, QuotaExceeded
from mairust_core.mime import SNIPPET, Outline, describe
from mairust_core.model.blob import MEMORY_LIMIT_BYTES, Bytes
from mairust_core.model.delivery import CallRows, Copy, Counted, Delivery, Later, Stored, Trace
from mairust_core.model.ids import Id
from mairust_core.model.job import NewJob, Priority
from mairust_core.model.receipt import Receipt
from mairust_core.receive.describing import LazyDescription, with_facts
from mairust_core.receive.parcels import LONGEST_BYTES, pack, pack_outcomes, unpack, unpack_outcomes
from mairust_core.store.facts import content_row, kept_facts

RICH = (
    b"From: =?utf-8?q?J=C3=BCrgen?= <j@x.example>, b@x.example\r\nSender: s@x.example\r\n"
    b"Reply-To: r@x.example\r\nTo: Ann <ann@example.org>\r\nCc: c@x.example\r\nBcc: d@x.example\r\n"
    b"Date: Tue, 3 Mar 2026 10:00:00 +0900\r\nSubject: Re: =?iso-2022-jp?B?GyRCRnxLXBsoQg==?=\r\n"
    b"Message-ID: <1@x.example>\r\nIn-Reply-To: <0@x.example>\r\nReferences: <a@x> <0@x.example>\r\n"
    b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    b"--b\r\nContent-Type: text/plain; charset=iso-2022-jp\r\n\r\n\x1b$BF|K\\\x1b(B\r\n"
    b"--b\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<p>=E9t=E9\r\n"
    b"--b\r\nContent-Type: application/pdf; name=a.pdf\r\nContent-ID: <p@x>\r\n\r\nJVBERi0=\r\n--b--\r\n"
)


def delivery(data: bytes = RICH) -> Delivery:
    """A described mail to one account, with its story."""
    content = Bytes.of(data)
    copy = Copy(
        id=Id(1 << 60), account_id=1 << 50, size_bytes=len(data), address="ann@example.org",
        trace_headers=b"Received: from x\r\n", hidden=((0, 5), (9, 12)), flags=3, keywords=("$x",),
        tags=("röd", "b"), metadata={"p": {"score": 1.5, "on": True, "of": [None, "x"]}}, over_quota=True,
    )  # fmt: skip
    events = ({"at": 1, "kind": "received", "tls": False}, {"kind": "hook", "tags": ["a"], "score": 0.5})
    trace = Trace(
        id=Id(7), at_ms=5, road="smtp", client_ip=None, helo="x", mail_from="b@x.example",
        rcpt_to=(("ann@example.org", (1 << 50,)),), events=events,
    )  # fmt: skip
    return Delivery(
        tenant_id=1, content=content, kept=kept_facts(describe(data)), copies=(copy,), received_ms=5,
        trace=trace, once=True,
    )  # fmt: skip


def travelled(one: Delivery) -> Delivery:
    """A delivery on the other side."""
    packed = pack(one)
    assert packed is not None
    return unpack(packed, bytes(one.content.view()))


JOB = NewJob(
    kind="hook", subject="h 1", payload={"addresses": ["a@b"], "account": 5}, priority=Priority.LOW,
    max_attempts=3, run_at_ms=9, dedupe="d", tenant_id=2,
)  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"kept": None, "trace": None, "once": False},
        {"later": (Later(id=Id(8), copy=Id(1 << 60), job=JOB, delay_ms=30),)},
        {"copies": tuple(Copy(id=Id(n), account_id=n, size_bytes=n) for n in range(1, 4))},
        {"kept": None, "facts_left": True, "snippet": "Guten Tag"},
        {"calls": CallRows(log=[(1, "h", 0.5, None)], accesses=[(2, "a", 1 << 50, 7, None)])},
    ],
    ids=["whole", "bare", "jobs", "copies", "left", "calls"],
)
def test_a_delivery_arrives_as_it_was(change: dict[str, object]) -> None:
    """All of it: facts, copies, story, jobs; ids are ids again."""
    sent = delivery()._replace(**change)  # type: ignore[arg-type]  # fields of a delivery
    found = travelled(sent)
    assert found == sent
    assert {type(one.id) for one in found.copies} | {type(one.id) for one in found.later} <= {Id}


@pytest.mark.parametrize(
    "body", [RICH, RICH.replace(b"text/plain", b"text/x-odd"), b"Subject: x\r\n\r\n", b""]
)
def test_what_is_left_to_the_other_side_is_what_describe_finds(body: bytes) -> None:
    """Facts without the preview and where it is, or nothing at all: described there, no row differs."""
    outline, whole = Outline(body), kept_facts(describe(body, extent=SNIPPET))
    some = delivery(body)._replace(kept=kept_facts(outline.facts()), unread=outline.text)
    found = with_facts(travelled(some))
    assert (found.unread, found.kept, found.snippet) == (None, whole, None)
    left = with_facts(travelled(delivery(body)._replace(kept=None, facts_left=True)))
    assert (left.kept, left.facts_left, left.snippet) == (whole, False, None)
    assert content_row(found) == content_row(left)
    shown = delivery(body)._replace(kept=None, facts_left=True, snippet="what a plugin was shown")
    wanted = whole._replace(snippet="what a plugin was shown")
    assert with_facts(travelled(shown)) == left._replace(kept=wanted)


class Gone(Bytes):
    """Content that cannot be read any more."""

    def view(self) -> bytes:
        raise ValueError("the content is closed")


def test_rule_c4_a_mail_that_cannot_be_read_is_stored_undescribed() -> None:
    """Whatever reading it raises, on either side; here its content is gone."""
    outline, gone = Outline(RICH), Gone(data=b"", sha256=b"", size_bytes=0)
    mail = delivery()._replace(kept=kept_facts(outline.facts()), unread=outline.text, content=gone)
    for one in (mail, mail._replace(kept=None, unread=None, facts_left=True)):
        found = with_facts(one)
        assert (found.kept, found.unread, found.facts_left) == (None, None, False)
    looked = LazyDescription(gone)
    assert (looked.facts, looked.text, looked.facts_left, looked.crlf_size_bytes) == (None, None, False, None)
    assert looked.received_count == 0


def test_facts_are_found_once_and_only_when_somebody_asks() -> None:
    """Until then they are left to whoever commits the mail."""
    looked = LazyDescription(delivery(RICH).content)
    whole = describe(RICH)
    assert looked.facts_left
    assert looked.header_size_bytes == whole.header_size_bytes
    assert (looked.received_count, looked.crlf_size_bytes) == (whole.received_count, len(RICH))
    assert looked.facts_left
    assert looked.facts == Outline(RICH).facts()
    assert looked.facts is looked.facts
    assert not looked.facts_left


def test_of_what_holds_much_the_facts_are_found_at_once() -> None:
    """Nothing of its parts is kept while the mail waits for hooks."""
    heavy = b"X:y\r\n" * 5000 + RICH
    looked = LazyDescription(delivery(heavy).content)
    assert not looked.facts_left
    assert looked.facts == Outline(heavy).facts()
    assert looked.text == Outline(heavy).text


def test_text_that_no_codec_takes_travels() -> None:
    """Lone surrogates and NUL are for the store to clean (rule C4)."""
    sent = delivery()
    assert sent.trace is not None
    odd = sent._replace(trace=sent.trace._replace(helo="a\udcffb\0c"))
    assert travelled(odd) == odd


@pytest.mark.parametrize(
    "change",
    [
        {"content": Bytes.of(b"x" * (MEMORY_LIMIT_BYTES + 1))},
        {"counted": Counted(copy=1)},
        {"receipt": Receipt(tenant_id=1, principal="p", key_hash=b"k", fingerprint=b"f")},
        {"copies": (Copy(id=Id(1), account_id=1, size_bytes=1, metadata={"p": object()}),)},
        {"copies": (Copy(id=Id(1), account_id=1, size_bytes=1, address="x" * LONGEST_BYTES),)},
    ],
    ids=["large", "counted", "receipt", "not plain", "long"],
)
def test_what_few_mails_bring_does_not_travel(change: dict[str, object]) -> None:
    """It is committed where it is."""
    assert pack(delivery()._replace(**change)) is None  # type: ignore[arg-type]  # fields of a delivery


def test_outcomes_arrive_as_the_same_errors() -> None:
    """Class, key and numbers; what is neither number nor text is told as text."""
    sent: list[Stored | MaiRustError] = [
        Stored(ids=(Id(5), Id(6))),
        Stored(ids=(Id(7),), without_calls=True),
        Stored(ids=()),
        QuotaExceeded("account", account_id=Id(1 << 50), address="a@b"),
        NotFound("account", account_id=3),
        OutcomeUnknown("commit", why=OSError(5, "Input/output error")),
    ]
    found = unpack_outcomes(pack_outcomes(sent))
    assert found[:3] == sent[:3]
    for got, given in zip(found[3:], sent[3:], strict=True):
        assert isinstance(got, MaiRustError)
        assert isinstance(given, MaiRustError)
        assert (type(got), got.key, str(got)) == (type(given), given.key, str(given))
    assert found[3].values["account_id"] == 1 << 50  # type: ignore[union-attr]  # an error, see above
