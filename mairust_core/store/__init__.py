"""What is known: databases behind one port, tables, migrations, and queries by noun.

The two official databases pass the same tests; what differs lives in `sqlite.py` and `postgresql.py`.
The modules of queries load when they are first named, so that `services/`, which a remote command needs
too, never brings a database library with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from mairust_core.installed.drivers import provided

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine, Table

    from mairust_core.config import Settings
    from mairust_core.store import accounts as accounts
    from mairust_core.store import aliases as aliases
    from mairust_core.store import audits as audits
    from mairust_core.store import backups as backups
    from mairust_core.store import breakers as breakers
    from mairust_core.store import counting as counting
    from mairust_core.store import domains as domains
    from mairust_core.store import exporting as exporting
    from mairust_core.store import generations as generations
    from mairust_core.store import hook_calls as hook_calls
    from mairust_core.store import hooks as hooks
    from mairust_core.store import idempotency as idempotency
    from mairust_core.store import indexing as indexing
    from mairust_core.store import jobs as jobs
    from mairust_core.store import ledger as ledger
    from mairust_core.store import listing as listing
    from mairust_core.store import mailboxes as mailboxes
    from mairust_core.store import message_pages as message_pages
    from mairust_core.store import messages as messages
    from mairust_core.store import packages as packages
    from mairust_core.store import placements as placements
    from mairust_core.store import plugin_accesses as plugin_accesses
    from mairust_core.store import plugin_health as plugin_health
    from mairust_core.store import plugin_logs as plugin_logs
    from mairust_core.store import plugin_tokens as plugin_tokens
    from mairust_core.store import plugin_usage as plugin_usage
    from mairust_core.store import plugins as plugins
    from mairust_core.store import secrets as secrets
    from mairust_core.store import stories as stories
    from mairust_core.store import subscriptions as subscriptions
    from mairust_core.store import tokens as tokens
    from mairust_core.store import traces as traces
    from mairust_core.store import trash as trash
    from mairust_core.store import trust as trust
    from mairust_core.store import upkeeps as upkeeps

_QUERIES = frozenset(
    {
        "accounts",
        "aliases",
        "audits",
        "backups",
        "breakers",
        "counting",
        "domains",
        "exporting",
        "generations",
        "hook_calls",
        "hooks",
        "idempotency",
        "indexing",
        "jobs",
        "ledger",
        "listing",
        "mailboxes",
        "message_pages",
        "messages",
        "packages",
        "placements",
        "plugin_accesses",
        "plugin_health",
        "plugin_logs",
        "plugin_tokens",
        "plugin_usage",
        "plugins",
        "secrets",
        "stories",
        "subscriptions",
        "tokens",
        "traces",
        "trash",
        "trust",
        "upkeeps",
    }
)


def __getattr__(name: str) -> Any:
    if name in _QUERIES:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """How many connections one process has: the HTTP threads, the committer and a few timers share them."""

    size: int = 8
    """Kept open."""
    more: int = 32
    """Opened besides while all are in use."""
    wait_s: float = 10.0
    """How long a transaction waits for one of them."""


class StorageBackend(Protocol):
    """A database that keeps a site. Thread-safe; every transaction has its own connection."""

    name: str
    url: str
    engine: Engine
    skip_locked: str
    """What ends a SELECT that locks the rows it finds and passes over those that others have locked."""

    def read(self) -> AbstractContextManager[Connection]:
        """A connection for reading; everything read inside is one snapshot.

        Raises `StorageDown`, and `TooMany` when every connection of the pool stays in use.
        """
        ...

    def write(self) -> AbstractContextManager[Connection]:
        """One transaction: durable when the block ends, undone when it raises.

        Raises `StorageDown` when the database cannot be reached, `DiskFull` when it has no room, `Locked`
        when another writer holds it for too long, `TooMany` when every connection of the pool stays in use,
        `OutcomeUnknown` when COMMIT was sent and no result came; SQLAlchemy's `IntegrityError` and
        `DataError` for what a constraint or a type forbids.
        """
        ...

    def insert_rows(self, tx: Connection, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
        """Insert rows, values in the table's column order, the cheapest way the driver has."""
        ...

    def insert_together(self, tx: Connection, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
        """The same for a thread beside a busy event loop: in as few statements as there can be.

        After each of them it would have to wait for its turn at the interpreter, and others for its write.
        """
        ...

    def execute_many(self, tx: Connection, sql: str, rows: Sequence[tuple[Any, ...]]) -> None:
        """Run one statement (`?` marks the values) for each row, without reading results."""
        ...

    def upsert_ints(
        self, tx: Connection, table: str, columns: str, rows: Sequence[tuple[int, ...]], on_conflict: str
    ) -> None:
        """Insert rows of integers, with what to do about those that are there already (`ON CONFLICT …`)."""
        ...

    def fetch_by_ints(
        self, tx: Connection, table: str, columns: str, keys: Sequence[tuple[int, int]]
    ) -> list[tuple[Any, ...]]:
        """The rows that have one of `keys`, their primary key, in the first two `columns`; in no order."""
        ...

    def fetch_each(
        self, tx: Connection, sql: str, rows: Sequence[tuple[Any, ...]]
    ) -> list[tuple[Any, ...] | None]:
        """Run one statement for each row, in order; the first row that each returns, None where none came."""
        ...

    def fetch_all(self, tx: Connection, sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        """All rows of one statement (`?` marks the values)."""
        ...

    def pages(
        self, tx: Connection, sql: str, values: Sequence[Any], size: int
    ) -> Iterator[list[tuple[Any, ...]]]:
        """The rows of one statement, `size` at a time, however many there are; nothing else is held."""
        ...

    def now_ms(self, tx: Connection) -> int:
        """Milliseconds since 1970 by the database's clock, the one that all processes share (rule F3)."""
        ...

    def serialise(self, tx: Connection, name: str) -> None:
        """Wait until no other transaction that asked for this name is open; raises `Locked` after a while."""
        ...

    def alone(self, name: str) -> AbstractContextManager[Callable[[], None]]:
        """Be the only process of the site that does this; raises `Locked` at once when another one does.

        What it gives raises `Locked` where that is so no longer: a database that was away has let go.
        """
        ...

    def version(self, tx: Connection) -> str:
        """The version of SQLite, or of the server."""
        ...

    def size_bytes(self, tx: Connection) -> int:
        """What the database occupies on its disk."""
        ...

    def close(self) -> None:
        """Close every connection."""
        ...


@runtime_checkable
class InFile(Protocol):
    """A database in a file, which is made before anything connects to it."""

    def create_file(self) -> None:
        """Make the file durably where there is none."""
        ...


class Databases:
    """The databases that are ours, with a pool of this size."""

    def __init__(self, pool: Pool | None = None) -> None:
        self._pool = pool

    def open_storage(self, url: str) -> StorageBackend | None:
        """Our implementation of the specification of this name (`extend`)."""
        scheme = url.partition(":")[0]
        if scheme == "sqlite":
            from mairust_core.store.sqlite import Sqlite

            return Sqlite(url, self._pool)
        if scheme in {"postgresql", "postgres"}:
            from mairust_core.store.postgresql import Postgresql

            return Postgresql(url, self._pool)
        return None


def open_storage(
    url: str, pool: Pool | None = None, extensions: tuple[str, ...] | None = None
) -> StorageBackend:
    """The backend for `sqlite:///PATH`, `postgresql://…`, or what an extension knows.

    Nothing is created or connected yet. `extensions` as in `plugins.extensions`. Raises `BadConfig`.
    """
    return provided(Databases(pool).open_storage, StorageBackend, extensions, "database.url", url=url)


def storage_of(settings: Settings, pool: Pool | None = None) -> StorageBackend:
    """The backend for the database that the settings name; raises `BadConfig`."""
    return open_storage(settings.database.url, pool, settings.plugins.extensions)
