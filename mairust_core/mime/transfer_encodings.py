"""Content-Transfer-Encoding: back to the octets that were sent (RFC 2045 §6)."""

from __future__ import annotations

import binascii
import re

from mairust_core.mime.line_ends import Buffer, count

_NOT_BASE64 = bytes(
    set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=")
)
# Where padding may stand, after two or three of four characters, it ends the data; elsewhere it is foreign.
_UP_TO_PADDING = re.compile(rb"(?:=*+[^=]=*+[^=]=?+[^=]{2})*+(?:=*+[^=]=*+[^=](?:=?+[^=])?+)?+")
# Begins with a line end, which is found without looking at each octet: most mail has nothing to take away.
_WHITE_END = re.compile(rb"\n(?:(?<=[ \t]\n)|(?<=[ \t]\r\n))")
_WHITE = re.compile(rb"(?<![ \t])[ \t]++(?=\r?\n|\Z)")
_UUENCODE = frozenset((b"uuencode", b"x-uuencode", b"uue", b"x-uue"))
_UU_BEGIN = re.compile(rb"^begin [0-7]{3,4} [^\n]*\n", re.MULTILINE)


def decode(data: bytes, encoding: bytes) -> bytes:
    """Decode data in the (lower-case) transfer encoding; an unknown one is identity. Never raises."""
    if encoding == b"base64":
        return decode_base64(data)
    if encoding == b"quoted-printable":
        return decode_quoted_printable(data)
    if encoding in _UUENCODE:
        return decode_uuencode(data)
    return data


def decode_quoted_printable(data: bytes) -> bytes:
    """Decode quoted-printable; white space at the end of a line was never meant (RFC 2045 §6.7, rule 3)."""
    if _WHITE_END.search(data) is not None or data.endswith((b" ", b"\t")):
        data = _WHITE.sub(b"", data)
    return binascii.a2b_qp(data)


def decode_base64(data: bytes) -> bytes:
    """Decode base64 up to its padding, or without any, passing over foreign octets (RFC 2045 §6.8).

    Nothing that follows the padding is decoded, whatever the Python: 3.13 goes on, as if two were one.
    """
    padding = data.find(b"=")
    if padding < 0 or not data[padding:].strip(b"=\r\n"):
        try:
            return binascii.a2b_base64(data)
        except binascii.Error:
            pass  # unpadded or cut: decode the whole sextets that are there
    found = _UP_TO_PADDING.match(data.translate(None, _NOT_BASE64))
    sextets = found.group().replace(b"=", b"") if found else b""
    return binascii.a2b_base64(sextets + b"=" * (-len(sextets) % 4))


def decode_uuencode(data: bytes) -> bytes:
    """Decode the first uuencoded file in the data; without one, or when it is damaged, return the data."""
    begin = _UU_BEGIN.search(data)
    if begin is None:
        return data
    out: list[bytes] = []
    for line in data[begin.end() :].splitlines():
        if line.strip() == b"end":
            break
        # Some encoders pad lines with foreign octets: what the length octet claims is what counts.
        claimed = 1 + (((line[0] - 32) & 63) + 2) // 3 * 4 if line else 0
        try:
            out.append(binascii.a2b_uu(line[:claimed]))
        except binascii.Error:
            return data
    return b"".join(out)


def decoded_size(content: Buffer, start: int, end: int, encoding: bytes) -> int:
    """Estimate the decoded size in bytes without decoding; exact for well-formed base64."""
    size = end - start
    if encoding == b"base64":
        return _base64_size(content, start, end)
    if encoding == b"quoted-printable":
        return max(0, size - 2 * count(content, b"=", start, end))
    return size * 3 // 4 if encoding in _UUENCODE else size


def _base64_size(content: Buffer, start: int, end: int) -> int:
    """Take all lines to be as long as the first, as encoders write them."""
    size = end - start
    first = content.find(b"\n", start, end) + 1 - start
    if first > 0:
        terminator = 2 if content[start + first - 2 : start + first - 1] == b"\r" else 1
        lines, rest = divmod(size, first)
        tail = content[max(start, end - 2) : end]
        rest -= len(tail) - len(tail.rstrip()) if rest else 0
        size = lines * (first - terminator) + max(0, rest)
    padding = content[max(start, end - 6) : end].count(b"=")
    return max(0, size * 3 // 4 - padding)
