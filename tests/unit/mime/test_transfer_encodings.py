"""Transfer encodings."""

from __future__ import annotations

import base64
import binascii

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mairust_core.mime.transfer_encodings import decode, decoded_size

ENCODINGS = (b"base64", b"quoted-printable", b"x-uuencode", b"7bit", b"8bit", b"binary", b"x-unknown")


@pytest.mark.parametrize(
    ("data", "decoded"),
    [
        (b"aGVsbG8=", b"hello"),
        (b"aGVsbG8", b"hello"),
        (b"aGVs\r\nbG8=\r\n", b"hello"),
        (b"aGVs bG8=!", b"hello"),
        (b"aGVsbG8hX", b"hello!"),
        (b"aGVsbG8=\r\n\r\n-- \r\nlist footer", b"hello"),
        (b"aGk=\r\naGk=\r\n", b"hi"),
        (b"=aG=VsbG8=", b"hello"),
        (b"", b""),
        (b"!", b""),
    ],
)
def test_base64_is_read_leniently(data: bytes, decoded: bytes) -> None:
    """Missing padding, foreign octets, a cut end and a footer after the padding do no harm."""
    assert decode(data, b"base64") == decoded


def test_quoted_printable() -> None:
    """Soft line ends go, broken escapes stay as they are."""
    assert decode(b"Gr=C3=BC=\r\nn =ZZ =", b"quoted-printable") == "Grün =ZZ ".encode()


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("white", [b" ", b"\t", b" \t  "])
def test_white_space_that_was_put_behind_lines_goes(white: bytes, end: bytes) -> None:
    """Some server in between added it (RFC 2045 6.7, rule 3), also behind soft line ends; the rest stays."""
    data = b"soft=" + white + end + b"line" + white + end + b"a b=20" + end + b"\tc" + white
    assert decode(data, b"quoted-printable") == b"softline" + end + b"a b " + end + b"\tc"


def test_much_white_space_takes_no_longer_than_other_text() -> None:
    """Each octet is looked at once or twice, or this would not end."""
    data = b" " * (4 << 20) + b"x \n"
    assert decode(data, b"quoted-printable") == data[:-2] + b"\n"


def test_uuencode() -> None:
    """A uuencoded file is decoded between its begin and end lines, though lines be padded with junk."""
    payload = bytes(range(100))
    lines = [binascii.b2a_uu(payload[at : at + 45]) for at in range(0, 100, 45)]
    body = b"hi\r\nbegin 644 a.bin\r\n" + b"".join(lines).replace(b"\n", b"\r\n") + b"`\r\nend\r\nbye"
    assert decode(body, b"x-uuencode") == payload
    assert decode(b"begin 644 a\n#86)CX\nend\n", b"uuencode") == b"abc"
    assert decode(b"no file", b"uuencode") == b"no file"
    damaged = b"begin 644 a\n#86)C\n#86\xc2\xa5C\nend\n"
    assert decode(damaged, b"uuencode") == damaged


@given(st.binary(max_size=2000), st.booleans(), st.sampled_from([b"\n", b"\r\n"]))
def test_the_size_of_base64_is_known_without_decoding(payload: bytes, trailing: bool, eol: bytes) -> None:
    """For base64 as encoders write it the estimate is exact."""
    data = base64.encodebytes(payload).replace(b"\n", eol)
    data = data if trailing else data.rstrip()
    assert decoded_size(data, 0, len(data), b"base64") == len(payload)


@given(st.binary(), st.sampled_from(ENCODINGS))
def test_any_bytes_decode(data: bytes, encoding: bytes) -> None:
    """Nothing raises, nothing grows, and no size is negative."""
    assert len(decode(data, encoding)) <= len(data)
    assert 0 <= decoded_size(data, 0, len(data), encoding) <= len(data)
