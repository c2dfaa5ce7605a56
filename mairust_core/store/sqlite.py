"""SQLite: the embedded store (rules D1, D2).

Every writer, in any process, holds `write.lock` beside the database from BEGIN IMMEDIATE to COMMIT, and
so does the checkpoint: no two connections ever write or checkpoint at the same time.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import chain
from math import inf
from pathlib import Path
from typing import Any

import sqlalchemy.exc
from sqlalchemy import Connection, Engine, Table, create_engine, event
from sqlalchemy.pool import QueuePool

from mairust_core.disk import is_mounted_read_only
from mairust_core.durable import sync_directory
from mairust_core.errors import (
    BadConfig,
    Damaged,
    DiskFull,
    Locked,
    MaiRustError,
    OutcomeUnknown,
    StorageDown,
    TooMany,
)
from mairust_core.ids import now_ms
from mairust_core.store import Pool
from mairust_core.store.sqlite_driver import driver as driver

FIXED_VERSIONS = ((3, 51, 3), (3, 50, 7), (3, 44, 6))  # the WAL-reset corruption is mended from these on
CHECKPOINT_BYTES = 16 << 20
LOG_BYTES = 64 << 20
"""What the log's file may keep: a long reader lets it grow beyond."""
PAGE_BYTES = 4096
NOOP_CHECKPOINT = (3, 51, 0)
"""From here on SQLite tells the length of its log without a checkpoint."""
COMMITS_BETWEEN_CHECKPOINTS = 64
LOCK_TIMEOUT_S = 10.0
MAX_FAULTS = 10
_DAMAGED = (11, 26)  # SQLITE_CORRUPT, SQLITE_NOTADB
_SHUT = (3, 8)  # SQLITE_PERM, SQLITE_READONLY
_CANNOT_OPEN = 14
MAX_VALUES = 8000
"""In one statement; SQLite takes four times as many."""
_SMALL_CACHE = "PRAGMA cache_size=-2000"
_LARGE_CACHE = "PRAGMA cache_size=-16000"
"""For writers: what they change stays out of the log until they commit. Readers are many."""
_PATIENCE = "PRAGMA busy_timeout=10000"
_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA wal_autocheckpoint=0",
    "PRAGMA foreign_keys=ON",
    _PATIENCE,
    f"PRAGMA journal_size_limit={LOG_BYTES}",
    _SMALL_CACHE,
    "PRAGMA temp_store=MEMORY",
)

log = logging.getLogger("mairust.store")


def corruption_fixed(version: tuple[int, ...]) -> bool:
    """True when this SQLite cannot corrupt a WAL database by itself (rule D1)."""
    if version >= (3, 51):
        return version >= FIXED_VERSIONS[0]
    return any(version[:2] == fixed[:2] and version >= fixed for fixed in FIXED_VERSIONS)


class Sqlite:
    """A site in one SQLite file."""

    name = "sqlite"
    skip_locked = ""  # every writer is alone anyway

    def __init__(self, url: str, pool: Pool | None = None) -> None:
        path = url.removeprefix("sqlite:///")
        if path == url or not path:
            raise BadConfig("database_scheme", scheme=url.partition(":")[0])
        self.url = url
        self.path = Path(path)
        self._driver = driver()
        self.engine = self._make_engine(pool or Pool())
        self._lock = _WriteLock(self.path.with_name("write.lock"))
        self._wal = f"{self.path}-wal"
        self._file: tuple[int, int] | None = None
        """Device and inode of what is open: the path may come to lead elsewhere, or nowhere."""
        self._commits = 0
        self.clock: Callable[[], int] = now_ms

    @property
    def is_safe(self) -> bool:
        """Whether this SQLite needs no lock of ours against corruption (rule D1)."""
        return corruption_fixed(self._driver.sqlite_version_info)

    def _make_engine(self, pool: Pool) -> Engine:
        engine = create_engine(
            "sqlite+pysqlite://",
            module=self._driver,
            creator=self._connect,
            poolclass=QueuePool,
            pool_size=pool.size,
            max_overflow=pool.more,
            pool_timeout=pool.wait_s,
        )
        event.listen(engine, "begin", _begin)
        return engine

    def _connect(self) -> Any:
        before = self._require_same_file()
        try:
            uri = self.path.absolute().as_uri() + "?mode=rw"
            connection = self._driver.connect(
                uri, uri=True, isolation_level=None, check_same_thread=False, timeout=10
            )
        except self._driver.OperationalError as error:
            raise self._unopened(error) from error
        for pragma in _PRAGMAS:
            connection.execute(pragma)
        self._file = self._file or before
        return connection

    def _require_same_file(self) -> tuple[int, int] | None:
        """Where the path leads; raises `StorageDown` unless that is still the file that is open.

        What is written to a file that was deleted or replaced is gone as soon as this process ends.
        """
        try:
            status = os.stat(self.path)
            found = status.st_dev, status.st_ino
        except (FileNotFoundError, NotADirectoryError):
            found = None  # where nobody has opened it, SQLite says why not
        except OSError as error:
            raise self._shut(str(error.strerror)) from error
        if self._file not in (None, found):
            raise StorageDown("replaced", path=self.path)
        return found

    def _unopened(self, error: Exception) -> StorageDown:
        if is_mounted_read_only(self.path.parent):
            return self._mounted_read_only()
        shut = self.path.exists() and not os.access(self.path, os.R_OK | os.W_OK)
        return self._shut(os.strerror(errno.EACCES) if shut else str(error))

    def _shut(self, why: str) -> StorageDown:
        return StorageDown("open_file", path=self.path, directory=self.path.parent, why=why)

    def _mounted_read_only(self) -> StorageDown:
        return StorageDown("mounted_read_only", path=self.path, directory=self.path.parent)

    def create_file(self) -> None:
        """Create the empty database file, readable by its owner only, durable with its directory."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        except FileExistsError:
            return
        sync_directory(self.path.parent)

    # BEGIN and COMMIT go to the driver: SQLAlchemy's own cost four times what SQLite's do. What is asked of
    # it inside begins a transaction of its own making, for which `_begin` finds this one.

    @contextmanager
    def read(self) -> Iterator[Connection]:
        with self._translated(), self.engine.connect() as connection:
            self._require_same_file()
            _set_cache(connection, _SMALL_CACHE)
            connection.connection.cursor().execute("BEGIN")
            yield connection  # giving the connection back to its pool ends the transaction

    @contextmanager
    def write(self) -> Iterator[Connection]:
        with self._translated(), self.engine.connect() as connection, self._lock.held():
            self._require_same_file()
            _set_cache(connection, _LARGE_CACHE)
            cursor = connection.connection.cursor()
            cursor.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                self._commit(cursor)
            except BaseException as error:
                connection.connection.rollback()
                if isinstance(error, OutcomeUnknown):
                    self._overwrite_tail(connection)
                raise
            self._checkpoint_when_due(connection)

    def _commit(self, cursor: Any) -> None:
        try:
            cursor.execute("COMMIT")
        except self._driver.DatabaseError as error:
            if "disk is full" in str(error):  # the log ends before the commit's frame: not committed
                raise
            # a failed sync leaves frames in the log that recovery may still find whole (rule C4)
            raise OutcomeUnknown("commit", why=error) from error

    def _overwrite_tail(self, connection: Connection) -> None:
        """Put another transaction where the log still holds one whose sync failed.

        Otherwise a crash now would bring back, whole, what is refused a moment later.
        """
        cursor = connection.connection.cursor()
        try:
            cursor.execute("BEGIN IMMEDIATE")
            (number,) = cursor.execute("PRAGMA user_version").fetchone()
            cursor.execute(f"PRAGMA user_version={(number + 1) % (1 << 31)}")
            cursor.execute("COMMIT")
        except self._driver.DatabaseError as error:
            log.error("the log of %s may end in a transaction that was refused: %s", self.path, error)
            connection.invalidate()
        finally:
            cursor.close()

    def _checkpoint_when_due(self, connection: Connection) -> None:
        cursor = connection.connection.cursor()
        try:
            if self._log_bytes(cursor) >= CHECKPOINT_BYTES:
                cursor.execute("PRAGMA wal_checkpoint(PASSIVE)")
                self._commits = 0
        except self._driver.DatabaseError as error:  # the commit before it stands, whatever becomes of this
            log.warning("checkpoint of %s failed, a later commit tries again: %s", self.path, error)
        finally:
            cursor.close()

    def shorten_log(self) -> None:
        """Empty the log and its file, where that grew long and nobody reads from it; waits for no reader."""
        with suppress(FileNotFoundError):
            if os.stat(self._wal).st_size <= LOG_BYTES:
                return
        with self._translated(), self.engine.connect() as connection, self._lock.held():
            cursor = connection.connection.cursor()
            cursor.execute("PRAGMA busy_timeout=0")
            try:
                cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            finally:
                cursor.execute(_PATIENCE)

    def _log_bytes(self, cursor: Any) -> int:
        """What the write-ahead log holds that is not in the database yet.

        The log's file keeps its size when it begins anew, so that its size says little. Never open the
        database, the log or its index with anything but SQLite: closing them again would drop this process's
        POSIX locks (https://sqlite.org/howtocorrupt.html, section 2.2).
        """
        if self._driver.sqlite_version_info >= NOOP_CHECKPOINT:
            _, frames, saved = cursor.execute("PRAGMA wal_checkpoint(NOOP)").fetchone()
            return max(int(frames) - int(saved), 0) * PAGE_BYTES
        self._commits += 1
        if self._commits < COMMITS_BETWEEN_CHECKPOINTS:
            return 0
        try:
            return os.stat(self._wal).st_size
        except FileNotFoundError:
            return 0

    def now_ms(self, tx: Connection) -> int:
        """All processes of a database in WAL mode are on one machine, whose clock this is."""
        return self.clock()

    def serialise(self, tx: Connection, name: str) -> None:
        """Nothing to do: every writer is alone anyway."""

    @contextmanager
    def alone(self, name: str) -> Iterator[Callable[[], None]]:
        path = self.path.with_name(f"{name}.lock")
        try:
            fd = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StorageDown("lock_file", path=path, why=error.strerror) from error
        try:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise Locked("task", name=name) from error
            yield _is_held
        finally:
            os.close(fd)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (sqlalchemy.exc.IntegrityError, sqlalchemy.exc.DataError):
            raise
        except sqlalchemy.exc.TimeoutError as error:
            raise TooMany("database") from error
        except (sqlalchemy.exc.DatabaseError, self._driver.DatabaseError) as error:
            raise self._translate(error) from error

    def _translate(self, error: Exception) -> MaiRustError:
        cause = getattr(error, "orig", error)
        text, code = str(cause), getattr(cause, "sqlite_errorcode", 0) & 0xFF
        if code in _DAMAGED:
            return Damaged("database", path=self.path, why=text)
        if code in (*_SHUT, _CANNOT_OPEN) and is_mounted_read_only(self.path.parent):
            return self._mounted_read_only()
        if code in _SHUT:
            return StorageDown("read_only", path=self.path, directory=self.path.parent, why=text)
        if "disk is full" in text:
            return DiskFull("database", url=self.url)
        if "locked" in text:
            return Locked("database", url=self.url)
        return StorageDown("error", url=self.url, why=text)

    def insert_rows(self, tx: Connection, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
        if rows:
            self.execute_many(tx, f"{_insert_into(table)} {_marks_of(table)}", rows)

    def insert_together(self, tx: Connection, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
        most = MAX_VALUES // len(table.columns)
        for at in range(0, len(rows), most):
            some = rows[at : at + most]
            sql = f"{_insert_into(table)} {', '.join([_marks_of(table)] * len(some))}"
            self.execute_many(tx, sql, [tuple(chain.from_iterable(some))])

    def execute_many(self, tx: Connection, sql: str, rows: Sequence[tuple[Any, ...]]) -> None:
        if rows:
            with self._integrity():
                tx.connection.cursor().executemany(sql, rows)

    def upsert_ints(
        self, tx: Connection, table: str, columns: str, rows: Sequence[tuple[int, ...]], on_conflict: str
    ) -> None:
        if rows:
            marks = ", ".join("?" * len(rows[0]))
            self.execute_many(tx, f"INSERT INTO {table} ({columns}) VALUES ({marks}) {on_conflict}", rows)  # noqa: S608 - names are ours

    def fetch_by_ints(
        self, tx: Connection, table: str, columns: str, keys: Sequence[tuple[int, int]]
    ) -> list[tuple[Any, ...]]:
        one, other = columns.split(", ")[:2]
        found = self.fetch_each(tx, f"SELECT {columns} FROM {table} WHERE {one} = ? AND {other} = ?", keys)  # noqa: S608 - names are ours
        return [row for row in found if row is not None]

    def fetch_each(
        self, tx: Connection, sql: str, rows: Sequence[tuple[Any, ...]]
    ) -> list[tuple[Any, ...] | None]:
        cursor = tx.connection.cursor()
        with self._integrity():
            # fetchall runs a RETURNING statement to its end; one fetched row would leave it open
            return [next(iter(cursor.execute(sql, row).fetchall()), None) for row in rows]

    def fetch_all(self, tx: Connection, sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        cursor = tx.connection.cursor()
        cursor.execute(sql, tuple(values))
        return list(cursor.fetchall())

    def pages(
        self, tx: Connection, sql: str, values: Sequence[Any], size: int
    ) -> Iterator[list[tuple[Any, ...]]]:
        cursor = tx.connection.cursor()
        cursor.execute(sql, tuple(values))
        while rows := list(cursor.fetchmany(size)):
            yield rows

    @contextmanager
    def _integrity(self) -> Iterator[None]:
        try:
            yield
        except self._driver.IntegrityError as error:
            raise sqlalchemy.exc.IntegrityError(None, None, error) from error
        except self._driver.DataError as error:
            raise sqlalchemy.exc.DataError(None, None, error) from error

    def faults(self, tx: Connection, limit_s: float = inf) -> list[str]:
        """What is wrong with the file, at most ten lines; nothing more is looked for after `limit_s`.

        Reads all of it, but for what indexes say of tables.
        """
        connection: Any = tx.connection.driver_connection
        deadline = time.monotonic() + limit_s
        connection.set_progress_handler(lambda: time.monotonic() > deadline, 100_000)
        try:
            rows = connection.execute(f"PRAGMA quick_check({MAX_FAULTS})").fetchall()
        except self._driver.OperationalError as error:
            if "interrupted" not in str(error):
                raise
            return []
        except self._driver.DatabaseError as error:
            return [str(error)]
        finally:
            connection.set_progress_handler(None, 0)
        return [str(row[0]) for row in rows if row[0] != "ok"]

    def try_write(self) -> None:
        """Begin what a writer begins, and undo it; raises what `write` would."""
        with self._translated(), self.engine.connect() as connection, self._lock.held():
            cursor = connection.connection.cursor()
            cursor.execute("BEGIN IMMEDIATE")
            cursor.execute("ROLLBACK")

    @property
    def files(self) -> tuple[Path, ...]:
        """What every writer needs to write to, where it is there."""
        beside = (Path(f"{self.path}{suffix}") for suffix in ("-wal", "-shm"))
        return self.path.parent, self.path, *beside, self._lock.path

    def version(self, tx: Connection) -> str:
        return str(self._driver.sqlite_version)

    def size_bytes(self, tx: Connection) -> int:
        found = 0
        for path in (str(self.path), self._wal):
            with suppress(FileNotFoundError):
                found += os.stat(path).st_size
        return found

    def close(self) -> None:
        self.engine.dispose()
        self._lock.close()


def _is_held() -> None:
    """A lock on a file ends with the process that has it."""


def _begin(connection: Connection) -> None:
    if not connection.connection.driver_connection.in_transaction:  # type: ignore[union-attr]  # it is open
        connection.exec_driver_sql("BEGIN")


def _set_cache(connection: Connection, pragma: str) -> None:
    """Let a connection keep so many pages; it drops what is beyond them."""
    if connection.info.get("cache", _SMALL_CACHE) != pragma:
        connection.connection.cursor().execute(pragma)
        connection.info["cache"] = pragma


class _WriteLock:
    """`write.lock`: one writer among the threads of a process and among all processes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._threads = threading.Lock()
        self._fd: int | None = None

    @contextmanager
    def held(self) -> Iterator[None]:
        deadline = time.monotonic() + LOCK_TIMEOUT_S
        if not self._threads.acquire(timeout=LOCK_TIMEOUT_S):
            raise Locked("database", url=self.path)
        try:
            fd = self._open()
            self._flock(fd, deadline)
            try:
                yield
            finally:
                fcntl.flock(fd, fcntl.LOCK_UN)
        finally:
            self._threads.release()

    def _open(self) -> int:
        if self._fd is None:
            try:
                self._fd = os.open(self.path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            except OSError as error:
                detail = "mounted_read_only" if error.errno == errno.EROFS else "lock_file"
                directory = self.path.parent
                raise StorageDown(detail, path=self.path, directory=directory, why=error.strerror) from error
        return self._fd

    def _flock(self, fd: int, deadline: float) -> None:
        began = time.monotonic()
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno not in {errno.EWOULDBLOCK, errno.EAGAIN}:
                    raise
            else:
                return
            now = time.monotonic()
            if now > deadline:
                raise Locked("database", url=self.path)
            # a batch of mail holds it for a millisecond or two: whoever waits shall not oversleep by as much
            time.sleep(min(max(0.0002, (now - began) / 8), 0.005))

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def _insert_into(table: Table) -> str:
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    return f'INSERT INTO "{table.name}" ({names}) VALUES'  # names are ours


def _marks_of(table: Table) -> str:
    return f"({', '.join('?' * len(table.columns))})"
