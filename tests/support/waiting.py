"""Something that is done beside a test, on PostgreSQL, and whether it waits for the test's transaction."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

import psycopg

_WAITING = (
    b"SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


class OneMore:
    """One thread beside that of the test."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1)
        self._doing: Future[object] | None = None

    def __enter__(self) -> OneMore:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._pool.shutdown()

    def begin(self, what: Callable[[], object]) -> None:
        """Have it done."""
        self._doing = self._pool.submit(what)

    def waits(self, dsn: str, *, beside: int = 0) -> bool:
        """Whether it comes to wait for a lock of this database, rather than to its end.

        `beside` are those who wait already.
        """
        assert self._doing is not None
        with psycopg.connect(dsn, autocommit=True) as admin:
            while admin.execute(_WAITING).fetchone() == (beside,):
                if self._doing.done():
                    return False
        return True

    def end(self) -> object:
        """What came of it; raises what it raised."""
        assert self._doing is not None
        return self._doing.result(60)
