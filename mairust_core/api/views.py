"""A site as one request sees it: with a storage whose transactions are others than the site's own.

Each storage here stands in for a `StorageBackend`; what it does not say is the storage's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from mairust_core.app import Site
    from mairust_core.store import StorageBackend


def seen_through(site: Site, storage: Any) -> Site:
    """The site with another storage."""
    return cast("Site", _SiteView(site, storage))


class _SiteView:
    """What else is asked of a site goes to it."""

    def __init__(self, site: Site, storage: Any) -> None:
        self._site = site
        self.storage = storage

    def __getattr__(self, name: str) -> Any:
        return getattr(self._site, name)


class _StandIn:
    """What else is asked of a storage goes to it."""

    def __init__(self, storage: StorageBackend) -> None:
        self._storage = storage

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)


class OneTransaction(_StandIn):
    """A storage whose write transactions are parts of one, which begins with the first of them."""

    def __init__(self, storage: StorageBackend, begin: Callable[[Connection], None]) -> None:
        super().__init__(storage)
        self._begin = begin
        self._stack = ExitStack()
        self.tx: Connection | None = None

    def __enter__(self) -> OneTransaction:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return self._stack.__exit__(kind, error, trace)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A part of the transaction, undone alone when it raises."""
        if self.tx is None:
            self.tx = self._stack.enter_context(self._storage.write())
            self._begin(self.tx)
        with self.tx.begin_nested():
            yield self.tx

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """What the transaction sees, once it has begun."""
        if self.tx is not None:
            yield self.tx
            return
        with self._storage.read() as tx:
            yield tx


class Compared(_StandIn):
    """A storage whose first write transaction begins with a comparison."""

    def __init__(self, storage: StorageBackend, compare: Callable[[Connection], None]) -> None:
        super().__init__(storage)
        self._compare: Callable[[Connection], None] | None = compare

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A write transaction."""
        with self._storage.write() as tx:
            if self._compare is not None:
                self._compare(tx)
                self._compare = None
            yield tx


class Within(_StandIn):
    """A storage that reads what a transaction sees."""

    def __init__(self, storage: StorageBackend, tx: Connection) -> None:
        super().__init__(storage)
        self._tx = tx

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """The transaction."""
        yield self._tx
