"""The same rows through the bare driver: what MaiRust committed for a message, committed again by hand.

A mirror starts as a copy of a site's database. ``look`` finds, outside any measured time, the rows in which
the site is ahead; ``write`` commits exactly these in one transaction. So the floor that latency is judged by
follows the schema and the committer by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

INSERTED = ("blob", "content", "trace", "message", "thread_key", "index_queue", "placement")
"""Tables that get rows of their own, in the order of their references."""

REPLACED = frozenset({"thread_key"})
"""Of these, some rows were there before and are newer now."""

COUNTED = {"mailbox": ("uidnext", "messages", "unseen"), "account": ("used_bytes", "messages", "modseq")}
"""Rows that only change: columns updated by id, the account last (rule A2)."""

PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "wal_autocheckpoint=0")


@dataclass(frozen=True, slots=True)
class Ahead:
    """Statements with their rows, ready to run."""

    statements: Sequence[tuple[str, Sequence[tuple[Any, ...]]]]

    @property
    def rows(self) -> int:
        """How many rows there are to write."""
        return sum(len(rows) for _, rows in self.statements)


class Mirror:
    """One bare connection to the copy, with the site's own database attached for reading."""

    def __init__(self, copy: Path, site: Path) -> None:
        import pysqlite3

        self._connection = pysqlite3.connect(f"file:{copy}", uri=True, isolation_level=None)
        for pragma in PRAGMAS:
            self._connection.execute(f"PRAGMA {pragma}")
        self._connection.execute("ATTACH ? AS site", (f"file:{site}?mode=ro",))

    def look(self) -> Ahead:
        """What the site holds more, or holds otherwise, than the copy."""
        statements = []
        for table in INSERTED:
            rows = self._fetch(f"SELECT * FROM site.{table} EXCEPT SELECT * FROM main.{table}")
            marks = ", ".join("?" * len(rows[0])) if rows else ""
            verb = "INSERT OR REPLACE" if table in REPLACED else "INSERT"
            statements.append((f"{verb} INTO {table} VALUES ({marks})", rows))
        for table, columns in COUNTED.items():
            listed = ", ".join((*columns, "id"))
            rows = self._fetch(f"SELECT {listed} FROM site.{table} EXCEPT SELECT {listed} FROM main.{table}")
            changes = ", ".join(f"{column} = ?" for column in columns)
            statements.append((f"UPDATE {table} SET {changes} WHERE id = ?", rows))
        return Ahead([(statement, rows) for statement, rows in statements if rows])

    def write(self, ahead: Ahead) -> None:
        """Commit it durably, in one transaction."""
        run = self._connection.execute
        run("BEGIN IMMEDIATE")
        for statement, rows in ahead.statements:
            for row in rows:
                run(statement, row)
        run("COMMIT")

    def _fetch(self, query: str) -> list[tuple[Any, ...]]:
        return list(self._connection.execute(query).fetchall())

    def close(self) -> None:
        """Close both databases."""
        self._connection.close()
