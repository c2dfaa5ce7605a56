"""Text taken from HTML, for previews and search; linear passes, no tree, never raises."""

from __future__ import annotations

import html
import re

_BREAK, _GAP = "\x01", " "
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
# What a tag stands for; others stand for nothing.
_MEANING = {
    **{f"{slash}{name}": _BREAK for name in _BLOCKS for slash in ("", "/")},
    **{f"{slash}{name}": _GAP for name in ("td", "th") for slash in ("", "/")},
}
# A tag ends at ">" or, when that is missing, before the next "<": no search goes further.
_TAG = re.compile(r"<(/?[A-Za-z][A-Za-z0-9]*|[!?])[^<>]*+>?")
# What nobody sees; without its end it reaches to the end of the text.
_UNSEEN = re.compile(
    r"<(?:!--.*?(?:-->|\Z)|(script|style|template|title)(?![A-Za-z0-9])[^<>]*+>?.*?(?:</\1[^<>]*+>?|\Z))",
    re.IGNORECASE | re.DOTALL,
)
_UNSEEN_CHARACTERS = re.compile("[\u200b-\u200f\u034f\u00ad\ufeff]+")
_BLANK_LINES = re.compile(r"\n{3,}")


def html_to_text(source: str, enough: int = 0) -> str:
    """Return the visible text: blocks as lines, entities decoded, white space collapsed.

    With `enough`, the text may end after that many characters.
    """
    text = _UNSEEN.sub("", source.replace(_BREAK, " "))
    pieces = _TAG.split(_beginning(text, enough) if enough else text)
    pieces[1::2] = [_MEANING.get(tag.lower(), "") for tag in pieces[1::2]]
    text = "".join(pieces)
    if "&" in text:
        text = html.unescape(text)
    if not text.isascii():
        text = _UNSEEN_CHARACTERS.sub("", text)
    lines = [" ".join(line.split()) for line in text.split(_BREAK)]
    return _BLANK_LINES.sub("\n\n", "\n".join(lines)).strip()


def _beginning(text: str, enough: int) -> str:
    """Return the text up to the tag before which there are enough characters between tags."""
    seen = at = 0
    for tag in _TAG.finditer(text):
        seen += len(text[at : tag.start()].strip())
        if seen > 2 * enough:  # an entity is several characters here and one in the end
            return text[: tag.start()]
        at = tag.end()
    return text
