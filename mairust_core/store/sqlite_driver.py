"""Which SQLite is used (rule D1)."""

from __future__ import annotations

import os
from types import ModuleType


def driver() -> ModuleType:
    """The SQLite module in use: pysqlite3 where it has a wheel, `MAIRUST_SQLITE=stdlib` forces the other."""
    if os.environ.get("MAIRUST_SQLITE") != "stdlib":
        try:
            import pysqlite3.dbapi2 as bundled
        except ModuleNotFoundError:
            pass
        else:
            return bundled  # type: ignore[no-any-return]  # pysqlite3 has no types
    import sqlite3

    return sqlite3
