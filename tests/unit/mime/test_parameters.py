"""Content types, dispositions and file names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mairust_core.mime.parameters import TEXT_PLAIN, disposition, media_type, parameter_text, parameters


@pytest.mark.parametrize(
    ("value", "main", "sub", "found"),
    [
        (b"text/plain", b"text", b"plain", ()),
        (b"TEXT/Html; Charset=UTF-8", b"text", b"html", ((b"charset", b"UTF-8"),)),
        (b'text/plain; charset="a\\"b;c"; x=y', b"text", b"plain", ((b"charset", b'a"b;c'), (b"x", b"y"))),
        (b"text/plain; charset=us-ascii (plain)", b"text", b"plain", ((b"charset", b"us-ascii"),)),
        (b"text/plain; charset = utf-8 ;", b"text", b"plain", ((b"charset", b"utf-8"),)),
        (b"image/png; name=my photo (1).png", b"image", b"png", ((b"name", b"my photo (1).png"),)),
        (b'text/plain; charset="utf-8', b"text", b"plain", ((b"charset", b"utf-8"),)),
        (b"multipart/mixed; boundary==abc=", b"multipart", b"mixed", ((b"boundary", b"=abc="),)),
    ],
)
def test_types_are_read(
    value: bytes, main: bytes, sub: bytes, found: tuple[tuple[bytes, bytes], ...]
) -> None:
    """Type and parameters, quoted or not, with the slips that mailers make."""
    kind = media_type(value)
    assert (kind.main, kind.sub, kind.parameters) == (main, sub, found)


@pytest.mark.parametrize("value", [b"", b"text", b"/", b"text/", b"/plain", b";charset=utf-8", b"\xff\xfe"])
def test_what_is_no_type_is_plain_text(value: bytes) -> None:
    """A broken Content-Type means text/plain (RFC 2045 §5.2)."""
    assert media_type(value) is TEXT_PLAIN


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (b"; filename=a.pdf", "a.pdf"),
        (b'; filename="a b.pdf"', "a b.pdf"),
        (b'; filename="=?utf-8?Q?Gr=C3=BC=C3=9Fe.pdf?="', "Grüße.pdf"),
        (b"; filename==?iso-2022-jp?B?GyRCJUYlOSVIGyhCLnR4dA==?=", "テスト.txt"),
        (b"; filename*=UTF-8''Gr%C3%BC%C3%9Fe.pdf", "Grüße.pdf"),
        (b"; filename=x; filename*=UTF-8'de'Gr%C3%BC%C3%9Fe.pdf", "Grüße.pdf"),
        (b"; filename*0=long; filename*1=name.pdf", "longname.pdf"),
        (b"; filename*1=name.pdf; filename*0=long", "longname.pdf"),
        (b"; filename*0*=UTF-8''%E6%97; filename*1*=%A5; filename*2=\".txt\"", "日.txt"),
        (b"; filename*0*=iso-2022-jp''%1B$BF%7C; filename*1*=%1B(B.txt", "日.txt"),
        (b"; filename*2=c", ""),
        (b"; filename*=''a%00b%0A.txt", "ab .txt"),
        (b"; filename=../../etc/passwd", "../../etc/passwd"),
        ("; filename=naïve.txt".encode(), "naïve.txt"),
        ("; filename=日本.txt".encode("cp932"), "日本.txt"),
        (b"; other=x", ""),
    ],
)
def test_trap_t1_file_names_are_decoded(value: bytes, name: str) -> None:
    """RFC 2231 with and without continuations, RFC 2047 in quotes, raw octets: the name is shown."""
    assert parameter_text(disposition(b"attachment" + value)[1], b"filename") == name


def test_hostile_parameters_are_cheap() -> None:
    """A long run of semicolons, quotes or continuations is read in one pass."""
    for value in (b";" * 100_000, b';a="' * 30_000, b";a*0=b" * 20_000, b';a="\\' * 30_000):
        assert isinstance(parameter_text(parameters(value), b"a"), str)


@given(st.binary())
def test_any_bytes_parse(value: bytes) -> None:
    """Whatever the bytes: a type, parameters, clean text."""
    kind = media_type(value)
    assert kind.name.encode()
    assert b"\0" not in parameter_text(kind.parameters, b"name").encode()
