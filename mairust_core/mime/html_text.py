"""Text taken from HTML, for previews and search; one pass, no tree, never raises."""

from __future__ import annotations

import html
import re

# A tag ends at ">" or, when that is missing, before the next "<": no search goes further.
_MARK = re.compile(r"<(?:(!--)|(/?)([A-Za-z][A-Za-z0-9]*)[^<>]*+>?|[!?][^<>]*+>?)")
_UNSEEN = frozenset(("script", "style", "template", "title"))
_BREAK = re.compile(
    "address|article|blockquote|br|div|dl|dt|dd|footer|form|h[1-6]|header|hr|li|main|nav|ol|p|pre|section|table|tr|ul"
)
_SPACES = re.compile(r"[ \t\r\n\f\v\u00a0\u200b-\u200f\u034f\u00ad\ufeff]+")
_BLANK_LINES = re.compile(r"\n{3,}")


def html_to_text(source: str) -> str:
    """Return the visible text: blocks as lines, entities decoded, white space collapsed."""
    pieces = _pieces(source)
    lines = (_SPACES.sub(" ", line).strip() for line in html.unescape("".join(pieces)).split("\x01"))
    return _BLANK_LINES.sub("\n\n", "\n".join(lines)).strip()


def _pieces(source: str) -> list[str]:
    """Return the text between tags, with U+0001 where a line breaks."""
    source = source.replace("\x01", " ")
    lower = source.lower()
    if len(lower) != len(source):  # some capitals become two characters, and offsets would not fit
        lower = source
    out: list[str] = []
    at = 0
    while mark := _MARK.search(source, at):
        out.append(source[at : mark.start()])
        at = mark.end()
        name = (mark[3] or "").lower()
        if mark[1]:
            at = _after(lower, "-->", at)
        elif name in _UNSEEN and not mark[2]:
            at = _after(lower, f"</{name}", at)
            at = _after(lower, ">", at)
        elif _BREAK.fullmatch(name):
            out.append("\x01")
        elif name in ("td", "th"):
            out.append(" ")
    out.append(source[at:])
    return out


def _after(text: str, needle: str, at: int) -> int:
    found = text.find(needle, at)
    return len(text) if found < 0 else found + len(needle)
