"""The floor's rows: exactly those in which the site is ahead, written once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pysqlite3
import pytest

from tests.benchmarks.mirror import COUNTED, INSERTED, Mirror


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Any]:
    """A connection to a database with the mirrored tables, of few columns, and one account and mailbox."""
    connection = pysqlite3.connect(tmp_path / "site.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    for table in INSERTED:
        connection.execute(f"CREATE TABLE {table} (id INTEGER PRIMARY KEY, data BLOB)")
    for table, columns in COUNTED.items():
        connection.execute(f"CREATE TABLE {table} (id INTEGER PRIMARY KEY, {', '.join(columns)}, name TEXT)")
        connection.execute(f"INSERT INTO {table} VALUES (1, 0, 0, 0, 'kept')")
    yield connection
    connection.close()


def copy_of(tmp_path: Path, site: Any) -> Path:
    """A copy of the site's database as it is now."""
    site.execute("VACUUM INTO ?", (str(tmp_path / "copy.db"),))
    return tmp_path / "copy.db"


def test_nothing_is_ahead_of_a_fresh_copy(tmp_path: Path, site: Any) -> None:
    """A site where nothing happened since leaves nothing to write."""
    mirror = Mirror(copy_of(tmp_path, site), tmp_path / "site.db")
    assert mirror.look().rows == 0
    mirror.close()


def test_what_the_site_wrote_is_written_and_then_equal(tmp_path: Path, site: Any) -> None:
    """New rows are inserted, counters set, other columns left; afterwards nothing is ahead."""
    mirror = Mirror(copy_of(tmp_path, site), tmp_path / "site.db")
    for number, table in enumerate(INSERTED):
        site.execute(f"INSERT INTO {table} VALUES (?, ?)", (number, b"\0\xff"))
    site.execute("UPDATE mailbox SET uidnext = 2, messages = 1")
    site.execute("UPDATE account SET modseq = 1")
    ahead = mirror.look()
    assert ahead.rows == len(INSERTED) + len(COUNTED)
    mirror.write(ahead)
    assert mirror.look().rows == 0
    mirror.close()
    copy = pysqlite3.connect(tmp_path / "copy.db")
    assert copy.execute("SELECT uidnext, messages, name FROM mailbox").fetchall() == [(2, 1, "kept")]
    assert copy.execute("SELECT data FROM placement").fetchall() == [(b"\0\xff",)]
    copy.close()


def test_the_site_is_only_read(tmp_path: Path, site: Any) -> None:
    """The mirror cannot write into the site it looks at."""
    mirror = Mirror(copy_of(tmp_path, site), tmp_path / "site.db")
    with pytest.raises(pysqlite3.OperationalError, match="readonly"):
        mirror.write(type(mirror.look())([("INSERT INTO site.blob VALUES (?, ?)", [(1, b"")])]))
    mirror.close()
