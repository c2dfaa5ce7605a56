"""Hidden fields, the rendering, and headers as plugins see them."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mairust_core.mime import MAX_HIDDEN, crlf_form, describe, headers, hidden_ranges, render, rendered_size
from mairust_core.mime.fields import Fields, shown_fields, unfold
from mairust_core.mime.rendering import MAX_RESULTS
from tests.unit.mime.messages import MULTIPART, message

OURS = "mx.example.org"
_PIECES = [
    b"A", b":", b" ", b"\t", b"\n", b"\r\n", b"\r", b"\0", b"\xe3", b"\x81", b"\x82", b"\xff", b"\xc2\xa0",
    b"\xe2\x80\xa8", b"\xc2\x85", b"\x1c", b"\x0b", b"\xf0\x9f", b"\x98\x80", b"x: y\r\n",
]  # fmt: skip


def _shown(content: bytes, over_smtp: bool = True) -> bytes:
    return render(b"", content, hidden_ranges(content, OURS, over_smtp))


@pytest.mark.parametrize(
    "value",
    [
        "mx.example.org; spf=pass",
        "MX.Example.ORG;dkim=pass",
        " mx.example.org 1; none",
        "mx.example.org/1; none",
        "mx\u2024example.org; none",
        '"mx.example.org"; none',
        '"mx.\\example.org"; none',
        "(comment (nested)) mx.example.org (c); none",
        "(a \\) b)\n\t(c)\n mx.example.org;\n\tspf=pass",
        "\n mx.example.org; spf=pass",
        "mx.example.org.; none",
        "mx.example.org",
        "mx．example．org; none",
        "mx．example．org．; none",
        "(c)" * 20 + "mx.example.org; none",
    ],
)
@pytest.mark.parametrize(
    "name", ["Authentication-Results", "AUTHENTICATION-results ", "authentication-results\t"]
)
def test_rule_b2_forged_results_of_ours_are_hidden(value: str, name: str) -> None:
    """Authentication-Results with our authserv-id are hidden, however they spell it (RFC 8601 §2.2)."""
    content = message(f"Subject: a\n{name}:{value}\nTo: b", "body")
    assert _shown(content) == message("Subject: a\nTo: b", "body")
    assert _shown(content.replace(b"\r\n", b"\n")) == b"Subject: a\nTo: b\n\nbody"


@pytest.mark.parametrize(
    "header",
    [
        "Authentication-Results: other.example.org; spf=pass",
        "Authentication-Results: mx.example.org.evil; spf=pass",
        "Authentication-Results: xmx.example.org; spf=pass",
        "Authentication-Results: (mx.example.org) other; spf=pass",
        "Authentication-Results: (mx.example.org; spf=pass",
        "Authentication-Results:",
        "X-Authentication-Results: mx.example.org; spf=pass",
        "Subject: Authentication-Results: mx.example.org",
        "Subject: x\n Authentication-Results: mx.example.org; pass",
        "ARC-Authentication-Results: i=1; mx.example.org; spf=pass",
        "X-Return-Path: <a@x>",
        "Subject: Return-Path: <a@x>",
    ],
)
def test_rule_b2_other_fields_are_shown(header: str) -> None:
    """What does not claim our id, and text that only looks like such a field, stays."""
    content = message(header, "Authentication-Results: mx.example.org; pass\nReturn-Path: <a@x>\n")
    assert hidden_ranges(content, OURS, True) == ()
    assert _shown(content) == content


def test_rule_b2_return_path_is_hidden_if_it_came_over_smtp() -> None:
    """Only the final delivery may write Return-Path (RFC 5321 §4.4); other ways in keep it."""
    content = message("Return-Path: <a@x>\nSubject: s\nreturn-path:\n\t<b@x>\nTo: t", "b")
    assert _shown(content) == message("Subject: s\nTo: t", "b")
    assert _shown(content, over_smtp=False) == content


def test_rule_b2_a_field_after_a_megabyte_is_still_hidden() -> None:
    """The search for forged fields has no limit that a sender could hide behind."""
    forged = b"Authentication-Results: mx.example.org; spf=pass\r\n"
    content = b"X: y\r\n" * 400_000 + forged + b"\r\nbody"
    assert _shown(content) == content.replace(forged, b"")


def test_hidden_ranges_ascend_and_cover_whole_fields() -> None:
    """Ranges are in order, begin at a line, and end after the last line end of the field."""
    content = message(
        "Authentication-Results: mx.example.org\nReturn-Path: <a@x>\nSubject: s\nReturn-Path: <b@x>"
    )
    ranges = hidden_ranges(content, OURS, True)
    assert [content[start:end] for start, end in ranges] == [
        b"Authentication-Results: mx.example.org\r\nReturn-Path: <a@x>\r\n",
        b"Return-Path: <b@x>\r\n",
    ]


def test_hidden_ranges_are_few() -> None:
    """Fields in a row are one range, and of ranges beyond the limit no list is made."""
    assert hidden_ranges(b"Return-Path:\r\n" * 3000 + b"\r\n", OURS, True) == ((0, 42_000),)
    assert len(hidden_ranges(b"Return-Path:\r\nX:\r\n" * MAX_HIDDEN + b"\r\n", OURS, True)) == MAX_HIDDEN
    assert len(hidden_ranges(b"Return-Path:\r\nX:\r\n" * 3000 + b"\r\n", OURS, True)) == MAX_HIDDEN + 1


_LABORIOUS = {
    "dots": "ü.",
    "one label": "ü",
    "fullwidth": "mx．",
    "quoted pairs": "\\x",
    "parentheses": "(",
    "comments": "() ",
    "padding": " ",
    "folds": "\n ",
}


@pytest.mark.parametrize("quote", ["", '"'])
@pytest.mark.parametrize("unit", _LABORIOUS.values(), ids=_LABORIOUS)
def test_rule_b2_an_id_that_is_hard_to_find_counts_as_ours(unit: str, quote: str) -> None:
    """Only the beginning of a value is looked at: however long the rest is, the work is the same."""

    def forged(times: int) -> bytes:
        return message(f"Subject: s\nAuthentication-Results:{quote}{unit * times}mx.example.org; spf=pass")

    shown = message("Subject: s")
    assert _shown(forged(5_000)) == shown
    assert _calls(forged(8_000)) < 1000


def _calls(content: bytes) -> int:
    """How many functions are called to find what to hide."""
    count = 0

    def note(_: object, event: str, __: object) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    hidden_ranges(content, OURS, True)  # what is loaded with the first call does not count
    sys.setprofile(note)
    try:
        hidden_ranges(content, OURS, True)
    finally:
        sys.setprofile(None)
    return count


def test_rule_b2_of_many_results_only_some_are_looked_at() -> None:
    """Further ones count as ours; nobody has so many."""
    some = b"Authentication-Results: other.example.org; spf=pass\r\n" * MAX_RESULTS
    content = some + b"Authentication-Results: third.example.org\r\n" * 1000 + b"\r\nbody"
    assert _shown(content) == some + b"\r\nbody"


@given(st.binary())
def test_rule_b1_nothing_hidden_and_no_trace_is_identity(content: bytes) -> None:
    """Without trace headers and hidden fields the rendering is the blob."""
    assert render(b"", content, ()) == content


_LINES = st.lists(
    st.sampled_from(
        [
            b"Subject: x",
            b"Authentication-Results: mx.example.org; x",
            b" folded",
            b"Return-Path: <>",
            b"",
            b"\r",
            b"y",
        ]
    )
)


@given(_LINES, st.sampled_from([b"\n", b"\r\n"]), st.booleans())
def test_rule_b2_the_rendered_size_is_that_of_the_crlf_form(
    lines: list[bytes], eol: bytes, ends: bool
) -> None:
    """The size of a rendering is known without making it."""
    content = eol.join(lines) + (eol if ends else b"")
    trace = b"Received: from a by b;\r\n\tdate\r\n"
    hidden = hidden_ranges(content, OURS, True)
    rendering = render(trace, content, hidden)
    assert rendered_size(trace, describe(content).crlf_size_bytes, hidden, content) == len(
        crlf_form(rendering)
    )


def test_rule_f1_headers_in_order_unfolded_and_undecoded() -> None:
    """Fields in order, repeated ones too; encoded words stay, what is no UTF-8 becomes U+FFFD."""
    content = (
        b"Subject: =?utf-8?Q?=C3=A4?=\r\n b\r\nX: a\xff\0\r\nX: \xc3\xa4\r\nReturn-Path: <a@x>\r\n"
        b"junk\r\nE:\r\n\r\nBody: no\r\n"
    )
    hidden = hidden_ranges(content, OURS, True)
    assert headers(content, hidden) == [
        ("Subject", "=?utf-8?Q?=C3=A4?= b"),
        ("X", "a\ufffd\ufffd"),
        ("X", "ä"),
        ("E", ""),
    ]
    assert ("Return-Path", "<a@x>") in headers(content)


@given(st.binary(max_size=300), st.booleans())
def test_any_bytes_are_rendered(content: bytes, over_smtp: bool) -> None:
    """Hiding and listing never raise, and hide nothing that a second look would find again."""
    shown = _shown(content, over_smtp)
    assert len(shown) <= len(content)
    assert hidden_ranges(shown, OURS, over_smtp) == ()
    for name, value in headers(content):
        (name + value).encode()


@given(st.lists(st.sampled_from(_PIECES), max_size=30))
def test_rule_f1_text_is_made_of_all_fields_as_of_each(pieces: list[bytes]) -> None:
    """Decoded at once or one by one, cut characters and white space of other scripts included."""
    block = b"".join(pieces)
    expected = [
        tuple(one.decode("utf-8", "replace").replace("\0", "\ufffd") for one in (name, unfold(value)))
        for name, value in Fields(block).pairs
    ]
    assert shown_fields(block) == expected


def test_multipart_headers() -> None:
    """The headers of a usual message come unfolded."""
    assert ("References", "<0@example.org>\t<1@example.org>") in headers(MULTIPART)
