"""What is in a mail: pure functions on bytes, no I/O.

`describe` finds everything that is stored beside the bytes, before the 250; `Outline` the same in two steps,
the cheaper one first, and without the preview, which `read_preview` reads. It walks a message from
outside in: `line_ends` (is it CRLF?), `fields` (the header block), `tree` (which part lies where), then
takes from it `addresses`, `dates`, `subjects`, `preview`, the attachments of `bodies`, and the wire form
of `envelope` and `bodystructure`. `encoded_words`, `charsets`, `parameters` and `transfer_encodings` say
what octets mean. `rendering` is the way back: trace headers and blob, minus the hidden fields.

Every function takes any bytes without raising, in linear time, within the limits named in its module.
Nothing here uses `email`: its modern policy raises on malformed headers, its classic one damages raw
8-bit text.
"""

from __future__ import annotations

from mairust_core.mime.bodies import (
    decoded_part,
    find_part,
    html_of,
    part_bytes,
    part_text,
    parts,
    text_of,
)
from mairust_core.mime.charsets import decode_text
from mairust_core.mime.description import Outline, describe
from mairust_core.mime.encoded_words import decode_header
from mairust_core.mime.line_ends import Buffer, crlf_form, crlf_size
from mairust_core.mime.preview import PREVIEW_BYTES, SNIPPET, read_preview, snippet_of
from mairust_core.mime.rendering import MAX_HIDDEN, Ranges, headers, hidden_ranges, render, rendered_size
from mairust_core.mime.tree import Part

__all__ = [
    "MAX_HIDDEN",
    "PREVIEW_BYTES",
    "SNIPPET",
    "Buffer",
    "Outline",
    "Part",
    "Ranges",
    "crlf_form",
    "crlf_size",
    "decode_header",
    "decode_text",
    "decoded_part",
    "describe",
    "find_part",
    "headers",
    "hidden_ranges",
    "html_of",
    "part_bytes",
    "part_text",
    "parts",
    "read_preview",
    "render",
    "rendered_size",
    "snippet_of",
    "text_of",
]
