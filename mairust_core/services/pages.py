"""Pages of lists: so many items, and the cursor after which the next page begins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from mairust_core.errors import Invalid
from mairust_core.model.forms import MAX_LIMIT, Page

T = TypeVar("T")


def limited(limit: int) -> int:
    """The limit itself; raises `Invalid` outside 1…500."""
    if not 1 <= limit <= MAX_LIMIT:
        raise Invalid("limit", "page_size", value=limit, limit=MAX_LIMIT)
    return limit


def cut(found: Sequence[T], limit: int, cursor: Callable[[T], str]) -> Page[T]:
    """The page of `limit` items out of up to one more, whose presence means that there is a next page."""
    items = tuple(found[:limit])
    return Page(items=items, next_cursor=cursor(items[-1]) if len(found) > limit else None)
