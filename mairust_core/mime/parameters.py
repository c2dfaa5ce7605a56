"""Content-Type and Content-Disposition: type, parameters, file names (RFC 2045 §5, 2183, 2231)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from mairust_core.mime.charsets import decode_text
from mairust_core.mime.encoded_words import decode_header, one_line
from mairust_core.mime.imap_strings import parameter_list, string

Parameters = tuple[tuple[bytes, bytes], ...]
"""Lower-case name and unquoted value, in order, encodings untouched."""

_TYPE = re.compile(rb'\s*+([^\s;/"(),<>]++)\s*+/\s*+([^\s;/"(),<>]++)')
_PARAMETER = re.compile(rb';\s*+([^\s=;"]++)\s*+=\s*+(?:"((?:[^"\\]++|\\.)*+)"?|([^;]*+))', re.DOTALL)
_QUOTED_PAIR = re.compile(rb"\\(.)", re.DOTALL)
_MAX_CACHED_BYTES = 200
_MAX_CONTINUATIONS = 200


class MediaType(NamedTuple):
    """A content type, in lower case, with its parameters."""

    main: bytes
    sub: bytes
    parameters: Parameters = ()
    told: bytes = b""
    """`subtype_and_parameters`, made beforehand for short fields, which come again and again."""

    @property
    def subtype_and_parameters(self) -> bytes:
        """What BODYSTRUCTURE says behind the main type (RFC 9051 §7.5.2)."""
        return self.told or b"%b %b" % (string(self.sub), parameter_list(self.parameters))

    @property
    def name(self) -> str:
        """Return it as `main/sub`, clean text."""
        return decode_text(b"%b/%b" % (self.main, self.sub))


def _told(kind: MediaType) -> MediaType:
    return kind if kind.told else kind._replace(told=kind.subtype_and_parameters)


TEXT_PLAIN = _told(MediaType(b"text", b"plain", ((b"charset", b"us-ascii"),)))
MESSAGE = _told(MediaType(b"message", b"rfc822"))
OPAQUE = _told(MediaType(b"application", b"octet-stream"))


def media_type(value: bytes) -> MediaType:
    """Parse a Content-Type value; what is none means text/plain (RFC 2045 §5.2). Never raises."""
    # Types repeat from mail to mail; long values are a sender's choice and must not fill the memory.
    return _cached_media_type(value) if len(value) <= _MAX_CACHED_BYTES else _media_type(value)


def _media_type(value: bytes) -> MediaType:
    found = _TYPE.match(value)
    if found is None:
        return TEXT_PLAIN
    return MediaType(found[1].lower(), found[2].lower(), parameters(value[found.end() :]))


@lru_cache(maxsize=1024)
def _cached_media_type(value: bytes) -> MediaType:
    return _told(_media_type(value))


def disposition(value: bytes) -> tuple[bytes, Parameters]:
    """Parse a Content-Disposition value into its lower-case kind and parameters."""
    if not value:
        return b"", ()
    kind, semicolon, rest = value.partition(b";")
    return kind.strip().strip(b'"').lower(), parameters(semicolon + rest)


def parameters(text: bytes) -> Parameters:
    """Parse `;name=value…`, quoted or not; an unquoted value may hold spaces, as some mailers write."""
    if b"=" not in text:
        return ()
    return tuple(
        (name.lower(), _unquote(quoted) if quoted else _bare(name, bare))
        for name, quoted, bare in _PARAMETER.findall(text)
    )


def _unquote(quoted: bytes) -> bytes:
    return _QUOTED_PAIR.sub(rb"\1", quoted) if b"\\" in quoted else quoted


def _bare(name: bytes, value: bytes) -> bytes:
    """Return an unquoted value without a trailing comment, which a file name may rather contain."""
    if b"(" in value and b"name" not in name.lower():
        value = value.partition(b"(")[0]
    return value.strip()


def raw_parameter(found: Parameters, name: bytes) -> bytes:
    """Return the first value of a parameter as written, or b""."""
    for key, value in found:
        if key == name:
            return value
    return b""


def boundaries(found: Parameters) -> list[bytes]:
    """Return each boundary a reader may find, ours first: as written, and its pieces joined (RFC 2231)."""
    values = [value.rstrip() for key, value in found if key == b"boundary"]
    pieces = tuple(one for one in found if one[0].startswith(b"boundary*"))
    if pieces:
        values.append(parameter_text(pieces, b"boundary").encode().rstrip())
    return list(dict.fromkeys(values))


def parameter_text(found: Parameters, name: bytes) -> str:
    """Return a parameter decoded: RFC 2231 first, else RFC 2047 as many mailers write it; "" if absent."""
    plain = b""
    for key, value in reversed(found):
        if key == name:
            plain = value
        elif key.startswith(name) and key[len(name) :][:1] == b"*":
            return _extended(dict(reversed(found)), name)
    return decode_header(plain) if plain else ""


def _extended(found: dict[bytes, bytes], name: bytes) -> str:
    """Join the continuations of a parameter and undo its percent encoding (RFC 2231 §3, §4)."""
    if whole := found.get(name + b"*"):
        return _from_extended([(whole, True)])
    segments: list[tuple[bytes, bool]] = []
    for index in range(_MAX_CONTINUATIONS):
        key = b"%b*%d" % (name, index)
        if key + b"*" in found:
            segments.append((found[key + b"*"], True))
        elif key in found:
            segments.append((found[key], False))
        else:
            break
    return _from_extended(segments) if segments else decode_header(found.get(name, b""))


def _from_extended(segments: list[tuple[bytes, bool]]) -> str:
    first, extended = segments[0]
    charset = b""
    if extended and first.count(b"'") >= 2:
        charset, _, first = first.split(b"'", 2)
        segments = [(first, True), *segments[1:]]
    data = b"".join(unquote_to_bytes(value) if percent else value for value, percent in segments)
    if b"=?" in data:
        return decode_header(data)
    return one_line(decode_text(data, charset.decode("latin-1")))
