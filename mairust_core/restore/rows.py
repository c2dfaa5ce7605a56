"""Rows of a snapshot into their tables, without what hangs on something that is damaged."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any

from sqlalchemy import Connection

from mairust_core.errors import Damaged
from mairust_core.model.mailbox import INBOX
from mairust_core.restore.wanted import Wanted
from mairust_core.store import StorageBackend, restoring
from mairust_core.store.portable import ACCOUNT_STATE, Portable, by_name, read_sections
from mairust_core.transfer.repository import Repository
from mairust_core.transfer.repository.ids import Ids
from mairust_core.transfer.repository.snapshots import AccountPart, Snapshot

Row = tuple[Any, ...]


class Rows:
    """What a snapshot's objects say, table by table; damaged ones are noted in `damaged` and left out."""

    def __init__(self, repository: Repository, damaged: dict[str, str]) -> None:
        self._repository = repository
        self._damaged = damaged
        self._tables = by_name()

    def check(self, objects: Iterable[str]) -> None:
        """Note which of these objects are damaged."""
        for _ in self.of(objects):
            pass

    def of(self, objects: Iterable[str]) -> Iterator[tuple[Portable, list[Row]]]:
        """The rows of some objects, those of tables that are known here."""
        for object_ in objects:
            if object_ in self._damaged:
                continue  # also when it can be read this time: nothing that hangs on it was looked at
            try:
                data = self._repository.read_object(object_)
            except Damaged as error:
                self._damaged[object_] = str(error)
                continue
            for name, columns, rows in read_sections(data):
                if (one := self._tables.get(name)) is not None:
                    read = one.reader(columns)
                    yield one, [read(row) for row in rows]


def wanted_mail(repository: Repository, snapshot: Snapshot, rows: Rows) -> Wanted:
    """Every mail that the snapshot's messages refer to and the site could read then."""
    wanted = Wanted(repository.index)
    unreadable = frozenset(map(bytes.fromhex, snapshot.damaged))
    for account in snapshot.accounts:
        for one, some in rows.of(account.objects):
            if one.name == "message":
                sha256, tenant_id = one.columns.index("sha256"), one.columns.index("tenant_id")
                for row in some:
                    if row[sha256] not in unreadable:
                        wanted.add(row[sha256], row[tenant_id])
    return wanted


def insert_site(
    storage: StorageBackend,
    tx: Connection,
    snapshot: Snapshot,
    rows: Rows,
    *,
    tables: Collection[str],
    accounts: Collection[int] | None = None,
) -> None:
    """Insert those of the site's own tables; rows of accounts that are not there are left out."""
    for part in snapshot.tables:
        if part.table not in tables:
            continue
        for one, some in rows.of(part.objects):
            at = one.columns.index("account_id") if "account_id" in one.columns else None
            if at is not None and accounts is not None:
                some = [row for row in some if row[at] is None or row[at] in accounts]
            restoring.insert(storage, tx, one, some)


class AccountRows:
    """Inserts the rows of accounts, but for those of mail that is `gone`."""

    def __init__(self, storage: StorageBackend, tx: Connection, rows: Rows, gone: Collection[bytes]) -> None:
        self._storage = storage
        self._tx = tx
        self._rows = rows
        self._gone = gone
        self.accounts: set[int] = set()
        self.left_out = 0
        """Messages whose mail is damaged or gone."""
        self.lost: list[str] = []
        """The addresses of accounts whose own row is damaged: nothing of them is there."""

    def insert(self, part: AccountPart) -> None:
        """Insert one account, or nothing of it when its own row is damaged."""
        account = _Account()
        for one, some in self._rows.of(part.objects):
            if one in ACCOUNT_STATE:
                account.note(one, some)
            elif account.row is None:
                break
            else:
                some = self._filtered(one, some, account)
            restoring.insert(self._storage, self._tx, one, some)
        if account.row is None:
            self.lost.append(part.address)
            return
        self.accounts.add(account.row["id"])
        self._place_lost(account)

    def _filtered(self, one: Portable, rows: list[Row], account: _Account) -> list[Row]:
        if one.name == "message":
            id_, sha256 = one.columns.index("id"), one.columns.index("sha256")
            kept = [row for row in rows if row[sha256] not in self._gone]
            self.left_out += len(rows) - len(kept)
            for row in kept:
                account.messages.add(row[id_])
            return kept
        if "message_id" not in one.columns:
            return rows
        at = one.columns.index("message_id")
        kept = [row for row in rows if row[at] in account.messages]
        if one.places:
            account.placed += len(kept)
        return kept

    def _place_lost(self, account: _Account) -> None:
        """Put messages whose place is damaged into INBOX, or another mailbox: the mail is what counts."""
        if account.placed < len(account.messages) and account.home is not None:
            restoring.place_lost(self._tx, account.home["id"])


class _Account:
    """What is known of the account whose rows are being inserted."""

    def __init__(self) -> None:
        self.row: dict[str, Any] | None = None
        self.home: dict[str, Any] | None = None
        """Its INBOX, or another mailbox where it has none."""
        self.messages = Ids()
        self.placed = 0
        """How many of them have a place: each has one at most."""

    def note(self, one: Portable, rows: list[Row]) -> None:
        """Remember the account's row and that of a mailbox."""
        for row in rows:
            values = dict(zip(one.columns, row, strict=True))
            if one.name == "account":
                self.row = values
            elif one.name == "mailbox" and (self.home is None or values["name"] == INBOX):
                self.home = values
