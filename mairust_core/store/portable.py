"""Which tables are in a backup, and in what form: the one registry (rule I3).

A table that is added is registered here, or excluded with its reason; a test fails until it is. Rows travel
as JSON, a line for some rows of one table: `{"table": …, "columns": […], "rows": [[…], …]}`, bytes as hex.
A restore takes the columns it knows and gives new ones their default, so that a column more needs no other
format.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from zlib import crc32

import orjson
from sqlalchemy import Boolean, LargeBinary, Table

from mairust_core.store import tables as t

CHUNK_BITS = 10
"""A chunk ends after one of 1024 rows, on average: which, its key alone decides."""
_GOLDEN = 0x9E3779B97F4A7C15
_WORD = (1 << 64) - 1
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@dataclass(frozen=True, kw_only=True)
class Portable:
    """One table in a backup: its rows `where` they are worth keeping, in `order`.

    Chunks end where the hash of the column `cut` says, so that a row more changes the chunk it is in and no
    other. `defaults` are for columns that an older backup does not have.
    """

    table: Table
    order: tuple[str, ...]
    cut: str = ""
    where: str = ""
    sealed: bool = False
    """Rows that only the site's master key opens: without it they are left out of a restore."""
    places: bool = False
    """Rows that say where a message is; one that none of them names is put into INBOX."""
    needed: bool = False
    """Rows without which no site can be made of the rest."""
    defaults: dict[str, Any] = field(default_factory=dict)
    large: bool = False
    """Rows of some hundred kilobytes each: one is read at a time, and is an object of its own."""

    @property
    def name(self) -> str:
        """The table's name."""
        return self.table.name

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Every column, in the table's order."""
        return tuple(column.name for column in self.table.columns)

    @cached_property
    def select(self) -> str:
        """The statement that reads all rows, those of one account where a `?` is in `where`."""
        names = ", ".join(f'"{name}"' for name in self.columns)
        where = f" WHERE {self.where}" if self.where else ""
        return f'SELECT {names} FROM "{self.name}"{where} ORDER BY {", ".join(self.order)}'  # noqa: S608 - names are ours

    @cached_property
    def _binary(self) -> tuple[int, ...]:
        return tuple(n for n, one in enumerate(self.table.columns) if isinstance(one.type, LargeBinary))

    @cached_property
    def _boolean(self) -> tuple[int, ...]:
        return tuple(n for n, one in enumerate(self.table.columns) if isinstance(one.type, Boolean))

    @cached_property
    def position_of_cut(self) -> int:
        """The number of the column whose hash ends a chunk."""
        return self.columns.index(self.cut or self.order[0])

    def section(self, rows: Sequence[Sequence[Any]]) -> bytes:
        """Some rows in their portable form, a line."""
        if self._binary or self._boolean:
            rows = [self._plain(row) for row in rows]
        found = {"table": self.name, "columns": self.columns, "rows": rows}
        try:
            return orjson.dumps(found, option=orjson.OPT_APPEND_NEWLINE)
        except TypeError:  # numbers beyond 64 bits, lone surrogates
            return _encode(found).encode() + b"\n"

    def _plain(self, row: Sequence[Any]) -> list[Any]:
        values = list(row)
        for n in self._binary:
            if (value := values[n]) is not None:
                values[n] = value.hex()
        for n in self._boolean:
            if (value := values[n]) is not None:
                values[n] = bool(value)
        return values

    def reader(self, columns: Sequence[str]) -> Callable[[Sequence[Any]], tuple[Any, ...]]:
        """What makes a row of this table from one of a backup that had these columns."""
        places = [columns.index(name) if name in columns else None for name in self.columns]
        missing = [
            self._default(name) if at is None else None for name, at in zip(self.columns, places, strict=True)
        ]
        binary, boolean = set(self._binary), set(self._boolean)

        def read(row: Sequence[Any]) -> tuple[Any, ...]:
            values = [missing[n] if at is None else row[at] for n, at in enumerate(places)]
            for n in binary:
                if (value := values[n]) is not None:
                    values[n] = bytes.fromhex(value)
            for n in boolean:
                if values[n] is not None:
                    values[n] = bool(values[n])
            return tuple(values)

        return read

    def _default(self, name: str) -> Any:
        if name in self.defaults:
            return self.defaults[name]
        column = self.table.columns[name]
        if column.server_default is not None:
            text = str(getattr(column.server_default, "arg", "")).strip("'")
            return int(text) if text.lstrip("-").isdigit() else text
        if column.nullable:
            return None
        raise LookupError(
            f"{self.name}.{name}: give it a default in store/portable.py, older backups lack it"
        )


def is_cut(value: Any) -> bool:
    """Whether a chunk ends after the row with this key."""
    if isinstance(value, int):
        return (value * _GOLDEN & _WORD) >> (64 - CHUNK_BITS) == 0
    return crc32(str(value).encode()) & ((1 << CHUNK_BITS) - 1) == 0


def read_sections(data: bytes) -> Iterator[tuple[str, list[str], list[list[Any]]]]:
    """The table, columns and rows of each line of an object of rows."""
    for line in data.splitlines():
        found = json.loads(line)
        yield found["table"], found["columns"], found["rows"]


_OF_ACCOUNT = "account_id = ?"
_OF_LIVING = "account_id IN (SELECT id FROM account WHERE removed_ms IS NULL)"

SITE: tuple[Portable, ...] = (
    Portable(table=t.tenant, order=("id",), needed=True),
    Portable(table=t.domain, order=("id",), needed=True),
    Portable(table=t.address, order=("folded",), needed=True),
    Portable(table=t.alias_target, order=("address_id", "position"), needed=True),
    Portable(table=t.token, order=("id",), where=f"account_id IS NULL OR {_OF_LIVING}"),
    Portable(table=t.site, order=("id",)),
    Portable(table=t.master_key, order=("id",), sealed=True),
    Portable(
        table=t.secret, order=("tenant_id", "name"), cut="name", where="expires_ms IS NULL", sealed=True
    ),
    Portable(table=t.job, order=("id",), where="state <> 'done'"),
    Portable(table=t.audit, order=("id",)),
    Portable(table=t.trust_key, order=("tenant_id", "id"), cut="id"),
    Portable(table=t.trust_revocation, order=("tenant_id", "root", "kind", "value"), cut="value"),
    Portable(table=t.plugin_package, order=("tenant_id", "digest"), cut="digest"),
    Portable(
        table=t.plugin_package_part,
        order=("tenant_id", "archive", "number"),
        cut="archive",
        large=True,
        where="archive IN (SELECT archive FROM plugin_package)",
    ),
    Portable(table=t.plugin, order=("tenant_id", "id"), cut="id"),
    Portable(table=t.hook, order=("tenant_id", "name"), cut="name"),
    Portable(table=t.hook_log, order=("id",)),
    Portable(table=t.plugin_access, order=("id",)),
    Portable(table=t.plugin_usage, order=("tenant_id", "plugin", "day"), cut="day"),
    Portable(table=t.trace, order=("id",)),
)
"""Tables of the site as a whole, those that others refer to first."""

ACCOUNT_STATE: tuple[Portable, ...] = (
    Portable(table=t.account, order=("id",), where="removed_ms IS NULL"),
    Portable(table=t.mailbox, order=("account_id", "id"), where=_OF_LIVING),
    Portable(table=t.subscription, order=("account_id", "mailbox"), cut="mailbox", where=_OF_LIVING),
)
"""The account's row and small tables of it: whatever changes in an account changes one of these rows.

Every change of mail takes a MODSEQ from the account's row (rule A2). So while these rows stay the same, so do
those of `ACCOUNT`, and nobody needs to read them.
"""

ACCOUNT: tuple[Portable, ...] = (
    Portable(table=t.message, order=("id",), where=_OF_ACCOUNT),
    Portable(table=t.placement, order=("message_id",), where=_OF_ACCOUNT, places=True),
    Portable(table=t.trash, order=("message_id",), where=_OF_ACCOUNT, places=True),
    Portable(
        table=t.message_tag, order=("tag", "received_ms", "message_id"), cut="message_id", where=_OF_ACCOUNT
    ),
    Portable(table=t.import_ledger, order=("mailbox", "sha256"), cut="sha256", where=_OF_ACCOUNT),
    Portable(table=t.thread_key, order=("thread_id", "key"), cut="key", where=_OF_ACCOUNT),
)
"""Tables of one account's mail, those that others refer to first."""

EXCLUDED: dict[str, str] = {
    "blob": "where bytes lie is chosen anew by the store that takes them",
    "content": "is found again in the bytes, by the program that restores them",
    "generation": "a number that only has to rise on the site it belongs to",
    "process_number": "belongs to processes that run",
    "pipe_delivery": "is forgotten within a day",
    "backup": "tells of this site's own runs, and holds its blobs",
    "tombstone": "tells of a history that begins anew on a restored site",
    "schedule": "is written by the program that runs, which knows when each is due",
    "upkeep": "tells what this site's own processes did",
    "auth_failure": "is forgiven within a day",
    "idempotency": "is forgotten within a day",
    "plugin_metric": "is told again by the plugins themselves",
    "plugin_callback": "is forgotten within a day",
    "plugin_token": "is of the site that was lost, by its name, and over within an hour",
    "plugin_log": "is what programs wrote here, for whoever mends them now",
    "plugin_health": "is checked again within a minute",
    "plugin_worker": "tells of processes that run",
    "content_text": "is made again from the bytes, as the index needs it",
    "index_queue": "holds every message of a restored site",
    "index_segment": "is made again from the mail",
    "index_document": "is made again from the mail",
    "index_posting": "is made again from the mail",
    "index_state": "is on where nothing says otherwise",
    "hook_breaker": "tells of failures of the last minutes",
    "hook_poison": "is forgotten within an hour",
    "alembic_version": "is the schema a snapshot names",
}
"""Tables that are in no backup, and why."""


def by_name() -> dict[str, Portable]:
    """Every table in a backup."""
    return {one.name: one for one in (*SITE, *ACCOUNT_STATE, *ACCOUNT)}
