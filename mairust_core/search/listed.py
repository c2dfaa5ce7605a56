"""A search within a list: what the list's filters ask for, said in the words of a search."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from mairust_core.ids import to_ms
from mairust_core.model.message_change import MessageFilter
from mairust_core.search.query import All, Flagged, InMailbox, Node, Not, Received, Tagged, conjuncts


def within(wanted: MessageFilter, query: Node) -> Node:
    """What matches the query and fits the filter, which is not of deleted messages."""
    return All((*conjuncts(query), *_conditions(wanted)))


def _conditions(wanted: MessageFilter) -> Iterator[Node]:
    if wanted.mailbox:
        yield InMailbox(wanted.mailbox)
    if wanted.tag:
        yield Tagged(wanted.tag)
    if wanted.flag:
        yield Flagged(wanted.flag)
    if wanted.unflag:
        yield Not(Flagged(wanted.unflag))
    if wanted.since is not None or wanted.before is not None:
        yield Received(from_ms=_ms(wanted.since), to_ms=_ms(wanted.before))


def _ms(at: datetime | None) -> int | None:
    return None if at is None else to_ms(at)
