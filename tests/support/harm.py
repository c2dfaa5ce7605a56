"""Harm done to a database of SQLite, as a failing disk does it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path


def harm(data_dir: Path, table: str) -> None:
    """Overwrite the first page of a table."""
    path = data_dir / "mairust.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (page,) = database.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()
        (size,) = database.execute("PRAGMA page_size").fetchone()
    with open(path, "rb+") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)
