"""PostgreSQL: the store for production, many processes and many machines.

Statements keep `?` for values as on SQLite; rows go in by COPY, or pipelined where they may conflict.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from functools import lru_cache
from hashlib import blake2b
from itertools import count
from typing import Any

import psycopg
import sqlalchemy.exc
from sqlalchemy import (
    BigInteger,
    Boolean,
    Connection,
    Engine,
    Integer,
    LargeBinary,
    RootTransaction,
    Table,
    create_engine,
)
from sqlalchemy.engine import make_url

from mairust_core.config.resources import hide_password
from mairust_core.errors import (
    BadConfig,
    DiskFull,
    Locked,
    MaiRustError,
    OutcomeUnknown,
    StorageDown,
    TooMany,
)
from mairust_core.store import Pool
from mairust_core.store.tables import blob_condemned, job_indexes, trace_message_id

CONNECT_TIMEOUT_S = 5
COPY_FROM_ROWS = 4
"""Below this many rows a pipelined INSERT costs less than COPY."""

_SESSION = (
    "SET synchronous_commit = on;"  # a 250 means stored, whatever the server's default
    "SET lock_timeout = '10s';"
    "SET idle_in_transaction_session_timeout = '60s'"
)
_SNAPSHOT = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
_TRANSIENT = (
    psycopg.errors.DeadlockDetected,
    psycopg.errors.SerializationFailure,
    psycopg.errors.LockNotAvailable,
)
_cursors = count()
_COPY_TYPES = {BigInteger: "int8", Integer: "int4", Boolean: "bool", LargeBinary: "bytea"}

for partial in (blob_condemned, trace_message_id, *job_indexes):
    partial.dialect_kwargs["postgresql_where"] = partial.dialect_kwargs["sqlite_where"]


class Postgresql:
    """A site in one PostgreSQL database."""

    name = "postgresql"
    skip_locked = " FOR UPDATE SKIP LOCKED"

    def __init__(self, url: str, pool: Pool | None = None) -> None:
        self.url = url
        try:
            target = make_url(url).set(drivername="postgresql+psycopg")
        except (sqlalchemy.exc.ArgumentError, ValueError) as error:
            raise BadConfig("database_scheme", scheme=hide_password(url)) from error
        self._target = target
        self.engine = self._make_engine(pool or Pool())

    def _make_engine(self, pool: Pool) -> Engine:
        return create_engine(
            self._target,
            pool_size=pool.size,
            max_overflow=pool.more,
            pool_timeout=pool.wait_s,
            pool_pre_ping=True,
            creator=self._connect,
        )

    def _connect(self) -> psycopg.Connection[Any]:
        conninfo = self._target.set(drivername="postgresql").render_as_string(hide_password=False)
        try:
            connection = psycopg.connect(conninfo, autocommit=True, connect_timeout=CONNECT_TIMEOUT_S)
            connection.execute(_SESSION)
        except psycopg.ProgrammingError as error:  # a parameter that it does not know
            raise BadConfig("database_parameters", url=self.shown_url, why=_why(error)) from None
        except psycopg.OperationalError as error:
            raise StorageDown("open", url=self.shown_url, why=_why(error)) from error
        connection.autocommit = False
        return connection

    @property
    def shown_url(self) -> str:
        """The URL without its passwords."""
        return hide_password(self.url)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        with (
            self._translated(),
            self.engine.connect() as connection,
            connection.execution_options(**_SNAPSHOT).begin(),
        ):
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        with self._translated(), self.engine.connect() as connection, connection.begin() as transaction:
            yield connection
            self._commit(transaction)

    def _commit(self, transaction: RootTransaction) -> None:
        try:
            transaction.commit()
        except sqlalchemy.exc.DBAPIError as error:
            if _transient(error.orig):
                raise
            raise OutcomeUnknown("commit", why=_why(error.orig)) from error

    def now_ms(self, tx: Connection) -> int:
        now = tx.exec_driver_sql("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint")
        return int(now.scalar_one())

    def serialise(self, tx: Connection, name: str) -> None:
        tx.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (_lock_key(name),))

    @contextmanager
    def alone(self, name: str) -> Iterator[Callable[[], None]]:
        with self._translated(), closing(self._connect()) as connection:
            connection.autocommit = True
            row = connection.execute("SELECT pg_try_advisory_lock(%s)", (_lock_key(name),)).fetchone()
            if row != (True,):
                raise Locked("task", name=name)

            def still() -> None:
                try:
                    connection.execute("SELECT 1")
                except psycopg.Error as error:  # and with the session its locks have ended
                    raise Locked("task", name=name) from error

            try:
                yield still
            finally:
                # the server lets go of a closed session's locks a moment later: too late for who comes next
                with suppress(psycopg.Error):  # with the session broken they end by themselves
                    connection.execute("SELECT pg_advisory_unlock(%s)", (_lock_key(name),))

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (sqlalchemy.exc.IntegrityError, sqlalchemy.exc.DataError):
            raise
        except psycopg.IntegrityError as error:
            raise sqlalchemy.exc.IntegrityError(None, None, error) from error
        except psycopg.DataError as error:
            raise sqlalchemy.exc.DataError(None, None, error) from error
        except sqlalchemy.exc.TimeoutError as error:
            raise TooMany("database") from error
        except sqlalchemy.exc.DBAPIError as error:
            if isinstance(error.orig, psycopg.errors.ProgramLimitExceeded):
                raise sqlalchemy.exc.DataError(None, None, error.orig) from error
            raise self._translate(error.orig) from error
        except psycopg.errors.ProgramLimitExceeded as error:  # of a row, which no index takes: no outage
            raise sqlalchemy.exc.DataError(None, None, error) from error
        except psycopg.Error as error:
            raise self._translate(error) from error

    def _translate(self, error: BaseException | None) -> MaiRustError:
        if _transient(error):
            return Locked("database", url=self.shown_url)
        if isinstance(error, psycopg.errors.DiskFull):
            return DiskFull("database", url=self.shown_url)
        return StorageDown("error", url=self.shown_url, why=_why(error))

    def insert_rows(self, tx: Connection, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
        if len(rows) < COPY_FROM_ROWS:
            self.execute_many(tx, _insert_sql(table), rows)
            return
        statement, types = _copy_sql(table)
        with _driver_connection(tx).cursor() as cursor, cursor.copy(statement) as copy:
            copy.set_types(types)
            for row in rows:
                copy.write_row(row)

    def insert_together(self, tx: Connection, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
        self.insert_rows(tx, table, rows)

    def execute_many(self, tx: Connection, sql: str, rows: Sequence[tuple[Any, ...]]) -> None:
        if rows:
            with _driver_connection(tx).cursor() as cursor:
                cursor.executemany(_marks(sql), rows)

    def upsert_ints(
        self, tx: Connection, table: str, columns: str, rows: Sequence[tuple[int, ...]], on_conflict: str
    ) -> None:
        """One statement with its integers written out: a tenth of the cost of one statement per row."""
        if rows:
            values = ", ".join(f"({', '.join(map(str, map(int, row)))})" for row in rows)
            with _driver_connection(tx).cursor() as cursor:
                cursor.execute(f"INSERT INTO {table} ({columns}) VALUES {values} {on_conflict}".encode())  # noqa: S608 - names and integers

    def fetch_by_ints(
        self, tx: Connection, table: str, columns: str, keys: Sequence[tuple[int, int]]
    ) -> list[tuple[Any, ...]]:
        """One statement with its integers written out, as `upsert_ints`."""
        if not keys:
            return []
        one, other = columns.split(", ")[:2]
        values = ", ".join(f"({int(a)}, {int(b)})" for a, b in keys)
        asked = f"(VALUES {values}) AS asked (a, b)"
        sql = f"SELECT {columns} FROM {table} JOIN {asked} ON {one} = a AND {other} = b"  # noqa: S608 - names and integers
        with _driver_connection(tx).cursor() as cursor:
            return cursor.execute(sql.encode(), prepare=False).fetchall()

    def fetch_each(
        self, tx: Connection, sql: str, rows: Sequence[tuple[Any, ...]]
    ) -> list[tuple[Any, ...] | None]:
        if not rows:
            return []
        found: list[tuple[Any, ...] | None] = []
        with _driver_connection(tx).cursor() as cursor:
            cursor.executemany(_marks(sql), rows, returning=True)
            found.append(cursor.fetchone())
            while cursor.nextset():
                found.append(cursor.fetchone())
        return found

    def fetch_all(self, tx: Connection, sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        with _driver_connection(tx).cursor() as cursor:
            return cursor.execute(_marks(sql), values).fetchall()

    def pages(
        self, tx: Connection, sql: str, values: Sequence[Any], size: int
    ) -> Iterator[list[tuple[Any, ...]]]:
        name = f"pages_{next(_cursors)}"  # a cursor of the server's: it hands out as much as is asked for
        with _driver_connection(tx).cursor(name=name) as cursor:
            cursor.execute(_marks(sql), values)
            while rows := cursor.fetchmany(size):
                yield rows

    def version(self, tx: Connection) -> str:
        return str(tx.exec_driver_sql("SHOW server_version").scalar_one())

    def size_bytes(self, tx: Connection) -> int:
        return int(tx.exec_driver_sql("SELECT pg_database_size(current_database())").scalar_one())

    def close(self) -> None:
        self.engine.dispose()


def _lock_key(name: str) -> int:
    return int.from_bytes(blake2b(f"mairust:{name}".encode(), digest_size=8).digest()) >> 1


def _why(error: BaseException | None) -> str:
    """What the driver says, in one line: it uses several, and in a log each would be a matter of its own."""
    return " ".join(str(error).split()).rstrip(".")


def _transient(error: BaseException | None) -> bool:
    return isinstance(error, _TRANSIENT)


def _driver_connection(tx: Connection) -> psycopg.Connection[Any]:
    connection = tx.connection.driver_connection
    assert isinstance(connection, psycopg.Connection)
    return connection


@lru_cache(maxsize=256)
def _marks(sql: str) -> str:
    return sql.replace("%", "%%").replace("?", "%s")


@lru_cache(maxsize=64)
def _insert_sql(table: Table) -> str:
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    marks = ", ".join("?" * len(table.columns))
    return f'INSERT INTO "{table.name}" ({names}) VALUES ({marks})'  # noqa: S608 - names are ours


@lru_cache(maxsize=64)
def _copy_sql(table: Table) -> tuple[str, list[str]]:
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    types = [_COPY_TYPES.get(_base_type(column.type), "text") for column in table.columns]
    return f'COPY "{table.name}" ({names}) FROM STDIN (FORMAT BINARY)', types


def _base_type(kind: Any) -> type:
    return next((base for base in type(kind).__mro__ if base in _COPY_TYPES), type(kind))
