"""The language of searches (contract §1, trap A5): text is data, and what is not understood is an error.

    search  = all *( "OR" all )
    all     = 1*( ["AND"] factor )
    factor  = *( "-" / "NOT" ) ( "(" search ")" / [operator ":"] value )
    value   = word ["*"] / DQUOTE *char DQUOTE

The whole is read once into the tree of `query`. Nothing of it ever becomes part of another language:
engines get normal forms and their hashes, the database gets bound values.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime

from mairust_core.errors import BadQuery
from mairust_core.ids import to_ms
from mairust_core.model.mailbox import INBOX
from mairust_core.search.normal import normal
from mairust_core.search.query import (
    All,
    Field,
    HasAttachment,
    InMailbox,
    Is,
    Node,
    Not,
    Received,
    Some,
    State,
    Tagged,
    Text,
)

MAX_CHARACTERS = 1000
MAX_TERMS = 64
MAX_DEPTH = 16

_TOKEN = re.compile(
    r"\s*(?:(?P<open>\()|(?P<close>\))|(?P<minus>-)(?=[^\s])|(?:(?P<operator>[A-Za-z]+):)?"
    r'(?:"(?P<quoted>[^"]*)(?P<end>"?)|(?P<bare>[^\s"()]*)))'
)
_JOINING = frozenset({"AND", "OR", "NOT"})
_SHOWN_CHARACTERS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class _Token:
    kind: str
    """One of `(`, `)`, `-`, `AND`, `OR`, `NOT`, `term`, and `end`."""
    at: int
    """Of its first character, from 1."""
    operator: str = ""
    text: str = ""
    quoted: bool = False


def parse(text: str) -> Node:
    """The tree of a search; raises `BadQuery`, naming the place and the mend."""
    if len(text) > MAX_CHARACTERS:
        raise BadQuery("too_long", length=len(text), limit=MAX_CHARACTERS)
    tokens = _tokens(text)
    if tokens[0].kind == "end":
        raise BadQuery("empty")
    terms = sum(token.kind == "term" for token in tokens)
    if terms > MAX_TERMS:
        raise BadQuery("too_many_terms", terms=terms, limit=MAX_TERMS)
    return _Parser(tokens).whole()


def _tokens(text: str) -> list[_Token]:
    tokens = []
    at = 0
    while text[at:].strip():
        found = _TOKEN.match(text, at)
        assert found is not None  # every alternative may be empty
        tokens.append(_token(found))
        at = found.end()
    return [*tokens, _Token(kind="end", at=len(text) + 1)]


def _token(found: re.Match[str]) -> _Token:
    whole = found[0].lstrip()
    at = found.end() - len(whole) + 1
    if found["open"] or found["close"] or found["minus"]:
        return _Token(kind=whole, at=at)
    if whole in _JOINING:
        return _Token(kind=whole, at=at)
    quoted = found["quoted"] is not None
    if quoted and not found["end"]:
        raise BadQuery("unclosed_quote", at=at + whole.index('"'))
    text = found["quoted"] if quoted else found["bare"]
    return _Token(kind="term", at=at, operator=(found["operator"] or "").lower(), text=text, quoted=quoted)


class _Parser:
    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._next = 0
        self._depth = 0

    def whole(self) -> Node:
        node = self._some()
        if self._kind != "end":  # only `)` ends a search early
            raise BadQuery("unopened_group", at=self._tokens[self._next].at)
        return node

    @property
    def _kind(self) -> str:
        return self._tokens[self._next].kind

    def _take(self) -> _Token:
        token = self._tokens[self._next]
        self._next += 1
        return token

    def _before(self) -> str:
        """What stands before the token that was taken last."""
        if self._next < 2:
            return "the beginning"
        token = self._tokens[self._next - 2]
        return token.text if token.kind == "term" else token.kind

    def _some(self) -> Node:
        parts = [self._all()]
        while self._kind == "OR":
            self._take()
            parts.append(self._all())
        return parts[0] if len(parts) == 1 else Some(tuple(parts))

    def _all(self) -> Node:
        parts = [self._factor()]
        while self._kind not in {"OR", ")", "end"}:
            if self._kind == "AND":
                self._take()
            parts.append(self._factor())
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def _factor(self) -> Node:
        token = self._take()
        if token.kind == "term":
            return _term(token)
        if token.kind not in {"-", "NOT", "("}:
            raise BadQuery("missing", at=token.at, before=self._before())
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise BadQuery("too_deep", at=token.at, limit=MAX_DEPTH)
        node = self._group(token) if token.kind == "(" else Not(self._factor())
        self._depth -= 1
        return node

    def _group(self, opening: _Token) -> Node:
        node = self._some()
        if self._kind != ")":
            raise BadQuery("unclosed_group", at=opening.at)
        self._take()
        return node


def _term(token: _Token) -> Node:
    if not token.operator:
        return _text(token, None)
    read = _OPERATORS.get(token.operator)
    if read is None:
        known = " ".join(f"{name}:" for name in _OPERATORS)
        raise BadQuery("unknown_operator", name=_shown(token.operator), at=token.at, known=known)
    if not token.text.strip():
        raise BadQuery("no_value", name=token.operator, at=token.at)
    return read(token)


def _text(token: _Token, field: Field | None) -> Text:
    text = token.text
    open_ended = not token.quoted and "*" in text
    if open_ended:
        text = text.removesuffix("*")
        if "*" in text or not normal(text[-1:]):
            raise BadQuery("wildcard", text=_shown(token.text), at=token.at)
    pattern = normal(text)
    if not pattern:
        raise BadQuery("nothing", text=_shown(token.text), at=token.at)
    return Text(pattern, field, prefix=open_ended)


def _in(field: Field) -> Callable[[_Token], Node]:
    return lambda token: _text(token, field)


def _after(token: _Token) -> Node:
    return Received(from_ms=_moment_ms(token))


def _before(token: _Token) -> Node:
    return Received(to_ms=_moment_ms(token))


def _moment_ms(token: _Token) -> int:
    text = token.text.strip().replace("/", "-")
    try:
        if len(text) == len("2027-01-31"):
            day = date.fromisoformat(text)
            return to_ms(datetime(day.year, day.month, day.day, tzinfo=UTC))
        at = datetime.fromisoformat(text)
        return to_ms(at if at.tzinfo else at.replace(tzinfo=UTC))
    except (ValueError, OverflowError) as error:
        raise BadQuery("bad_date", name=token.operator, value=_shown(token.text), at=token.at) from error


def _is(token: _Token) -> Node:
    try:
        return Is(State(token.text.strip().lower()))
    except ValueError as error:
        raise _unknown_value(token, State) from error


def _has(token: _Token) -> Node:
    if token.text.strip().lower() not in {"attachment", "attachments"}:
        raise _unknown_value(token, ("attachment",))
    return HasAttachment()


def _tag(token: _Token) -> Node:
    return Tagged(token.text)


def _mailbox(token: _Token) -> Node:
    return InMailbox(INBOX if token.text.upper() == INBOX else token.text)


def _unknown_value(token: _Token, known: Iterable[str]) -> BadQuery:
    names = " ".join(f"{token.operator}:{value}" for value in known)
    return BadQuery("unknown_value", name=token.operator, value=_shown(token.text), at=token.at, known=names)


def _shown(text: str) -> str:
    return text[:_SHOWN_CHARACTERS]


_OPERATORS: dict[str, Callable[[_Token], Node]] = {
    "from": _in(Field.FROM),
    "to": _in(Field.TO),
    "cc": _in(Field.CC),
    "subject": _in(Field.SUBJECT),
    "filename": _in(Field.FILENAME),
    "before": _before,
    "after": _after,
    "has": _has,
    "is": _is,
    "tag": _tag,
    "mailbox": _mailbox,
}
OPERATORS = tuple(_OPERATORS)
"""Every operator, without its colon."""
