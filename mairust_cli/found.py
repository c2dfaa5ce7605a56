"""What a search found, printed: alike for `search` and for a list that is searched."""

from __future__ import annotations

from collections.abc import Callable

from mairust_cli.output import Columns
from mairust_cli.session import Session
from mairust_core.i18n import say
from mairust_core.model.forms import DEFAULT_LIMIT, MAX_LIMIT
from mairust_core.model.message import Summary
from mairust_core.model.search import Found

Fetch = Callable[[str, int], Found]
"""Gives the page after a cursor, of at most so many."""


def print_found(
    session: Session,
    columns: Columns[Summary],
    fetch: Fetch,
    *,
    limit: int | None,
    cursor: str | None,
    all_: bool,
) -> None:
    """Print the page asked for, or with `all_` everything, and a note where something may be lacking."""
    if all_:
        found = _everything(fetch, cursor, limit)
    else:
        found = fetch(cursor or "", DEFAULT_LIMIT if limit is None else limit)
    session.output.page(found, columns)
    lang = session.output.lang
    if found.unsearched:
        session.output.note(say("search.unsearched", lang, count=found.unsearched))
    elif not found.complete:
        session.output.note(say("search.late", lang, cursor=found.next_cursor))


def _everything(fetch: Fetch, cursor: str | None, limit: int | None) -> Found:
    """One page of all pages; a page that ran out of time is only the beginning of the next one."""
    items: list[Summary] = []
    unsearched = 0
    after: str | None = cursor or ""
    while after is not None:
        page = fetch(after, MAX_LIMIT if limit is None else limit)
        items += page.items
        unsearched += page.unsearched
        after = page.next_cursor
    return Found(items=tuple(items), complete=not unsearched, unsearched=unsearched)
