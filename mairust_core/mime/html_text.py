"""Text taken from HTML, for previews and search; one pass, no tree, never raises."""

from __future__ import annotations

import html
import re

# A tag ends at ">" or, when that is missing, before the next "<": no search goes further.
_MARK = re.compile(r"<(!--|/?[A-Za-z][A-Za-z0-9]*|[!?])[^<>]*+>?")
_BREAK, _GAP = "\x01", " "
_BLOCKS = [
    *(
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
    ),
    *("h1", "h2", "h3", "h4", "h5", "h6", "main", "nav", "ol", "p", "pre", "section", "table", "tr", "ul"),
]
_UNSEEN = ["script", "style", "template", "title"]
# What a mark stands for: text, or the end of what nobody sees. Other tags stand for nothing.
_MEANING: dict[str, str | re.Pattern[str]] = {
    **dict.fromkeys(_BLOCKS + [f"/{name}" for name in _BLOCKS], _BREAK),
    **dict.fromkeys(("td", "/td", "th", "/th"), _GAP),
    **{name: re.compile(f"</{name}[^<>]*+>?", re.IGNORECASE) for name in _UNSEEN},
    "!--": re.compile("-->"),
}
_SPACES = re.compile(r"[ \t\r\n\f\v\u00a0\u200b-\u200f\u034f\u00ad\ufeff]+")
_BLANK_LINES = re.compile(r"\n{3,}")


def html_to_text(source: str) -> str:
    """Return the visible text: blocks as lines, entities decoded, white space collapsed."""
    text = "".join(_pieces(source.replace(_BREAK, " ")))
    if "&" in text:
        text = html.unescape(text)
    lines = [line.strip() for line in _SPACES.sub(" ", text).split(_BREAK)]
    return _BLANK_LINES.sub("\n\n", "\n".join(lines)).strip()


def _pieces(source: str) -> list[str]:
    """Return the text between tags, and breaks where a block begins or ends."""
    out: list[str] = []
    at = 0
    while mark := _MARK.search(source, at):
        out.append(source[at : mark.start()])
        at = mark.end()
        meaning = _MEANING.get(mark[1].lower())
        if isinstance(meaning, str):
            out.append(meaning)
        elif meaning is not None:
            end = meaning.search(source, mark.end(1))
            at = end.end() if end else len(source)  # what is never ended is never seen
    out.append(source[at:])
    return out
