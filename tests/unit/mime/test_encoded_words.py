"""Encoded words and other header text."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mairust_core.mime import decode_header


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"plain", "plain"),
        (b"=?utf-8?Q?Gr=C3=BC=C3=9Fe?= aus =?iso-8859-1?q?K=F6ln?=", "Grüße aus Köln"),
        (b"=?utf-8?Q?a?= =?utf-8?Q?b?=", "ab"),
        (b"=?utf-8?Q?a?==?utf-8?Q?b?=", "ab"),
        (b"=?utf-8?Q?a?=\t =?us-ascii?Q?b?=", "ab"),
        (b"=?utf-8?Q?a_b?=c", "a bc"),
        (b"x =?utf-8?Q?a?= y", "x a y"),
        (b" =?utf-8?Q?a?=", "a"),
        (b"=?utf-8?B?R3LDvMOfZQ?=", "Grüße"),
        (b"=?utf-8*de?Q?Gr=C3=BC?=", "Grü"),
        (b"=?utf-8?Q?What?_Me?=", "What? Me"),
        (b"=?utf-8?q?=41@b?= <", "A@b <"),
        (b"=?no-such?Q?abc?=", "abc"),
        (b"=?utf-8?X?abc?=", "=?utf-8?X?abc?="),
        (b"=?utf-8?Q?abc", "=?utf-8?Q?abc"),
        (b"=?utf-8?Q??=", ""),
        (b"=?utf-8?Q?a=00b=0Ac=1Bd?=", "ab c d"),
        ("rå utf-8".encode(), "rå utf-8"),
    ],
)
def test_words_are_decoded(value: bytes, text: str) -> None:
    """Encoded words in both encodings, in all the forms that mailers write, give one clean line."""
    assert decode_header(value) == text


@pytest.mark.parametrize("codec", ["utf-8", "iso2022_jp", "cp932", "euc_jp", "gb18030"])
@pytest.mark.parametrize("at", [1, 4, 5, 6, 7])
def test_trap_t1_a_character_split_over_two_words(codec: str, at: int) -> None:
    """Octets of adjacent words in one charset are joined before they are decoded."""
    data = "日本語の件名".encode(codec)
    words = [base64.b64encode(piece).rstrip(b"=") for piece in (data[:at], data[at:])]
    label = {"iso2022_jp": "iso-2022-jp", "cp932": "Shift_JIS"}.get(codec, codec).encode()
    value = b" ".join(b"=?%b?B?%b?=" % (label, word) for word in words)
    assert decode_header(value) == "日本語の件名"


def test_trap_t1_truncated_character_in_a_word() -> None:
    """A word that ends inside a character shows the rest; nothing raises."""
    assert decode_header(b"=?utf-8?B?5pel5pys6Kq?=").startswith("日本")


@given(st.binary())
def test_any_bytes_give_one_line(value: bytes) -> None:
    """Whatever the bytes: clean text on one line."""
    text = decode_header(value)
    text.encode()
    assert not any(letter < " " for letter in text)


def test_hostile_words_are_cheap() -> None:
    """A long run of openings that never close, or of tiny words, is decoded in one pass."""
    assert decode_header(b"=?a?q?" * 30_000)
    assert decode_header(b"=?utf-8?q?a?= " * 10_000) == "a" * 10_000
