"""Facts as the store keeps them: every value in its column, and what a thread is found by."""

from __future__ import annotations

from dataclasses import replace
from hashlib import blake2b
from typing import Any

import orjson

from mairust_core.mime import describe
from mairust_core.model.blob import Bytes
from mairust_core.model.content import SNIPPET_CHARACTERS, KeptFacts
from mairust_core.model.delivery import Delivery
from mairust_core.receive.describing import keep_facts_safely
from mairust_core.store.facts import content_row, kept_facts
from mairust_core.store.tables import content
from mairust_core.store.thread_keys import correspondents, subject_keys

MAIL = (
    b"From: Ann <Ann@Example.org>\r\nTo: bob@example.org\r\nCc: Carl <CARL@example.org>\r\n"
    b"Date: Tue, 3 Mar 2026 10:00:00 +0900\r\nSubject: Re: Harvest\r\nMessage-ID: <2@x>\r\n"
    b"In-Reply-To: <1@x>\r\nReferences: <0@x> <1@x>\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nApples\r\n"
    b"--b\r\nContent-Type: application/pdf; name=a.pdf\r\n\r\nx\r\n--b--\r\n"
)


def key(text: str) -> int:
    """63 bits of its BLAKE2b."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest()) >> 1


def test_every_value_is_kept_under_its_name() -> None:
    """Columns as the table has them, and the keys of the thread."""
    facts = describe(MAIL)
    kept = kept_facts(facts)
    columns: dict[str, Any] = kept._asdict()
    assert orjson.loads(columns.pop("facts")) == {
        "from_": [["Ann", "Ann@Example.org"]],
        "to": [["", "bob@example.org"]],
        "cc": [["Carl", "CARL@example.org"]],
        "in_reply_to": ["<1@x>"],
        "references": ["<0@x>", "<1@x>"],
        "attachments": [["2", "a.pdf", "application/pdf", 1, "", ""]],
    }
    assert columns == {
        "crlf_size_bytes": len(MAIL),
        "header_size_bytes": MAIL.index(b"--b\r\n"),
        "eol": "crlf",
        "described": True,
        "date_ms": 1772499600000,
        "subject": "Re: Harvest",
        "message_id": "<2@x>",
        "snippet": "Apples",
        "has_attachments": True,
        "envelope": facts.envelope,
        "bodystructure": facts.bodystructure,
        "own_keys": (key("<2@x>"),),
        "parent_keys": (key("<1@x>"), key("<1@x>"), key("<0@x>")),
        "base_subject": "harvest",
        "is_reply_or_forward": True,
        "senders": ("ann@example.org",),
        "receivers": ("bob@example.org", "carl@example.org"),
    }
    assert facts.envelope != facts.bodystructure


def test_what_is_kept_lies_in_the_order_of_the_columns() -> None:
    """The row is made by position; without facts it has as many values."""
    names = [one.name for one in content.columns]
    assert names[3:] == list(KeptFacts._fields[: len(names) - 3])
    bare = Delivery(tenant_id=7, content=Bytes.of(MAIL), kept=None, copies=(), received_ms=0)
    whole = bare._replace(kept=kept_facts(describe(MAIL)))
    found = dict(zip(names, content_row(whole), strict=True))
    assert (found["tenant_id"], found["size_bytes"], found["subject"]) == (7, len(MAIL), "Re: Harvest")
    found = dict(zip(names, content_row(bare), strict=True))
    assert (found["described"], found["crlf_size_bytes"], found["eol"]) == (False, len(MAIL), "mixed")


def test_a_mail_without_id_and_subject_has_no_key() -> None:
    """Nor does a long preview stay whole."""
    kept = kept_facts(describe(b"From: a@x\r\n\r\n" + b"x" * 2000))
    assert (kept.own_keys, kept.parent_keys, kept.base_subject) == ((), (), "")
    assert len(kept.snippet) == SNIPPET_CHARACTERS


def test_correspondents_are_others_whatever_their_case() -> None:
    """Of mail that came those who sent it; of mail the account sent itself, all."""
    kept = kept_facts(describe(MAIL))
    assert correspondents(kept, "BOB@example.org") == (
        ["ann@example.org", "carl@example.org"],
        ["ann@example.org"],
    )
    both = ["bob@example.org", "carl@example.org"]
    assert correspondents(kept, "ann@example.org") == (both, both)
    assert subject_keys(kept, ["a@x"]) == (key("\0harvest\0a@x"),)


def test_rule_c4_facts_that_cannot_be_kept_cost_no_mail() -> None:
    """It is stored undescribed."""
    odd: Any = object()
    assert keep_facts_safely(replace(describe(MAIL), date=odd), Bytes.of(MAIL)) is None
    assert keep_facts_safely(None, Bytes.of(MAIL)) is None
