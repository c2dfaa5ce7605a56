"""The first bytes of what a reader would see (requirement R-PERM-1, trap T2)."""

from __future__ import annotations

from dataclasses import dataclass

from mairust_core.mime.bodies import Bodies, text_in
from mairust_core.mime.html_text import html_to_text
from mairust_core.mime.line_ends import Buffer
from mairust_core.mime.tree import Part
from mairust_core.model.content import PreviewSource

PREVIEW_BYTES = 4096
"""Size limit of a preview in UTF-8."""

# The first slice of the encoded body is nearly always enough; quoted-printable takes three octets for
# one, and newsletters open with long style sheets.
_PLAIN_SLICES_BYTES = (PREVIEW_BYTES * 3 // 2, PREVIEW_BYTES * 6)
_HTML_SLICES_BYTES = (32 << 10, 256 << 10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """The beginning of the body, at most PREVIEW_BYTES of UTF-8, whole characters, LF line ends."""

    text: str
    source: PreviewSource
    truncated: bool


def preview(content: Buffer, bodies: Bodies) -> Preview:
    """Take the preview from the first text/plain body part, or from the HTML when that is blank."""
    if bodies.plain:
        found = _beginning(content, bodies.plain[0], "plain", _PLAIN_SLICES_BYTES)
        if not bodies.html or (found.text and not found.text.isspace()):
            return found
    if bodies.html:
        return _beginning(content, bodies.html[0], "html", _HTML_SLICES_BYTES)
    return Preview(text="", source="", truncated=False)


def _beginning(content: Buffer, part: Part, source: PreviewSource, slices_bytes: tuple[int, ...]) -> Preview:
    text, whole, fits = "", True, True
    for limit in slices_bytes:
        text, whole = text_in(content, part, limit)
        text, fits = _limited(html_to_text(text) if source == "html" else text)
        if whole or not fits:
            break
    return Preview(text=text, source=source, truncated=not (whole and fits))


def _limited(text: str) -> tuple[str, bool]:
    """Cut after PREVIEW_BYTES of UTF-8, before a character that would not fit whole (trap T2)."""
    if len(text) <= PREVIEW_BYTES // 4:
        return text, True
    data = text.encode()
    if len(data) <= PREVIEW_BYTES:
        return text, True
    return data[:PREVIEW_BYTES].decode("utf-8", "ignore"), False
