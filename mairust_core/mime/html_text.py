"""Text taken from HTML, for previews and search; one pass from tag to tag, no tree, never raises."""

from __future__ import annotations

import html
import re
from itertools import islice

_BREAK, _GAP, _NOTHING = "\x01", " ", ""
_BLOCKS = [
    "address",
    "article",
    "blockquote",
    "br",
    "div",
    "dl",
    "dt",
    "dd",
    "footer",
    "form",
    "header",
    "hr",
    "li",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "main",
    "nav",
    "ol",
    "p",
    "pre",
    "section",
    "table",
    "tr",
    "ul",
]
_INLINE = [
    "a",
    "abbr",
    "b",
    "body",
    "center",
    "code",
    "em",
    "font",
    "head",
    "html",
    "i",
    "img",
    "input",
    "meta",
    "span",
    "strong",
    "sub",
    "sup",
    "tbody",
    "u",
]
_UNSEEN = ["script", "style", "template", "title"]
_COMMENT, _COMMENT_END = "!--", "-->"
_NAME = re.compile(r"/?[A-Za-z][A-Za-z0-9]*|!--|[!?]")
_UNSEEN_ONES = "\u200b\u200c\u200d\u200e\u200f\u034f\u00ad\ufeff"
_UNSEEN_CHARACTERS = re.compile(f"[{_UNSEEN_ONES}]+")
# No character has so high a number, and Python refuses to read a number of some thousand digits.
_NO_NUMBER = re.compile(r"&#[0-9]{100,};?")


def _both(names: list[str], meaning: str) -> dict[str, str]:
    return {f"{slash}{name}": meaning for name in names for slash in ("", "/")}


# What a tag stands for; others stand for nothing.
_MEANING = {**_both(_BLOCKS, _BREAK), **_both(["td", "th"], _GAP), **_both(_INLINE, _NOTHING)}
# Tags without attributes, as most are written: found without looking for their name.
_BARE = {**_MEANING, **{tag.upper(): meaning for tag, meaning in _MEANING.items()}}
# What nobody sees, and what ends it; without its end it reaches to the end of the text.
_ENDS = {_COMMENT: _COMMENT_END, **{name: f"/{name}" for name in _UNSEEN}}


def html_to_text(source: str, enough: int = 0) -> str:
    """Return the visible text: blocks as lines, entities decoded, white space collapsed.

    With `enough`, the text may end after that many characters; it has more of them, or is all of it.
    """
    source = source.replace(_BREAK, " ")
    looked_at = 5 * enough // 4  # an entity is several characters there and one in the end
    while True:
        pieces, is_all = _pieces(source, looked_at)
        text = _shown(pieces)
        if is_all or len(text) > enough:
            return text
        looked_at *= 4


def _shown(pieces: list[str]) -> str:
    text = "".join(pieces)
    if "&" in text:
        text = text.replace("&nbsp;", " ")  # most of them are that, and it is white space
        text = html.unescape(_NO_NUMBER.sub("\ufffd", text))
    if not text.isascii() and any(one in text for one in _UNSEEN_ONES):
        text = _UNSEEN_CHARACTERS.sub("", text)
    found: list[str] = []
    gap = ""
    for line in text.split(_BREAK):
        if words := line.split():
            found += gap, " ".join(words)
            gap = "\n"
        elif gap:
            gap = "\n\n"
    return "".join(found)


def _pieces(source: str, enough: int) -> tuple[list[str], bool]:
    """Return the text between tags and what the tags stand for, and whether that is all there is.

    A tag ends at ">" or, when that is missing, before the next "<". With `enough` it ends soon after so many
    characters that are no white space at the ends.
    """
    segments = source.split("<")
    out = [segments[0]]
    seen, end = 0, ""
    find, append = _BARE.get, out.append
    for segment in islice(segments, 1, None):
        if end:
            text = _after(segment, end)
            if text is None:
                continue
            end = ""
        else:
            tag, _, text = segment.partition(">")
            meaning = find(tag)
            if meaning is None:
                meaning = find(tag.partition(" ")[0])
            if meaning is None:
                meaning, end = _meaning(segment)
            if end:  # the end of a comment may stand before any other tag begins
                text = _after(segment, end) if end is _COMMENT_END else None
                end = end if text is None else ""
                text = text or ""
            if meaning:
                append(meaning)
        if text:
            append(text)
            if enough:
                seen += len(text.strip())
                if seen > enough:
                    return out, False
    return out, True


def _meaning(segment: str) -> tuple[str, str]:
    """What the tag at the start of a segment stands for, and the end of what it hides."""
    name = _NAME.match(segment)
    if name is None:
        return f"<{segment.partition('>')[0]}{'>' if '>' in segment else ''}", ""
    tag = name[0].lower()
    return _MEANING.get(tag, _NOTHING), _ENDS.get(tag, "")


def _after(segment: str, end: str) -> str | None:
    """The text after the end of what is hidden; None when it does not end in this segment."""
    if end is _COMMENT_END:
        at = segment.find(_COMMENT_END)
        return None if at < 0 else segment[at + len(_COMMENT_END) :]
    tag, _, text = segment.partition(">")
    name = _NAME.match(tag)
    return text if name and name[0].lower() == end else None
