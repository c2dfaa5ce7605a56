"""What a search asks for, as a frozen tree; `grammar` makes it, `matching` decides it, engines narrow it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import TypeAlias


class Field(IntEnum):
    """The part of a message that a word is looked for in; also its place in a document's text."""

    SUBJECT = 0
    FROM = 1
    TO = 2
    CC = 3
    FILENAME = 4
    BODY = 5


class State(StrEnum):
    """What `is:` asks for."""

    UNREAD = "unread"
    READ = "read"
    FLAGGED = "flagged"
    ANSWERED = "answered"
    DRAFT = "draft"


@dataclass(frozen=True, slots=True)
class Text:
    """A word, run or phrase in normal form, in one field or, with None, anywhere.

    With `prefix` its last word stands for every word that begins like that.
    """

    pattern: str
    field: Field | None = None
    prefix: bool = False


@dataclass(frozen=True, slots=True)
class Received:
    """Received at or after `from_ms` and before `to_ms`; None is no bound."""

    from_ms: int | None = None
    to_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Is:
    """In that state, by its flags."""

    state: State


@dataclass(frozen=True, slots=True)
class Flagged:
    """With this flag, in any case: a system flag or a keyword (RFC 9051 §2.3.2)."""

    flag: str


@dataclass(frozen=True, slots=True)
class HasAttachment:
    """With at least one part that a reader would save."""


@dataclass(frozen=True, slots=True)
class Tagged:
    """With exactly this tag."""

    tag: str


@dataclass(frozen=True, slots=True)
class InMailbox:
    """In the mailbox of exactly this name."""

    name: str


@dataclass(frozen=True, slots=True)
class Not:
    """What the part does not match."""

    part: Node


@dataclass(frozen=True, slots=True)
class All:
    """What every part matches."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Some:
    """What at least one part matches."""

    parts: tuple[Node, ...]


Fact: TypeAlias = Received | Is | Flagged | HasAttachment | Tagged | InMailbox
"""A condition that the database's rows answer by themselves."""

Node: TypeAlias = Text | Fact | Not | All | Some


def conjuncts(node: Node) -> tuple[Node, ...]:
    """The parts that every hit matches: those of an `All` at the top, else the node itself."""
    return node.parts if isinstance(node, All) else (node,)


def span(node: Node) -> tuple[int | None, int | None]:
    """When a hit can have been received: at or after the first, before the second; None is no bound."""
    since: list[int] = []
    until: list[int] = []
    for part in conjuncts(node):
        if isinstance(part, Received):
            since += [] if part.from_ms is None else [part.from_ms]
            until += [] if part.to_ms is None else [part.to_ms]
    return max(since, default=None), min(until, default=None)


def mailboxes(node: Node) -> set[str]:
    """Every mailbox that a query names."""
    if isinstance(node, InMailbox):
        return {node.name}
    if isinstance(node, Not):
        return mailboxes(node.part)
    if isinstance(node, All | Some):
        return set().union(*map(mailboxes, node.parts))
    return set()
