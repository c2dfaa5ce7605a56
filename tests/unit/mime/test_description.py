"""The facts of whole messages, usual and odd."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mairust_core.mime import Outline, describe
from mairust_core.model.content import Correspondent, Facts
from tests.unit.mime.messages import MULTIPART, message


def _texts(facts: Facts) -> str:
    """Return every text in the facts in one string."""
    people = [*facts.from_, *facts.sender, *facts.reply_to, *facts.to, *facts.cc, *facts.bcc]
    texts = [facts.subject, facts.base_subject, facts.message_id, facts.preview, *facts.references]
    texts += [*facts.in_reply_to, *(one.name + one.address for one in people)]
    for one in facts.attachments:
        texts += [one.part, one.filename, one.content_type, one.disposition, one.content_id]
    return "".join(texts)


def test_a_usual_message() -> None:
    """Headers, ids, thread keys, sizes and attachments of an ordinary multipart."""
    facts = describe(MULTIPART)
    assert facts.size_bytes == facts.crlf_size_bytes == len(MULTIPART)
    assert (facts.subject, facts.base_subject, facts.is_reply_or_forward) == (
        "Re: [list] figures",
        "figures",
        True,
    )
    assert facts.from_ == (Correspondent(name="Doe, Jane", address="jane@example.org"),)
    assert [one.address for one in facts.to] == ["ann@example.net", "bob@example.net", "cd@example.net"]
    assert facts.sender == facts.reply_to == facts.bcc == ()
    assert facts.date == datetime(2025, 10, 3, 3, tzinfo=UTC)
    assert (facts.message_id, facts.in_reply_to) == ("<2@example.org>", ("<1@example.org>",))
    assert facts.references == ("<0@example.org>", "<1@example.org>")
    assert facts.received_count == 1
    pdf, forwarded = facts.attachments
    assert (pdf.part, pdf.filename, pdf.content_type, pdf.size_bytes) == ("2", "a.pdf", "application/pdf", 6)
    assert (pdf.disposition, pdf.content_id) == ("attachment", "cid@x")
    assert (forwarded.part, forwarded.content_type) == ("3", "message/rfc822")
    assert facts.has_attachments


@pytest.mark.parametrize(
    ("header", "counts"),
    [
        ("Content-Type: image/png\nContent-ID: <a>", False),
        ("Content-Type: image/png\nContent-ID: <a>\nContent-Disposition: attachment", True),
        ("Content-Type: image/png", True),
        ("Content-Type: application/pgp-signature", False),
        ("Content-Type: text/calendar", True),
    ],
)
def test_what_a_reader_calls_an_attachment(header: str, counts: bool) -> None:
    """Pictures inside the HTML and signatures are listed, yet do not make a mail one with attachments."""
    facts = describe(message(header, "x"))
    assert len(facts.attachments) == 1
    assert facts.has_attachments is counts


def test_other_renderings_of_the_text_are_no_attachments() -> None:
    """In multipart/alternative, text that is neither plain nor HTML is not attached; an invitation is."""
    body = "".join(f"--b\nContent-Type: text/{kind}\n\nx\n" for kind in ("plain", "enriched", "calendar"))
    facts = describe(message("Content-Type: multipart/alternative; boundary=b", body + "--b--"))
    assert [one.content_type for one in facts.attachments] == ["text/calendar"]


@pytest.mark.parametrize(
    ("value", "message_id"),
    [
        ("<a@b>", "<a@b>"),
        ("<a@b> (comment)", "<a@b>"),
        ("<a@\n b>", "<a@b>"),
        ("a@b", "a@b"),
        ("<@@x>", "<@@x>"),
        ("<", "<"),
        ("<abc@[", "<abc@["),
        ("", ""),
        ("<" + "a" * 1000 + "@b>", ""),
    ],
)
def test_message_ids(value: str, message_id: str) -> None:
    """The msg-id with its brackets, or what stands there; an overlong one is none."""
    assert describe(message(f"Message-ID: {value}")).message_id == message_id


def test_references_are_distinct_and_bounded() -> None:
    """Repeated ids count once; of too many the root and the nearest stay."""
    ids = [f"<{n}@x>" for n in range(5000)]
    facts = describe(message("References: <0@x>\n " + "\n ".join(ids) + "\nIn-Reply-To: msg of Monday <1@x>"))
    assert facts.references == ("<0@x>", *ids[-99:])
    assert facts.in_reply_to == ("<1@x>",)


@pytest.mark.parametrize(
    "header",
    [
        "Message-ID: <@@x>",
        "Message-ID: <",
        "Message-ID: <abc@[",
        'To: "',
        "From: =?utf-8?q?=41@b?= <",
        "From: " + "(" * 20_000,
        "To: " + "a@example.org, " * 20_000,
        "Subject : spaced",
        "junk line without colon\nSubject: after",
        "Subject: =?no-such-charset?B?////?=",
        "Subject: =?utf-8?B?5pel5pys6Kq?=",
        "Date: Fri, 99 Foo 99999 99:99:99 +9999",
        "Content-Type: multipart/mixed; boundary",
        "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64",
        "Content-Disposition: ;;;",
        "References: <<<>>>",
        ":",
        " ",
    ],
    ids=lambda header: header[:24],
)
def test_odd_headers_are_described(header: str) -> None:
    """Headers on which other parsers raise or take seconds give facts here."""
    facts = describe(message("X-First: 1\n" + header + "\nCc: after@example.org", "body"))
    assert [one.address for one in facts.cc] == ["after@example.org"]


def test_rule_c4_facts_are_clean() -> None:
    """No NUL and no lone surrogate in any fact, wherever the mail has them."""
    dirty = "=?utf-16?B?2AA=?= =?utf-8?Q?=00=ED=A0=80?= \0"
    header = f"Subject: {dirty}\nFrom: {dirty} <a\0@b>\nMessage-ID: <a\0b>\nReferences: <\0>\n"
    header += f'Content-Type: application/x; name="{dirty}"\nContent-ID: <\0>\nContent-Disposition: \0'
    facts = describe(message(header, "\0body"))
    _texts(facts).encode()
    assert "\0" not in _texts(facts)
    assert b"\0" not in facts.envelope + facts.bodystructure


@given(st.binary())
def test_any_bytes_are_described(content: bytes) -> None:
    """Whatever the bytes: facts, clean and within the preview limit (rule C4)."""
    facts = describe(content)
    _texts(facts).encode()
    assert "\0" not in _texts(facts)
    assert facts.size_bytes == len(content)
    assert len(facts.preview.encode()) <= 4096


@given(st.integers(0, len(MULTIPART)), st.integers(0, len(MULTIPART)), st.binary(max_size=8))
def test_any_cut_and_splice_is_described(start: int, end: int, splice: bytes) -> None:
    """A message cut anywhere, or with octets put anywhere, is described."""
    assert describe(MULTIPART[start:end]).size_bytes == len(MULTIPART[start:end])
    assert describe(MULTIPART[:start] + splice + MULTIPART[start:]).size_bytes == len(MULTIPART) + len(splice)


def test_proved_line_ends_need_not_be_counted() -> None:
    """A caller that knows of no bare LF gets the same facts for less."""
    assert describe(MULTIPART, crlf_proved=True) == describe(MULTIPART)


@pytest.mark.parametrize("letter", ["a", "é", "日", "😀"])
def test_an_id_is_no_longer_than_a_line_can_be(letter: str) -> None:
    """In octets: what is longer than an index takes would otherwise stop all mail (RFC 5322 §2.1.1)."""
    fits = "<" + letter * (990 // len(letter.encode())) + "@x>"
    longer = "<" + letter * (1000 // len(letter.encode())) + "@x>"
    for written, found in ((fits, fits), (longer, "")):
        header = "\n".join(f"{name}: {written}" for name in ("Message-ID", "References", "In-Reply-To"))
        facts = describe(message(header, "x"))
        assert (facts.message_id, facts.references, facts.in_reply_to) == (
            found, (found,) * bool(found), (found,) * bool(found),
        )  # fmt: skip


def test_what_looking_through_a_mail_holds_is_known() -> None:
    """A usual one holds little; one of many short fields or parts is told from it."""
    assert Outline(MULTIPART).is_light
    assert not Outline(b"X:y\r\n" * 5000 + b"\r\nx").is_light
    parts = b"--b\r\n\r\nx\r\n" * 100
    assert not Outline(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + parts + b"--b--\r\n").is_light


def test_trap_s3_describing_leaves_the_bytes_alone() -> None:
    """The content is only read: the same bytes give the same facts twice."""
    content = bytearray(MULTIPART)
    assert describe(bytes(content)) == describe(MULTIPART)
    assert bytes(content) == MULTIPART


def test_facts_are_plain_data() -> None:
    """Facts compare by value and cannot be changed."""
    facts = describe(MULTIPART)
    for one in fields(Facts):
        with pytest.raises(AttributeError):
            setattr(facts, one.name, None)
