"""Searches and their index, as the API and the CLI show them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from mairust_core.errors import Unreachable
from mairust_core.model.forms import Page, Unset, request, unset, wire_names
from mairust_core.model.message import Summary


class IndexMode(StrEnum):
    """What the index holds of a site's mail."""

    ON = "on"
    OFF = "off"
    """Dropped: nothing, and searches read texts."""
    FILLING = "filling"
    """All mail is being queued again, and searches read texts until it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found(Page[Summary]):
    """A page of hits, newest first, exact as far as it is `complete` (rule J1).

    Complete: every hit from the cursor on to the end of the page is there; without a `next_cursor`, all are.
    Otherwise time ran out, and `next_cursor` goes on from there; or there are `unsearched` messages among
    them whose text could not be read to its end and might match.
    """

    items: tuple[Summary, ...]
    complete: bool
    unsearched: int


@wire_names
@dataclass(frozen=True, slots=True, kw_only=True)
class Listed(Page[Summary]):
    """A page of a list that may have been searched: then it says what `Found` says of itself."""

    items: tuple[Summary, ...]
    complete: bool | Unset = field(default_factory=unset)
    unsearched: int | Unset = field(default_factory=unset)

    @classmethod
    def of(cls, found: Found) -> Listed:
        """What a search in the list found."""
        return cls(
            items=found.items,
            next_cursor=found.next_cursor,
            complete=found.complete,
            unsearched=found.unsearched,
        )

    def found(self) -> Found:
        """What a search in the list found, of one that was searched.

        Raises `Unreachable` when it does not say so: then what answered knows of no search in a list.
        """
        if isinstance(self.complete, Unset) or isinstance(self.unsearched, Unset):
            raise Unreachable("unsearched")
        return Found(
            items=self.items,
            next_cursor=self.next_cursor,
            complete=self.complete,
            unsearched=self.unsearched,
        )


@request
@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuild:
    """What to index anew: the mail of one account, by its address, or of the whole site."""

    account: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexStatus:
    """What is indexed.

    `documents` are indexed messages, `queued` those that are not yet, `stale` the parts of the index that a
    rebuild has not reached yet, `partial` the messages whose text could not be read to its end. Bytes are
    those of the texts indexed, in UTF-8, and of what the index keeps of them.
    """

    engine: str
    mode: IndexMode
    documents: int
    queued: int
    segments: int
    stale: int
    partial: int
    text_bytes: int
    index_bytes: int
