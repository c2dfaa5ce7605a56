"""The port of what narrows searches down, and the engine in memory that narrows nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from mairust_core.search.documents import Document, Key
from mairust_core.search.query import Node

if TYPE_CHECKING:
    from sqlalchemy import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A search of one account: what was received at or after `since_ms`, with a key before `before`.

    `wanted`: so many keys will be asked for at least, if there are as many.
    """

    tenant_id: int
    account_id: int
    query: Node
    since_ms: int
    before: Key
    wanted: int


Step = Callable[["Connection"], None]


class Engine(Protocol):
    """An index over documents. It may give what does not match, and never leaves out what might (rule J1).

    Who asks reads every text anyway; an engine only spares him those that cannot match. A document belongs
    to one account. Facts that change (mailbox, flags, tags) are none of its business. Thread-safe.
    """

    name: str

    def narrows(self, query: Node) -> bool:
        """Whether it knows better than to give every document."""
        ...

    def prepare(self, tenant_id: int, account_id: int, documents: Iterable[Document]) -> Sequence[Any]:
        """Do the long part of adding documents, outside of any transaction; may be given up after it.

        They come in the order of their keys, are taken one by one, and their texts are not kept.
        """
        ...

    def steps(self, prepared: Sequence[Any]) -> Iterator[Step]:
        """What can be written before, that nobody sees until `write`; in their order, each a transaction."""
        ...

    def write(self, tx: Connection, prepared: Sequence[Any]) -> None:
        """Add what `prepare` returned, in the transaction that takes it out of the queue; repeats safely."""
        ...

    def candidates(self, tx: Connection, asked: Asked) -> Iterator[Key]:
        """The keys of all documents that might match, newest first, found as they are asked for.

        Raises `Damaged` before a key that it might leave out: who asks goes on without the index.
        """
        ...


class MemoryEngine:
    """Keeps keys and gives them all: for tests, and the measure of every other engine."""

    name = "memory"

    def __init__(self) -> None:
        self._keys: dict[int, set[Key]] = {}

    def narrows(self, query: Node) -> bool:
        return True  # to what it was given

    def prepare(
        self, tenant_id: int, account_id: int, documents: Iterable[Document]
    ) -> Sequence[tuple[int, Key]]:
        return [(account_id, one.key) for one in documents]

    def steps(self, prepared: Sequence[tuple[int, Key]]) -> Iterator[Step]:
        return iter(())

    def write(self, tx: Connection, prepared: Sequence[tuple[int, Key]]) -> None:
        for account_id, key in prepared:
            self._keys.setdefault(account_id, set()).add(key)

    def candidates(self, tx: Connection, asked: Asked) -> Iterator[Key]:
        for key in sorted(self._keys.get(asked.account_id, ()), reverse=True):
            if key[0] >= asked.since_ms and key < asked.before:
                yield key
