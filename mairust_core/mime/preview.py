"""The first bytes of what a reader would see (requirement R-PERM-1, trap T2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mairust_core.mime.bodies import Bodies, source_in, text_at, text_in
from mairust_core.mime.html_text import html_to_text
from mairust_core.mime.line_ends import Buffer
from mairust_core.model.content import SNIPPET_BYTES, SNIPPET_CHARACTERS, PreviewSource, TextAt, Unread

PREVIEW_BYTES = 4096
"""Size limit of a preview in UTF-8."""

# The first slice of the encoded body is nearly always enough; quoted-printable takes three octets for
# one, and newsletters open with long style sheets.
_PLAIN_SLICES = (1.5, 6)
"""How many octets of the encoded body are read for each octet wanted."""
_HTML_SLICES_BYTES = (64 << 10, 256 << 10)
_SNIPPET_SLICES_BYTES = (6 << 10, 24 << 10, 256 << 10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """The beginning of the body, of limited UTF-8 size, whole characters, LF line ends."""

    text: str
    source: PreviewSource
    truncated: bool


NOTHING = Preview(text="", source="", truncated=False)


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is wanted: at most `limit_bytes` of UTF-8, and no more once `enough` characters are found."""

    limit_bytes: int
    enough: int


WHOLE = Extent(PREVIEW_BYTES, PREVIEW_BYTES)
SNIPPET = Extent(SNIPPET_BYTES, SNIPPET_CHARACTERS)


def preview(content: Buffer, bodies: Bodies, extent: Extent = WHOLE) -> Preview:
    """Take the preview from the first text/plain body part, or from the HTML when that is blank."""
    return read_preview(content, unread(bodies), extent)


def unread(bodies: Bodies) -> Unread:
    """Where the preview begins, for `read_preview`."""
    return Unread(
        text_at(bodies.plain[0]) if bodies.plain else None,
        text_at(bodies.html[0]) if bodies.html else None,
        bodies.cut,
    )


def read_preview(content: Buffer, at: Unread, extent: Extent = WHOLE) -> Preview:
    """Take the preview from where it begins."""
    if at.plain:
        slices_bytes = [int(extent.limit_bytes * slice_) for slice_ in _PLAIN_SLICES]
        found = _beginning(content, at.plain, "plain", slices_bytes, extent)
        if not at.html or (found.text and not found.text.isspace()):
            return found
    if at.html:
        slices = _HTML_SLICES_BYTES if extent is WHOLE else _SNIPPET_SLICES_BYTES
        return _beginning(content, at.html, "html", slices, extent)
    return NOTHING


def snippet_of(shown: str) -> str:
    """The beginning of a preview, as long as `SNIPPET` has it."""
    return _limited(shown[: SNIPPET.enough], SNIPPET.limit_bytes)[0]


def _beginning(
    content: Buffer, part: TextAt, source: PreviewSource, slices_bytes: Sequence[int], extent: Extent
) -> Preview:
    text, whole, fits = "", True, True
    for slice_bytes in slices_bytes:
        if source == "html":
            text, whole = source_in(content, part, slice_bytes)
            text = html_to_text(text, extent.enough)
        else:
            text, whole = text_in(content, part, slice_bytes)
        text, fits = _limited(text, extent.limit_bytes)
        if whole or not fits or len(text) >= extent.enough:
            break
    ended_early = extent is not WHOLE and len(text) >= extent.enough
    return Preview(text=text, source=source, truncated=ended_early or not (whole and fits))


def _limited(text: str, limit_bytes: int) -> tuple[str, bool]:
    """Cut after `limit_bytes` of UTF-8, before a character that would not fit whole (trap T2)."""
    if len(text) <= limit_bytes // 4:
        return text, True
    data = text.encode()
    if len(data) <= limit_bytes:
        return text, True
    return data[:limit_bytes].decode("utf-8", "ignore"), False
