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

_PLAIN_SLICE_BYTES = 4 * PREVIEW_BYTES  # quoted-printable takes three octets for one, and soft line ends
# Newsletters open with long style sheets; most HTML shows its text in the first slice.
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
        found = _of_plain(content, bodies.plain[0])
        if not bodies.html or found.text.strip():
            return found
    return _of_html(content, bodies.html[0]) if bodies.html else Preview(text="", source="", truncated=False)


def _of_plain(content: Buffer, part: Part) -> Preview:
    text, whole = text_in(content, part, _PLAIN_SLICE_BYTES)
    text, fits = _limited(text)
    return Preview(text=text, source="plain", truncated=not (whole and fits))


def _of_html(content: Buffer, part: Part) -> Preview:
    for limit in _HTML_SLICES_BYTES:
        source, whole = text_in(content, part, limit)
        text, fits = _limited(html_to_text(source))
        if whole or not fits:
            break
    return Preview(text=text, source="html", truncated=not (whole and fits))


def _limited(text: str) -> tuple[str, bool]:
    """Cut after PREVIEW_BYTES of UTF-8, before a character that would not fit whole (trap T2)."""
    if len(text) <= PREVIEW_BYTES // 4:
        return text, True
    data = text.encode()
    if len(data) <= PREVIEW_BYTES:
        return text, True
    return data[:PREVIEW_BYTES].decode("utf-8", "ignore"), False
