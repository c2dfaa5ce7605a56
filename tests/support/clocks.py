"""A database whose clock can be set: on SQLite through its port, on PostgreSQL by a function of its own."""

from __future__ import annotations

from mairust_core.ids import now_ms
from mairust_core.store.sqlite import Sqlite
from tests.support.stores import Kit

_SHADOW = (
    "CREATE SCHEMA shadow",
    "CREATE TABLE shadow.shift (by_ms bigint NOT NULL)",
    "INSERT INTO shadow.shift VALUES (0)",
    "CREATE FUNCTION shadow.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS"
    " $$SELECT pg_catalog.clock_timestamp() + (SELECT by_ms FROM shadow.shift) * interval '1 millisecond'$$",
)


class Clock:
    """The clock of a kit's database, shifted against the true one."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        if not isinstance(kit.storage, Sqlite):
            for statement in _SHADOW:
                kit.run(statement)
            [(name,)] = kit.rows("SELECT current_database()")
            kit.run(f'ALTER DATABASE "{name}" SET search_path = shadow, public, pg_catalog')
            kit.storage.engine.dispose()  # connections made from now on see it

    def set(self, at_ms: int) -> None:
        """Set it to a moment, from which it goes on."""
        self.shift(at_ms - now_ms())

    def shift(self, by_ms: int) -> None:
        """Set it so far ahead of the true time; negative: behind."""
        if isinstance(self._kit.storage, Sqlite):
            self._kit.storage.clock = lambda: now_ms() + by_ms
        else:
            self._kit.run("UPDATE shadow.shift SET by_ms = ?", by_ms)
