"""ENVELOPE and BODYSTRUCTURE as IMAP sends them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mairust_core.mime import describe
from mairust_core.mime.imap_strings import nstring, string
from tests.support import imap_syntax
from tests.unit.mime.messages import MULTIPART, message


@pytest.mark.parametrize(
    ("value", "wire"),
    [
        (b"", b'""'),
        (b"a b\t{}%*", b'"a b\t{}%*"'),
        (b'a"b\\c', b'"a\\"b\\\\c"'),
        (b"a\rb", b"{3}\r\na\rb"),
        ("ü".encode(), b"{2}\r\n\xc3\xbc"),
        (b"a\0b", b"{2}\r\nab"),
        (b"\x7f", b"{1}\r\n\x7f"),
    ],
)
def test_strings(value: bytes, wire: bytes) -> None:
    """Quoted where that is legal, a literal elsewhere, never NUL (RFC 9051 §4.3)."""
    assert string(value) == wire
    assert nstring(None) == b"NIL"


def test_envelope_of_a_usual_message() -> None:
    """Ten members; groups with their markers; Sender and Reply-To default to From."""
    jane = b'(("Doe, Jane" NIL "jane" "example.org"))'
    assert describe(MULTIPART).envelope == (
        b'("Fri, 3 Oct 2025 12:00:00 +0900" "Re: [list] figures" ' + jane + b" " + jane + b" " + jane + b" "
        b'(("Ann" NIL "ann" "example.net")(NIL NIL "friends" NIL)(NIL NIL "bob" "example.net")'
        b'("C. D." NIL "cd" "example.net")(NIL NIL NIL NIL)) '
        b'(("Joe" NIL "joe" "example.com")) NIL "<1@example.org>" "<2@example.org>")'
    )


def test_envelope_of_absent_and_empty_fields() -> None:
    """An absent field is NIL, an empty one the empty string, an empty address list NIL (RFC 9051 §7.5.2)."""
    assert describe(b"").envelope == b"(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"
    assert describe(message("Subject:\nTo:\nDate: ")).envelope == b'("" "" NIL NIL NIL NIL NIL NIL NIL NIL)'


def test_an_address_without_domain_is_no_group() -> None:
    """A missing domain is the empty string, for NIL would begin a group."""
    assert b'(NIL NIL "root" "")' in describe(message("From: root")).envelope


def test_bodystructure_of_a_usual_message() -> None:
    """Nested multiparts, text lines, a nested message with its envelope, and all extension data."""
    inside = b'((NIL NIL "in" "example.org"))'
    assert describe(MULTIPART).bodystructure == (
        b'((("text" "plain" ("charset" "utf-8") NIL NIL "7bit" 13 1 NIL NIL NIL NIL)'
        b'("text" "html" ("charset" "utf-8") NIL NIL "7bit" 23 0 NIL NIL NIL NIL)'
        b' "alternative" ("boundary" "inner") NIL NIL NIL)'
        b'("application" "pdf" ("name" "a.pdf") "<cid@x>" NIL "base64" 8 NIL'
        b' ("attachment" ("filename" "a.pdf" "size" "6")) NIL NIL)'
        b'("message" "rfc822" NIL NIL NIL "7bit" 51 (NIL "inside" '
        + b" ".join([inside] * 3)
        + b' NIL NIL NIL NIL NIL) ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 10 0 NIL NIL NIL NIL)'
        b' 3 NIL NIL NIL NIL) "mixed" ("boundary" "outer") NIL NIL NIL)'
    )


def test_extension_data() -> None:
    """MD5, disposition, languages and location appear in their places."""
    header = (
        "Content-Type: text/x\nContent-MD5: Q2hlY2s=\nContent-Language: en, de-CH\nContent-Location: http://x/\n"
        "Content-Description: what\nContent-Disposition: inline"
    )
    assert describe(message(header, "a\nb\n")).bodystructure == (
        b'("text" "x" NIL NIL "what" "7bit" 6 2 "Q2hlY2s=" ("inline" NIL) ("en" "de-CH") "http://x/")'
    )


@pytest.mark.parametrize("content", [MULTIPART, message("Subject: ä", "x\ny")])
def test_rule_b2_the_wire_form_is_that_of_the_crlf_form(content: bytes) -> None:
    """Bare LF mail has the same ENVELOPE and BODYSTRUCTURE as its CRLF form."""
    crlf, lf = describe(content), describe(content.replace(b"\r\n", b"\n"))
    assert (lf.envelope, lf.bodystructure) == (crlf.envelope, crlf.bodystructure)
    assert lf.header_size_bytes == crlf.header_size_bytes


_FIELD_NAME = st.sampled_from(
    [
        *(b"Subject", b"From", b"To", b"Sender", b"Reply-To", b"Date", b"Message-ID", b"In-Reply-To"),
        *(
            b"Content-Type",
            b"Content-ID",
            b"Content-Description",
            b"Content-Disposition",
            b"Content-Language",
        ),
        *(b"Content-Location", b"Content-MD5", b"Content-Transfer-Encoding"),
    ]
)
_FIELD = st.tuples(_FIELD_NAME, st.binary(max_size=40))


@given(st.lists(_FIELD, max_size=8), st.binary(max_size=60))
def test_whatever_the_fields_hold_the_syntax_is_legal(fields: list[tuple[bytes, bytes]], body: bytes) -> None:
    """Any octets in any field give balanced, legal IMAP values of the right shape."""
    facts = describe(b"".join(name + b": " + value + b"\r\n" for name, value in fields) + b"\r\n" + body)
    imap_syntax.check_envelope(imap_syntax.read(facts.envelope))
    imap_syntax.check_body(imap_syntax.read(facts.bodystructure))


@given(st.integers(0, len(MULTIPART)), st.integers(0, len(MULTIPART)))
def test_any_cut_gives_legal_syntax(start: int, end: int) -> None:
    """A message cut anywhere has a legal ENVELOPE and BODYSTRUCTURE."""
    facts = describe(MULTIPART[start:end])
    imap_syntax.check_envelope(imap_syntax.read(facts.envelope))
    imap_syntax.check_body(imap_syntax.read(facts.bodystructure))
