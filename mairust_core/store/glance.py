"""A glance at names and ids for completion: the driver alone, read-only, and over in milliseconds.

Loading SQLAlchemy costs several times as much as the answer. Nobody is asked who they are: whoever may open
the database may see the whole site, as a local command does.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import Any

PATIENCE_S = 1
_WHOSE = (
    "coalesce((SELECT account_id FROM address WHERE folded = ?),"
    " (SELECT account_id FROM message WHERE id = ?))"
)
_SQL = {
    "domains": "SELECT name FROM domain WHERE substr(name, 1, length(?)) = ? ORDER BY name LIMIT 200",
    "accounts": (
        "SELECT display FROM address WHERE account_id IS NOT NULL"
        " AND substr(folded, 1, length(?)) = ? ORDER BY folded LIMIT 200"
    ),
    "aliases": (
        "SELECT display FROM address WHERE account_id IS NULL"
        " AND substr(folded, 1, length(?)) = ? ORDER BY folded LIMIT 200"
    ),
    "tokens": (
        "SELECT id FROM token WHERE revoked_ms IS NULL AND substr(id, 1, length(?)) = ? ORDER BY id LIMIT 200"
    ),
    "mailboxes": f"SELECT name FROM mailbox WHERE account_id = {_WHOSE} ORDER BY name LIMIT 200",  # noqa: S608
    "tags": (  # from one to the next in the index: a message can be any of a million
        f"WITH RECURSIVE whose(id) AS (SELECT {_WHOSE}), found(tag) AS ("  # noqa: S608 - no value is in it
        " SELECT min(tag) FROM message_tag WHERE account_id = (SELECT id FROM whose) UNION ALL SELECT"
        " (SELECT min(tag) FROM message_tag WHERE account_id = (SELECT id FROM whose) AND tag > found.tag)"
        " FROM found WHERE found.tag IS NOT NULL"
        ") SELECT tag FROM found WHERE tag IS NOT NULL LIMIT 200"
    ),
    "messages": "SELECT id FROM message ORDER BY id DESC LIMIT 50",
    "deleted": "SELECT message_id FROM trash ORDER BY deleted_ms DESC LIMIT 50",
    "plugins": "SELECT id FROM plugin WHERE substr(id, 1, length(?)) = ? ORDER BY id LIMIT 200",
    "hooks": (
        "SELECT name FROM hook WHERE removed_ms IS NULL AND substr(name, 1, length(?)) = ?"
        " ORDER BY name LIMIT 200"
    ),
    "jobs": "SELECT id FROM job WHERE state <> 'done' ORDER BY id DESC LIMIT 50",
    "traces": "SELECT id FROM trace ORDER BY id DESC LIMIT 50",
}
KINDS = frozenset(_SQL)
"""What can be looked for."""


def candidates(url: str, kind: str, prefix: str, account: str = "", message: int | None = None) -> list[str]:
    """Names or ids of a kind that begin with `prefix`, in lower case for names.

    Mailboxes and tags are those of `account`, or of the account whose the message with that id is. Raises
    whatever the driver raises.
    """
    values: tuple[str | int | None, ...] = (prefix, prefix)
    if kind in {"mailboxes", "tags"}:
        values = (account.lower(), message)
    elif kind in {"messages", "deleted", "jobs", "traces"}:
        values = ()
    found = [str(row[0]) for row in _rows(url, _SQL[kind], values)]
    return [one for one in found if one.lower().startswith(prefix.lower())]


def _rows(url: str, sql: str, values: Sequence[str | int | None]) -> list[Any]:
    if url.startswith("sqlite:///"):
        from mairust_core.store.sqlite_driver import driver

        path = url.removeprefix("sqlite:///").replace("%", "%25").replace("?", "%3f").replace("#", "%23")
        with closing(driver().connect(f"file:{path}?mode=ro", uri=True, timeout=PATIENCE_S)) as connection:
            return list(connection.execute(sql, values).fetchall())
    import psycopg

    with psycopg.connect(url, connect_timeout=PATIENCE_S, autocommit=True) as connection:
        connection.execute(f"SET statement_timeout = '{PATIENCE_S}s'")
        connection.execute("SET default_transaction_read_only = on")
        return list(connection.execute(sql.replace("?", "%s").encode(), values).fetchall())
