"""Index terms: what of a text an index keeps, and what a query may therefore ask it for.

Anywhere in a text: each word; each pair of words side by side, so that a phrase is found as fast as a word;
each two characters of a run side by side. In the fields above the body the same once more for that field
alone, and single characters of runs besides. Very long words are rare enough to do without pairs.

A text that matches has every term of `query_terms`; that a text has them proves nothing (rule J1).
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

from mairust_core.search.normal import is_run
from mairust_core.search.query import Field, Text

LONGEST_PAIRED = 16
"""Characters of a word that is also kept in pairs."""
MOST_QUERY_TERMS = 8
"""More of one phrase narrow nothing further."""

_SCOPE: dict[Field, str] = {field: chr(1 + field) for field in Field if field is not Field.BODY}
_join = str.__add__


def document_terms(text: str) -> set[str]:
    """Every term of a document's text, its fields parted by line ends as `documents` writes them."""
    found: set[str] = set()
    *heads, _ = fields = text.split("\n")
    for field in fields:
        _add(found, field.split())
    for scope, head in zip(_SCOPE.values(), heads, strict=True):
        scoped: set[str] = set()
        pieces = head.split()
        _add(scoped, pieces)
        for piece in pieces:
            if is_run(piece):
                scoped.update(piece)
        found.update([scope + term for term in scoped])
    return found


def _add(found: set[str], pieces: list[str]) -> None:
    words = pieces
    if any(map(is_run, pieces)):
        words = []
        for piece in pieces:
            if is_run(piece):
                found.update(map(_join, piece, piece[1:]))
                piece = ""  # no word: pairs with it are left out
            words.append(piece)
    found.update(words)
    found.discard("")
    found.update(
        [
            f"{one} {other}"
            for one, other in pairwise(words)
            if 0 < len(one) <= LONGEST_PAIRED and 0 < len(other) <= LONGEST_PAIRED
        ]
    )


@lru_cache(maxsize=256)
def query_terms(text: Text) -> tuple[str, ...]:
    """Terms that every text has which this one matches; none when the index cannot narrow it down.

    It knows whole words, so the beginning of one narrows nothing: those beside it do.
    """
    pieces = text.pattern.split(" ")
    if text.prefix and not is_run(pieces[-1]):
        pieces.pop()
    terms: dict[str, None] = {}
    for at, piece in enumerate(pieces):
        if is_run(piece):
            pairs = map(_join, piece, piece[1:])
            terms |= dict.fromkeys(pairs if len(piece) > 1 else piece if text.field in _SCOPE else ())
        elif at and _is_paired(pieces[at - 1]) and _is_paired(piece):
            terms.pop(pieces[at - 1], None)
            terms[f"{pieces[at - 1]} {piece}"] = None
        else:
            terms[piece] = None
    scope = "" if text.field is None else _SCOPE.get(text.field, "")
    return tuple(scope + term for term in list(terms)[:MOST_QUERY_TERMS])


def _is_paired(piece: str) -> bool:
    return len(piece) <= LONGEST_PAIRED and not is_run(piece)
