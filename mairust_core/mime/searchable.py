"""The text of a message that searches look into: every text and HTML body part, decoded."""

from __future__ import annotations

from mairust_core.mime.bodies import sort_parts, text_at, text_in
from mairust_core.mime.html_text import html_to_text
from mairust_core.mime.line_ends import Buffer
from mairust_core.mime.tree import scan

MAX_PART_BYTES = 8 << 20
"""How much of one encoded part is read."""
MAX_CHARACTERS = 4 << 20
"""How much of all parts together is given."""


def body_texts(content: Buffer) -> tuple[list[str], bool]:
    """Return the text of each body part, tags of HTML removed, and whether that is all; never raises.

    Attached files are no body, whatever they hold; nor are messages inside the message.
    """
    bodies = sort_parts(scan(content))
    texts: list[str] = []
    left, all_read = MAX_CHARACTERS, True
    for part in (*bodies.plain, *bodies.html):
        text, whole = text_in(content, text_at(part), MAX_PART_BYTES)
        if part.type.sub == b"html":
            text = html_to_text(text)
        all_read = all_read and whole and len(text) <= left
        texts.append(text[:left])
        left -= len(texts[-1])
    return texts, all_read
