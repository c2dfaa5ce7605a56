"""Encoded words and other text of header fields (RFC 2047, RFC 2231 §5, RFC 6532)."""

from __future__ import annotations

import binascii
import re

from mairust_core.mime.charsets import clean, decode_text
from mairust_core.mime.transfer_encodings import decode_base64

# A "?" inside Q text is illegal yet seen; how many are accepted is limited to keep the search linear.
_WORD = re.compile(
    rb"=\?([^?\s*]++)(?:\*[^?\s]*+)?\?([bBqQ])\?((?:[^?]++|\?(?!=)){0,8})\?="  # charset, encoding, text
)
_CONTROL = re.compile("[\x01-\x1f\x7f]+")


def decode_header(value: bytes, charset: str = "") -> str:
    """Decode the text of a header field: one clean line, whatever the bytes; never raises.

    Adjacent encoded words in one charset are joined before decoding, so that a character split over two
    words comes out right. Raw octets are read as UTF-8, then in `charset` (what the body is labelled
    with), then guessed (trap T1). Control characters become a space, outer white space goes.
    """
    if value.isascii() and b"=?" not in value and b"\x1b" not in value:
        return one_line(value.decode("ascii"))
    return one_line("".join(_decoded_runs(value, charset)))


def one_line(text: str) -> str:
    """Return the text without NUL, other control characters as a space, outer white space gone."""
    if not text.isprintable():
        text = _CONTROL.sub(" ", clean(text))
    return text.strip()


def _decoded_runs(value: bytes, body_charset: str) -> list[str]:
    """Decode plain runs and runs of encoded words in turn."""
    out: list[str] = []
    run: list[bytes] = []
    charset, at = b"", 0
    for word in _WORD.finditer(value):
        between, label = value[at : word.start()], word[1].lower()
        # White space between two encoded words is only there to fold them (RFC 2047 §6.2).
        plain = between if between.strip() or not run else b""
        if run and (plain or label != charset):
            out.append(decode_text(b"".join(run), charset.decode("latin-1")))
            run = []
        out.append(_raw_text(plain, body_charset))
        run.append(_word_bytes(word[2], word[3]))
        charset, at = label, word.end()
    out.append(decode_text(b"".join(run), charset.decode("latin-1")))
    out.append(_raw_text(value[at:], body_charset))
    return out


def _raw_text(value: bytes, body_charset: str) -> str:
    """Decode octets that no encoded word labels."""
    try:
        return clean(value.decode("utf-8")) if b"\x1b" not in value else decode_text(value)
    except UnicodeDecodeError:
        return decode_text(value, body_charset)


def _word_bytes(encoding: bytes, text: bytes) -> bytes:
    """Undo the B or Q encoding of one word (RFC 2047 §4)."""
    if encoding in b"bB":
        return decode_base64(text)
    return binascii.a2b_qp(text, header=True)
