"""BODYSTRUCTURE with its extension data, as ready wire bytes (RFC 9051 §7.5.2)."""

from __future__ import annotations

import re

from mairust_core.mime.envelope import address_fields, envelope
from mairust_core.mime.imap_strings import nstring, parameter_list, string
from mairust_core.mime.line_ends import Buffer, count
from mairust_core.mime.tree import Part

_LANGUAGE_TAG = re.compile(rb"[A-Za-z0-9-]+")
_SELDOM = frozenset(
    (b"content-id", b"content-description", b"content-md5", b"content-language", b"content-location")
)


def bodystructure(content: Buffer, part: Part) -> bytes:
    """Return the structure of a part; `content` and the part's offsets are of the CRLF form."""
    if part.children:
        return b"(%b %b %b)" % (
            b"".join([bodystructure(content, child) for child in part.children]),
            part.type.subtype_and_parameters,
            _disposition_language_location(part),
        )
    head = b"(%b %b" % (string(part.type.main), part.type.subtype_and_parameters)
    encoding, size, more = string(part.encoding), part.end - part.body, _of_its_type(content, part)
    if not part.fields.any_of(_SELDOM):
        return b"%b NIL NIL %b %d%b NIL %b NIL NIL)" % (head, encoding, size, more, _disposition(part))
    get = part.fields.get
    return b"%b %b %b %b %d%b %b %b)" % (
        head,
        nstring(get(b"content-id")),
        nstring(get(b"content-description")),
        encoding,
        size,
        more,
        nstring(get(b"content-md5")),
        _disposition_language_location(part),
    )


def _of_its_type(content: Buffer, part: Part) -> bytes:
    """Return what text (lines) and nested messages (envelope, body, lines) have besides."""
    if part.message is not None:
        inner = part.message
        return b" %b %b %d" % (
            envelope(inner.fields, address_fields(inner.fields)),
            bodystructure(content, inner),
            count(content, b"\n", part.body, part.end),
        )
    return b" %d" % count(content, b"\n", part.body, part.end) if part.type.main == b"text" else b""


def _disposition(part: Part) -> bytes:
    if not part.disposition:
        return b"NIL"
    return b"(%b %b)" % (string(part.disposition), parameter_list(part.disposition_parameters))


def _disposition_language_location(part: Part) -> bytes:
    tags = _LANGUAGE_TAG.findall(part.fields.get(b"content-language") or b"")
    languages = b"(%b)" % b" ".join(map(string, tags)) if len(tags) > 1 else nstring(*tags or [None])
    return b"%b %b %b" % (_disposition(part), languages, nstring(part.fields.get(b"content-location")))
