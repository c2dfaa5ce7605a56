"""The normal form of text: what a search is decided on, word by word and run by run (trap T1).

    Ｈｅｌｌｏ, wörld!  東京都に  ->  hello wörld 東京都に

Letters are compared in Unicode's compatibility form (NFKC) and folded case; what nobody sees is left out;
everything that is no letter, digit or mark parts words, and one space stands for it. Scripts written
without spaces come as *runs*, parted from words by a space, joined again where a line was broken inside.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import groupby
from operator import ne

_RUN = (
    "\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff"  # Thai, Lao; Myanmar; Hangul letters; Khmer
    "\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3031-\u3035\u3038-\u303c"  # radicals, iteration marks
    "\u3041-\u30ff\u3100-\u318f\u31a0-\u31bf\u31f0-\u31ff"  # kana, Bopomofo, Hangul letters
    "\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff"  # Han, Yi, Hangul
    "\U00020000-\U0003ffff"  # Han
)
_FIRST_OF_RUNS = "\u0e00"
_RUNS = re.compile(f"[{_RUN}]+")
_BROKEN_LINE = re.compile(f"(?<=[{_RUN}]) ?\n(?=[{_RUN}])")
_LINE_ENDS = frozenset("\n\r\v\f\x85\u2028\u2029")
_PART = "\x1f"
"""Stands for what parts words, while line ends and spaces are still told from it; `split` takes it too."""
_INVISIBLE = frozenset(("\u034f", "\u115f", "\u1160", "\u17b4", "\u17b5", "\u3164", "\uffa0"))
_MOST_KNOWN = 1 << 16
LEAST_STRETCH = 40
"""Characters of lines that are all ASCII, or all not, from which on average it pays to treat them apart."""


class _Visible(dict[int, str]):
    """By code point: itself, or nothing when nobody sees it; filled as characters turn up, up to a limit."""

    def __missing__(self, code: int) -> str:
        return self._keep(code, "" if _is_invisible(chr(code)) else chr(code))

    def _keep(self, code: int, value: str) -> str:
        if len(self) < _MOST_KNOWN:
            self[code] = value
        return value


class _Words(_Visible):
    """By code point of normalised text: itself when it belongs to a word, else what parts words."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        if unicodedata.category(char)[0] in "LNM":
            return self._keep(code, char)
        if char in _LINE_ENDS:
            return self._keep(code, "\n")
        return self._keep(code, " " if char.isspace() else _PART)


def _is_invisible(char: str) -> bool:
    return unicodedata.category(char) == "Cf" or unicodedata.name(char, "").startswith("VARIATION SELECTOR")


_VISIBLE = _Visible(dict.fromkeys(map(ord, _INVISIBLE), ""))
_WORDS = _Words()


def normal(text: str) -> str:
    """Return the normal form: words and runs, one space between them, none around; never raises."""
    text = text.replace("\r\n", "\n")
    if text.isascii():
        return _plain(text)
    lines = text.split("\n")
    plain = list(map(str.isascii, lines))
    if sum(map(ne, plain, plain[1:])) * LEAST_STRETCH > len(text):
        return _any(text)
    stretches = [
        (_plain if is_plain else _any)("\n".join(found)) for is_plain, found in groupby(lines, str.isascii)
    ]
    return " ".join(filter(None, stretches))


def _plain(text: str) -> str:
    """The normal form of ASCII, at a tenth of the cost: most lines are, in most languages of Europe."""
    return " ".join(text.casefold().translate(_WORDS).split())


def _any(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text.translate(_VISIBLE)).casefold()
    parted = unicodedata.normalize("NFKC", folded).translate(_WORDS)
    return " ".join(_RUNS.sub(r" \g<0> ", _BROKEN_LINE.sub("", parted)).split())


def is_run(piece: str) -> bool:
    """Tell whether a piece of normal text (between two spaces) is a run, found by any substring."""
    return piece >= _FIRST_OF_RUNS and _RUNS.match(piece) is not None
