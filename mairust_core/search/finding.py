"""A page of hits: candidates newest first, each decided on its text and its row (rule J1).

What the index holds is narrowed by it; what it does not hold yet, and all while it is dropped or damaged,
is read.
A search that takes too long ends where it is, says so, and its cursor goes on from there.
"""

from __future__ import annotations

import heapq
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from mairust_core.errors import Damaged, NotFound
from mairust_core.model.flags import split
from mairust_core.model.principal import Principal
from mairust_core.model.search import Found, IndexMode
from mairust_core.search.documents import Extent, Key
from mairust_core.search.engine import Asked, Engine
from mairust_core.search.matching import matches
from mairust_core.search.query import Flagged, HasAttachment, InMailbox, Is, Node, Not, State, conjuncts, span
from mairust_core.search.query import mailboxes as mailboxes_of
from mairust_core.search.texts import read_text, stored_text
from mairust_core.store import indexing, mailboxes, messages
from mairust_core.store import searching as queries
from mairust_core.store.message_pages import find_account
from mairust_core.store.searching import LATEST, Narrow

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from mairust_core.app import Site
    from mairust_core.model.message import Summary
    from mairust_core.store.tables import AnyRow

BUDGET_S = 2.0
"""A search that took longer ends with what it has."""
SMALLEST_BATCH, LARGEST_BATCH = 8, 512
"""How many candidates are decided on at a time, after the first batch."""
PAGE = 64
"""How many keys of messages that are not indexed are read at first."""

log = logging.getLogger("mairust.search")

_FLAG_BITS = {State.READ: 1, State.UNREAD: 1, State.ANSWERED: 2, State.FLAGGED: 4, State.DRAFT: 16}


def find(
    site: Site,
    by: Principal,
    address: str,
    query: Node,
    cursor: str,
    limit: int,
    *,
    budget_s: float = BUDGET_S,
    clock: Callable[[], float] = time.monotonic,
) -> Found:
    """A page of an account's messages that match; everything read is of one moment.

    Raises `NotFound` for an account out of reach and for a mailbox that is not there, `Invalid` for a cursor
    that is none, `StorageDown`.
    """
    since_ms, until_ms = span(query)
    before = messages.parse_cursor(cursor) if cursor else LATEST
    deadline = clock() + budget_s
    with site.storage.read() as tx:
        account_id, shown = find_account(tx, by, address)
        _require_mailboxes(tx, account_id, shown, mailboxes_of(query))
        asked = Asked(
            tenant_id=by.tenant_id,
            account_id=account_id,
            query=query,
            since_ms=since_ms or 0,
            before=before if until_ms is None else min(before, (until_ms, 0)),
            wanted=limit + 1,
        )
        return _Search(site, tx, asked).page(limit, lambda: clock() > deadline)


def _require_mailboxes(tx: Connection, account_id: int, shown: str, names: set[str]) -> None:
    if names:
        missing = names - {one.name for one in mailboxes.all_of(tx, account_id)}
        if missing:
            raise NotFound("mailbox", name=min(missing), address=shown)


@dataclass(slots=True)
class _Page:
    """What was found so far; `last` is the key of the message looked at last."""

    hits: list[Summary]
    unsearched: int = 0
    seen: int = 0
    last: Key | None = None

    def next_size(self, wanted: int) -> int:
        """How many candidates are likely to hold the rest of the hits wanted."""
        if not self.seen:
            return wanted
        likely = (wanted - len(self.hits)) * self.seen // max(len(self.hits), 1)
        return min(max(2 * likely, SMALLEST_BATCH), 2 * self.seen, LARGEST_BATCH)


class _Search:
    def __init__(self, site: Site, tx: Connection, asked: Asked) -> None:
        self._site = site
        self._tx = tx
        self._asked = asked
        self._narrow = narrow(asked.query)
        self._conditions = queries.conditions(self._narrow)

    def page(self, limit: int, is_late: Callable[[], bool]) -> Found:
        """Up to `limit` hits; one more is looked for, to know whether there are more."""
        page = _Page(hits=[])
        late = False
        candidates = self._candidates()
        while len(page.hits) <= limit and not late:
            keys = list(islice(candidates, page.next_size(limit + 1)))
            if not keys:
                break
            late = self._look_at(keys, page, limit, is_late)
        cursor = None
        if len(page.hits) > limit:
            cursor = messages.make_cursor(page.hits[limit - 1])
        elif late and page.last is not None:
            cursor = messages.cursor_at(*page.last)
        return Found(
            items=tuple(page.hits[:limit]),
            next_cursor=cursor,
            complete=not page.unsearched and not late,
            unsearched=page.unsearched,
        )

    def _candidates(self) -> Iterator[Key]:
        mode = indexing.state(self._tx, self._asked.tenant_id).mode
        engine: Engine = self._site.engine
        if mode is not IndexMode.ON or not engine.narrows(self._asked.query):
            return self._pages(self._walk)
        return self._narrowed(engine)

    def _narrowed(self, engine: Engine) -> Iterator[Key]:
        """What the index gives; from where it is damaged on, everything."""
        last = self._asked.before
        indexed = engine.candidates(self._tx, self._asked)
        try:
            for last in heapq.merge(indexed, self._pages(self._tail), reverse=True):
                yield last
        except Damaged as error:
            log.warning("%s", error)
            yield from self._pages(self._walk, last)

    def _pages(self, fetch: Callable[[Key, int], list[Key]], before: Key | None = None) -> Iterator[Key]:
        before, size = before or self._asked.before, PAGE
        while True:
            keys = fetch(before, size)
            yield from keys
            if len(keys) < size:
                return
            before, size = keys[-1], min(2 * size, LARGEST_BATCH)

    def _tail(self, before: Key, limit: int) -> list[Key]:
        asked, storage = self._asked, self._site.storage
        return queries.tail(storage, self._tx, asked.account_id, asked.since_ms, before, limit)

    def _walk(self, before: Key, limit: int) -> list[Key]:
        asked = self._asked
        return queries.walk(self._tx, asked.account_id, self._narrow, asked.since_ms, before, limit)

    def _look_at(self, keys: Sequence[Key], page: _Page, limit: int, is_late: Callable[[], bool]) -> bool:
        """Decide about some candidates, in order; True when time is over before the last of them."""
        ids = [id_ for _, id_ in keys]
        rows = {
            row.id: row
            for row in messages.with_texts(
                self._site.storage, self._tx, self._asked.account_id, ids, self._conditions
            )
        }
        texts = self._texts(rows.values())
        for key in keys:
            if page.last is not None and is_late():
                return True
            page.last = key
            page.seen += 1
            row = rows.get(key[1])
            if row is None:
                continue
            extent, text = texts(row)
            answer = matches(self._asked.query, _RowFacts(row, text, extent))
            page.unsearched += answer is None
            if answer:
                page.hits.append(messages.summary_of(row))
                if len(page.hits) > limit:
                    break
        return False

    def _texts(self, rows: Iterable[AnyRow]) -> Callable[[AnyRow], tuple[Extent, str]]:
        """Gives the text of a row: as stored, or else made from the message when it is asked for."""
        lacking = [row.id for row in rows if row.text is None]
        originals = queries.originals(self._tx, lacking) if lacking else {}

        def text_of(row: AnyRow) -> tuple[Extent, str]:
            if row.id in originals:
                return read_text(self._site, originals[row.id])
            stored = stored_text(row.extent, row.text)
            return stored or read_text(self._site, queries.originals(self._tx, [row.id])[row.id])

        return text_of


class _RowFacts:
    """The facts in a row, each read when a query asks for it."""

    __slots__ = ("_row", "extent", "text")

    def __init__(self, row: AnyRow, text: str, extent: Extent) -> None:
        self._row = row
        self.text = text
        self.extent = extent

    @property
    def received_ms(self) -> int:
        return int(self._row.received_ms)

    @property
    def flags(self) -> tuple[str, ...]:
        return messages.flags_of(self._row)

    @property
    def tags(self) -> tuple[str, ...]:
        return messages.tags_of(self._row)

    @property
    def mailbox(self) -> str:
        return str(self._row.mailbox)

    @property
    def has_attachments(self) -> bool:
        return bool(self._row.has_attachments)


def narrow(query: Node) -> Narrow:
    """The conditions on rows that every hit of a query fulfils."""
    mailbox, has_attachments = None, None
    flags_set = flags_clear = 0
    for part in conjuncts(query):
        negated = isinstance(part, Not)
        fact = part.part if isinstance(part, Not) else part
        if isinstance(fact, Is):
            if (fact.state is State.UNREAD) is negated:
                flags_set |= _FLAG_BITS[fact.state]
            else:
                flags_clear |= _FLAG_BITS[fact.state]
        elif isinstance(fact, Flagged):
            bits, _ = split([fact.flag])
            if negated:
                flags_clear |= bits
            else:
                flags_set |= bits
        elif isinstance(fact, HasAttachment):
            has_attachments = not negated
        elif isinstance(fact, InMailbox) and not negated:
            mailbox = fact.name
    return Narrow(
        mailbox=mailbox, flags_set=flags_set, flags_clear=flags_clear, has_attachments=has_attachments
    )
