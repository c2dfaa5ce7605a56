"""Where the naive server keeps mail: one file per message, one commit per message.

SQLite (WAL, ``synchronous=FULL``) has one connection behind a lock; PostgreSQL one connection per thread, so
that its own group commit can work. Files of both lie in one directory per recipient's first letters, written
tmp → fsync → rename → fsync(directory), before the rows are committed.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email.parser import BytesHeaderParser
from pathlib import Path
from typing import Any, Protocol

SHARDS = 64
"""Directories of files: several, so that threads do not queue on one directory's lock."""

SCHEMA = (
    "CREATE TABLE mailbox (address TEXT PRIMARY KEY, uidnext INTEGER NOT NULL)",
    "CREATE TABLE message (id BIGINT PRIMARY KEY, path TEXT NOT NULL, sha256 TEXT NOT NULL,"
    " size INTEGER NOT NULL, mail_from TEXT NOT NULL, header_from TEXT NOT NULL, subject TEXT NOT NULL,"
    " message_id TEXT NOT NULL, received_at DOUBLE PRECISION NOT NULL)",
    "CREATE INDEX message_by_message_id ON message (message_id)",
    "CREATE TABLE placement (message BIGINT NOT NULL REFERENCES message (id), mailbox TEXT NOT NULL,"
    " uid INTEGER NOT NULL, PRIMARY KEY (mailbox, uid))",
)

ALLOCATE_UID = (
    "INSERT INTO mailbox (address, uidnext) VALUES (?, 2)"
    " ON CONFLICT (address) DO UPDATE SET uidnext = mailbox.uidnext + 1 RETURNING uidnext - 1"
)
INSERT_MESSAGE = "INSERT INTO message VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
INSERT_PLACEMENT = "INSERT INTO placement VALUES (?, ?, ?)"


@dataclass(frozen=True, slots=True)
class Envelopes:
    """Who sent a message and who gets it."""

    mail_from: str | None
    rcpt_tos: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is listed of a message; ``size`` in bytes."""

    sha256: str
    size: int
    header_from: str
    subject: str
    message_id: str


def describe(content: bytes) -> Facts:
    """Read the listed fields with the standard library's compat32 parser (header section only)."""
    headers = BytesHeaderParser().parsebytes(content)

    def field(name: str) -> str:
        return str(headers.get(name, "")).replace("\0", "").encode("utf-8", "replace").decode("utf-8")

    return Facts(
        sha256=hashlib.sha256(content).hexdigest(),
        size=len(content),
        header_from=field("From"),
        subject=field("Subject"),
        message_id=field("Message-ID"),
    )


class Rows(Protocol):
    """One database: commits the rows of one message, durably."""

    def commit(self, message: tuple[Any, ...], recipients: Sequence[str]) -> None:
        """Insert the message and one placement per recipient, UIDs allocated; return once it is synced."""

    def close(self) -> None:
        """Close every connection."""


class SqliteRows:
    """SQLite through pysqlite3: one connection, one writer at a time."""

    def __init__(self, path: Path) -> None:
        import pysqlite3

        self._lock = threading.Lock()
        self._connection = pysqlite3.connect(str(path), isolation_level=None, check_same_thread=False)
        for statement in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", *SCHEMA):
            self._connection.execute(statement)

    def commit(self, message: tuple[Any, ...], recipients: Sequence[str]) -> None:
        """As ``Rows``."""
        with self._lock:
            run = self._connection.execute
            run("BEGIN IMMEDIATE")
            try:
                run(INSERT_MESSAGE, message)
                for address in sorted(recipients):
                    ((uid,),) = run(ALLOCATE_UID, (address,)).fetchall()
                    run(INSERT_PLACEMENT, (message[0], address, uid))
                run("COMMIT")
            except BaseException:
                run("ROLLBACK")
                raise

    def close(self) -> None:
        """As ``Rows``."""
        self._connection.close()


class PostgresRows:
    """PostgreSQL through psycopg: one connection per thread of the pool."""

    def __init__(self, dsn: str) -> None:
        import psycopg

        self._dsn = dsn
        self._here = threading.local()
        self._all: list[psycopg.Connection[Any]] = []
        with psycopg.connect(dsn) as connection:
            for statement in SCHEMA:
                connection.execute(statement)

    def commit(self, message: tuple[Any, ...], recipients: Sequence[str]) -> None:
        """As ``Rows``; recipients sorted, so that two transactions never wait for each other."""
        connection = self._connection()
        with connection.transaction():
            connection.execute(INSERT_MESSAGE.replace("?", "%s"), message)
            for address in sorted(recipients):
                ((uid,),) = connection.execute(ALLOCATE_UID.replace("?", "%s"), (address,)).fetchall()
                connection.execute(INSERT_PLACEMENT.replace("?", "%s"), (message[0], address, uid))

    def _connection(self) -> Any:
        if not hasattr(self._here, "connection"):
            import psycopg

            self._here.connection = psycopg.connect(self._dsn, autocommit=True)
            self._all.append(self._here.connection)
        return self._here.connection

    def close(self) -> None:
        """As ``Rows``."""
        for connection in self._all:
            connection.close()


class NaiveStore:
    """One file and one commit per message; safe to call from many threads."""

    def __init__(self, directory: Path, rows: Rows) -> None:
        self._rows = rows
        self._numbers = itertools.count(time.time_ns() // 1000)
        self._shards = [directory / f"{number:02x}" for number in range(SHARDS)]
        for shard in self._shards:
            shard.mkdir(parents=True, exist_ok=True)

    def keep(self, envelope: Envelopes, content: bytes) -> None:
        """Describe, write and commit one message; return once all of it is durable."""
        self.commit(envelope, describe(content), self.write_file(content))

    def write_file(self, content: bytes) -> tuple[int, Path]:
        """Write one file durably: tmp, fsync, rename, fsync(directory). Returns its number and path."""
        number = next(self._numbers)
        shard = self._shards[number % SHARDS]
        temporary, path = shard / f".{number}.tmp", shard / f"{number}.eml"
        with open(temporary, "xb", buffering=0) as file:
            file.write(content)
            os.fsync(file.fileno())
        os.rename(temporary, path)
        directory = os.open(shard, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
        return number, path

    def commit(self, envelope: Envelopes, facts: Facts, written: tuple[int, Path]) -> None:
        """Commit the rows of one written message."""
        number, path = written
        listed = (facts.header_from, facts.subject, facts.message_id)
        row = (number, str(path), facts.sha256, facts.size, envelope.mail_from or "", *listed, time.time())
        self._rows.commit(row, envelope.rcpt_tos)


@contextlib.contextmanager
def open_store(directory: Path, database: str | None) -> Iterator[NaiveStore]:
    """Open a store with fresh tables: files in ``directory``, rows there too (SQLite) or at ``database``."""
    directory.mkdir(parents=True, exist_ok=True)
    rows: Rows = PostgresRows(database) if database else SqliteRows(directory / "naive.db")
    with contextlib.closing(rows):
        yield NaiveStore(directory / "mail", rows)
