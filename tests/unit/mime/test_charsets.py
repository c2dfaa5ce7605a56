"""Charset labels: right, wrong, missing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mairust_core.mime import decode_text, describe
from mairust_core.mime.charsets import codec_of
from tests.unit.mime.messages import message

JAPANESE = "こんにちは、世界。会議は３時からです　よろしく"


@pytest.mark.parametrize("codec", ["utf-8", "iso2022_jp", "cp932", "euc_jp"])
@pytest.mark.parametrize("label", ["", "us-ascii", "x-unknown", "iso-8859-1", "utf-8", "no/such charset"])
def test_trap_t1_japanese_is_found_under_a_wrong_or_missing_label(codec: str, label: str) -> None:
    """Japanese in its usual charsets is read whatever the label says; U+3000 survives."""
    assert decode_text(JAPANESE.encode(codec), label) == JAPANESE


@pytest.mark.parametrize(
    ("label", "codec"),
    [
        ("ISO-2022-JP", "iso2022_jp"),
        ("iso-2022-jp-ms", "iso2022_jp"),
        ("Shift_JIS", "cp932"),
        ("sjis", "cp932"),
        ("x-sjis", "cp932"),
        ("EUC-JP", "euc_jp"),
        ("windows-31j", "cp932"),
        ("utf-8", "utf-8"),
        ('"UTF-8"', "utf-8"),
        ("utf-16", "utf-16"),
        ("utf-7", "utf-7"),
    ],
)
def test_trap_t1_labelled_japanese(label: str, codec: str) -> None:
    """Every usual label of Japanese mail decodes it."""
    assert decode_text(JAPANESE.encode(codec), label) == JAPANESE


def test_trap_t1_vendor_characters_of_iso_2022_jp_and_euc_jp() -> None:
    """The circled digits and company marks that Japanese mailers send are read, half-width kana too."""
    assert decode_text(b"\x1b$B-!$H-j\x1b(B ok", "iso-2022-jp") == "①と㈱ ok"
    assert decode_text(b"\x1b(I6E\x1b(B", "iso-2022-jp") == "ｶﾅ"
    assert decode_text(b"\xad\xa1\xa4\xc8\xad\xea", "euc-jp") == "①と㈱"
    assert decode_text("①と㈱".encode("cp932"), "shift_jis") == "①と㈱"


@pytest.mark.parametrize(
    "text",
    [
        "Réunion décalée à jeudi",
        "Grüße aus Köln",
        "España mañana",
        "l’été d’un café",
        "Åse spør",
        "été",
        "générée",
        "don’t, won’t",
    ],
)
def test_western_text_is_not_taken_for_japanese(text: str) -> None:
    """Accented letters that happen to be valid Shift_JIS or EUC-JP stay what they are."""
    assert decode_text(text.encode("cp1252"), "iso-8859-1") == text
    assert decode_text(text.encode("cp1252"), "") == text
    assert decode_text(text.encode(), "iso-8859-1") == text


@pytest.mark.parametrize(
    ("text", "label", "codec"),
    [
        ("中文邮件", "gb2312", "gb18030"),
        ("繁體中文", "big5", "cp950"),
        ("한국어 메일", "ks_c_5601-1987", "cp949"),
        ("Привет", "koi8-r", "koi8_r"),
        ("Привіт", "koi8-u", "koi8_u"),
        ("Привет", "windows-1251", "cp1251"),
        ("ภาษาไทย", "tis-620", "cp874"),
        ("שלום", "iso-8859-8-i", "iso8859_8"),
        ("“quoted” €", "iso-8859-1", "cp1252"),
    ],
)
def test_other_labels(text: str, label: str, codec: str) -> None:
    """Common labels decode with the wider set that senders really use."""
    assert decode_text(text.encode(codec), label) == text


def test_only_known_codecs_are_used() -> None:
    """A label never reaches Python's codec registry: no codec of another kind, no growing cache."""
    for label in ("punycode", "idna", "unicode_escape", "zlib", "rot13", "mbcs", "undefined", "x" * 10_000):
        assert codec_of(label) == ""


def test_rule_c4_text_is_clean() -> None:
    """NUL and lone surrogates never leave the decoder."""
    assert decode_text(b"a\0b", "utf-8") == "ab"
    assert decode_text(b"a\xed\xa0\x80b", "utf-8").encode()
    assert decode_text(b"\xff\xfe\x00\xd8a\0", "utf-16").encode()
    assert decode_text(b"x+2AA-", "utf-7").encode()


@given(
    st.binary(),
    st.sampled_from(["", "utf-8", "iso-2022-jp", "shift_jis", "euc-jp", "utf-7", "utf-16", "gb2312"]),
)
def test_any_bytes_decode(data: bytes, label: str) -> None:
    """Decoding never raises and gives text that every store accepts."""
    text = decode_text(data, label)
    text.encode()
    assert "\0" not in text
    decode_text(data, label, cut=True).encode()


def test_trap_t1_unlabelled_shift_jis_header_and_body() -> None:
    """A mail without any label, all in raw Shift_JIS, shows subject, name and text."""
    raw = message("Subject: 会議資料\nFrom: 山田太郎 <taro@example.jp>", JAPANESE).decode().encode("cp932")
    facts = describe(raw)
    assert facts.subject == "会議資料"
    assert facts.from_[0].name == "山田太郎"
    assert facts.preview == JAPANESE


def test_raw_headers_are_read_in_the_charset_of_the_body() -> None:
    """Raw octets of a header that are no UTF-8 are taken to be in the charset the body is labelled with."""
    raw = (
        message("Subject: 打造\nContent-Type: text/plain; charset=gb2312", "正文").decode().encode("gb18030")
    )
    assert (describe(raw).subject, describe(raw).preview) == ("打造", "正文")
