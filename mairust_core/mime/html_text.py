"""Text taken from HTML, for previews and search; linear passes, no tree, never raises."""

from __future__ import annotations

import html
import re

_BREAK = "\x01"
# A tag ends at ">" or, when that is missing, before the next "<": no search goes further.
_REST = r"(?![A-Za-z0-9])[^<>]*+>?"
_BLOCKS = (
    "address|article|blockquote|br|div|dl|dt|dd|footer|form|header|hr|li|h[1-6]|main|nav|ol|p|pre|section"
    "|table|tr|ul"
)
# What nobody sees; without its end it reaches to the end of the text.
_UNSEEN = re.compile(
    rf"<!--.*?(?:-->|\Z)|<(script|style|template|title){_REST}.*?(?:</\1[^<>]*+>?|\Z)",
    re.IGNORECASE | re.DOTALL,
)
_BLOCK = re.compile(rf"</?(?:{_BLOCKS}){_REST}", re.IGNORECASE)
_CELL = re.compile(rf"</?t[dh]{_REST}", re.IGNORECASE)
_TAG = re.compile(r"<(?:/?[A-Za-z]|[!?])[^<>]*+>?")
_UNSEEN_CHARACTERS = re.compile("[\u200b-\u200f\u034f\u00ad\ufeff]+")
_BLANK_LINES = re.compile(r"\n{3,}")


def html_to_text(source: str) -> str:
    """Return the visible text: blocks as lines, entities decoded, white space collapsed."""
    text = _UNSEEN.sub("", source.replace(_BREAK, " "))
    text = _TAG.sub("", _CELL.sub(" ", _BLOCK.sub(_BREAK, text)))
    if "&" in text:
        text = html.unescape(text)
    if not text.isascii():
        text = _UNSEEN_CHARACTERS.sub("", text)
    lines = [" ".join(line.split()) for line in text.split(_BREAK)]
    return _BLANK_LINES.sub("\n\n", "\n".join(lines)).strip()
