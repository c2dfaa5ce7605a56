"""`--limit`, `--cursor` and `--all` of every list."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, TypeVar

import typer

from mairust_core.model.forms import DEFAULT_LIMIT, MAX_LIMIT, Page

T = TypeVar("T")

Limit = Annotated[
    int | None,
    typer.Option(
        "--limit", metavar="N", help=f"Print at most N items, 1 to {MAX_LIMIT} (default {DEFAULT_LIMIT})."
    ),
]
Cursor = Annotated[
    str | None,
    typer.Option("--cursor", metavar="C", help="Continue after the page that ended with cursor C."),
]
All = Annotated[bool, typer.Option("--all", help="Print every item.")]


def pages(fetch: Callable[[str, int], Page[T]], limit: int | None, cursor: str | None, all_: bool) -> Page[T]:
    """The page asked for, or with `all_` one page of everything; `fetch` takes cursor and limit."""
    if not all_:
        return fetch(cursor or "", DEFAULT_LIMIT if limit is None else limit)
    items: list[T] = []
    after: str | None = cursor or ""
    while after is not None:
        page = fetch(after, MAX_LIMIT if limit is None else limit)
        items += page.items
        after = page.next_cursor
    return Page(items=tuple(items))
