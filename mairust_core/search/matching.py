"""Whether a message matches: decided on its normal text and on its row, never on an index (rule J1).

Three answers: yes, no, and None where the text is not all there and what is missing would decide.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import lru_cache
from typing import Protocol

from mairust_core.search.documents import Extent, field_of
from mairust_core.search.normal import is_run
from mairust_core.search.query import (
    All,
    Fact,
    Field,
    Flagged,
    HasAttachment,
    Is,
    Node,
    Not,
    Received,
    Some,
    State,
    Tagged,
    Text,
)

SEEN, ANSWERED, FLAGGED, DRAFT = "\\Seen", "\\Answered", "\\Flagged", "\\Draft"


class Facts(Protocol):
    """What a query asks of one message; flags by their IMAP names, the text as `documents` writes it."""

    @property
    def received_ms(self) -> int: ...
    @property
    def flags(self) -> Collection[str]: ...
    @property
    def tags(self) -> Collection[str]: ...
    @property
    def mailbox(self) -> str: ...
    @property
    def has_attachments(self) -> bool: ...
    @property
    def text(self) -> str: ...
    @property
    def extent(self) -> Extent: ...


def matches(node: Node, facts: Facts) -> bool | None:
    """Whether a message matches; None when only what is missing of its text could tell."""
    if isinstance(node, Text):
        return _has_text(node, facts)
    if isinstance(node, Not):
        found = matches(node.part, facts)
        return None if found is None else not found
    if isinstance(node, All):
        return _all(matches(part, facts) for part in node.parts)
    if isinstance(node, Some):
        found = _all(matches(Not(part), facts) for part in node.parts)
        return None if found is None else not found
    return _is_fact(node, facts)


def _all(answers: Iterable[bool | None]) -> bool | None:
    unknown = False
    for answer in answers:
        if answer is False:
            return False
        unknown = unknown or answer is None
    return None if unknown else True


def _has_text(text: Text, facts: Facts) -> bool | None:
    where = facts.text if text.field is None else field_of(facts.text, text.field)
    if needle(text.pattern, text.prefix) in where:
        return True
    in_body = text.field is None or text.field is Field.BODY
    return None if in_body and facts.extent is not Extent.WHOLE else False


@lru_cache(maxsize=1024)
def needle(pattern: str, prefix: bool = False) -> str:
    """What stands in a text that a pattern matches: words are bounded by spaces, runs are not.

    With `prefix` the last word is not bounded at its end.
    """
    pieces = pattern.split(" ")
    before = "" if is_run(pieces[0]) else " "
    after = "" if prefix or is_run(pieces[-1]) else " "
    return f"{before}{pattern}{after}"


def _is_fact(node: Fact, facts: Facts) -> bool:
    if isinstance(node, Received):
        late_enough = node.from_ms is None or facts.received_ms >= node.from_ms
        return late_enough and (node.to_ms is None or facts.received_ms < node.to_ms)
    if isinstance(node, Is):
        return _in_state(node.state, facts.flags)
    if isinstance(node, Flagged):
        return node.flag.casefold() in map(str.casefold, facts.flags)
    if isinstance(node, HasAttachment):
        return facts.has_attachments
    if isinstance(node, Tagged):
        return node.tag in facts.tags
    return node.name == facts.mailbox


def _in_state(state: State, flags: Collection[str]) -> bool:
    if state is State.UNREAD:
        return SEEN not in flags
    wanted = {State.READ: SEEN, State.FLAGGED: FLAGGED, State.ANSWERED: ANSWERED, State.DRAFT: DRAFT}
    return wanted[state] in flags
