"""`--limit`, `--cursor` and `--all`."""

from __future__ import annotations

from mairust_cli.listing import pages
from mairust_core.model.forms import DEFAULT_LIMIT, MAX_LIMIT, Page


class Shelf:
    """A list in pages of numbers, which remembers how it was asked."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.asked: list[tuple[str, int]] = []

    def fetch(self, cursor: str, limit: int) -> Page[int]:
        self.asked.append((cursor, limit))
        start = int(cursor or 0)
        end = min(start + limit, self.total)
        return Page(items=tuple(range(start, end)), next_cursor=str(end) if end < self.total else None)


def test_without_options_the_first_page_is_asked_for() -> None:
    """Its cursor is handed on."""
    shelf = Shelf(120)
    page = pages(shelf.fetch, None, None, False)
    assert shelf.asked == [("", DEFAULT_LIMIT)]
    assert (len(page.items), page.next_cursor) == (DEFAULT_LIMIT, str(DEFAULT_LIMIT))


def test_limit_and_cursor_are_handed_on() -> None:
    """Also a wrong limit: whoever answers refuses it."""
    shelf = Shelf(120)
    assert pages(shelf.fetch, 3, "10", False).items == (10, 11, 12)
    assert shelf.asked == [("10", 3)]


def test_all_follows_the_cursors_to_the_end() -> None:
    """One page comes of it, with every item and no cursor."""
    shelf = Shelf(1203)
    page = pages(shelf.fetch, None, None, True)
    assert page.items == tuple(range(1203))
    assert page.next_cursor is None
    assert shelf.asked == [("", MAX_LIMIT), ("500", MAX_LIMIT), ("1000", MAX_LIMIT)]


def test_all_of_an_empty_list_is_an_empty_page() -> None:
    """Nothing is asked for twice."""
    shelf = Shelf(0)
    assert pages(shelf.fetch, None, None, True) == Page(items=())
    assert len(shelf.asked) == 1
