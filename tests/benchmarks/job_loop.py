"""The reference of the benchmark ``jobs``: the plain loop anybody would write, by the bare driver.

A commit to take each job and one to end it. ``python -m tests.benchmarks.job_loop URL`` prints ``ready``,
waits for a line, and works until no job is left.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

SCHEMA = (
    "CREATE TABLE task (id BIGINT PRIMARY KEY, kind TEXT NOT NULL, payload TEXT NOT NULL,"
    " state TEXT NOT NULL)",
    "CREATE INDEX task_ready ON task (id) WHERE state = 'ready'",
)
INSERT = "INSERT INTO task VALUES (?, 'bare', '{}', 'ready')"
NEXT = "SELECT id FROM task WHERE state = 'ready' ORDER BY id LIMIT 1"
TAKE = "UPDATE task SET state = 'running' WHERE id = ({next}) RETURNING id, payload"
END = "UPDATE task SET state = 'done' WHERE id = ?"


class SqliteLoop:
    """One connection, WAL, ``synchronous=FULL``."""

    def __init__(self, path: str) -> None:
        import pysqlite3

        self.connection: Any = pysqlite3.connect(path, isolation_level=None, timeout=60)
        for pragma in ("journal_mode=WAL", "synchronous=FULL"):
            self.connection.execute(f"PRAGMA {pragma}")

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        """A cursor in a transaction."""
        self.connection.execute("BEGIN IMMEDIATE")
        yield self.connection
        self.connection.execute("COMMIT")

    take = TAKE.format(next=NEXT)
    end, insert = END, INSERT

    def close(self) -> None:
        """Close it."""
        self.connection.close()


class PostgresLoop:
    """One connection with the server's durable defaults, rows taken with SKIP LOCKED."""

    def __init__(self, url: str) -> None:
        import psycopg

        self.connection = psycopg.connect(url)

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        """A cursor in a transaction."""
        with self.connection.transaction(), self.connection.cursor() as cursor:
            yield cursor

    take = TAKE.format(next=f"{NEXT} FOR UPDATE SKIP LOCKED")
    end, insert = END.replace("?", "%s"), INSERT.replace("?", "%s")

    def close(self) -> None:
        """Close it."""
        self.connection.close()


def connect(url: str) -> SqliteLoop | PostgresLoop:
    """The loop of a database."""
    path = url.removeprefix("sqlite:///")
    return PostgresLoop(url) if path == url else SqliteLoop(path)


def fill(url: str, count: int) -> None:
    """Make the table with that many jobs in it."""
    with closing(connect(url)) as loop, loop.transaction() as cursor:
        for statement in SCHEMA:
            cursor.execute(statement)
        cursor.executemany(loop.insert, [(number,) for number in range(count)])


def empty(_: str) -> None:
    """The job."""


def work(url: str) -> None:
    """Take, do, end, until nothing is left."""
    with closing(connect(url)) as loop:
        print("ready", flush=True)
        sys.stdin.readline()
        while True:
            with loop.transaction() as cursor:
                row = cursor.execute(loop.take).fetchone()
            if row is None:
                return
            empty(row[1])
            with loop.transaction() as cursor:
                cursor.execute(loop.end, (row[0],))


if __name__ == "__main__":
    work(sys.argv[1])
