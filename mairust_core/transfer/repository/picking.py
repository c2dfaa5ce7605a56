"""Some of a snapshot's mail as packs that a site appends: an account, a mailbox, a message."""

from __future__ import annotations

import io
import json
from array import array
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from tempfile import TemporaryFile
from typing import IO, Any

from mairust_core.errors import Damaged, NotFound
from mairust_core.transfer.repository.packs import Builder, Kind, Unpacker
from mairust_core.transfer.repository.parking import Parked
from mairust_core.transfer.repository.repository import Repository
from mairust_core.transfer.repository.snapshots import AccountPart, Snapshot

PACK_BYTES = 8 << 20
PACK_MESSAGES = 256

NEEDED = frozenset({"account", "mailbox", "message", "placement"})
"""The tables that say what a message is and where it was."""

Record = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pick:
    """What is wanted: all of an account, one of its mailboxes, or one message of any."""

    account: str | None = None
    mailbox: str | None = None
    message: str | None = None
    skip_damaged: bool = False


@dataclass(slots=True, kw_only=True)
class _Account:
    """The rows of one account, by what they are of; those of messages lie in a file."""

    row: Record
    messages: Parked
    placements: Parked
    mailboxes: dict[int, Record] = field(default_factory=dict)
    places: _Places = field(default_factory=lambda: _Places())

    def note(self, table: str, names: list[str], rows: list[list[Any]]) -> None:
        """Some rows of one of the tables that are needed."""
        if table in ("account", "mailbox"):
            for row in rows:
                record = dict(zip(names, row, strict=True))
                if table == "account":
                    self.row = record
                else:
                    self.mailboxes[record["id"]] = record
        elif table == "message":
            at = names.index("id")
            for row in rows:
                self.messages.add(row[at], names, row)
        else:
            at, mailbox, uid = (names.index(name) for name in ("message_id", "mailbox_id", "uid"))
            for row in rows:
                self.placements.add(row[at], names, row)
                self.places.add(row[mailbox], row[uid], row[at])


class _Places:
    """Which message is where; sixteen bytes of memory for each."""

    def __init__(self) -> None:
        self._mailboxes: dict[int, tuple[array[int], array[int]]] = {}

    def add(self, mailbox_id: int, uid: int, message_id: int) -> None:
        """One more."""
        uids, ids = self._mailboxes.setdefault(mailbox_id, (array("q"), array("q")))
        uids.append(uid)
        ids.append(message_id)

    def of(self, mailboxes: Container[int] | None) -> Iterator[int]:
        """The messages of some mailboxes, or of all, in the order of these and of their UIDs."""
        for mailbox_id in sorted(self._mailboxes):
            if mailboxes is None or mailbox_id in mailboxes:
                uids, ids = self._mailboxes[mailbox_id]
                for at in sorted(range(len(uids)), key=uids.__getitem__):
                    yield ids[at]


class Picker:
    """Finds what is wanted; `damaged` are the objects that were left out.

    Those of them that hold rows are in `damaged_rows`, with the address whose rows they are.
    """

    def __init__(self, repository: Repository, snapshot: Snapshot, pick: Pick) -> None:
        self._repository = repository
        self._snapshot = snapshot
        self._pick = pick
        self._found = False
        self.damaged: list[str] = []
        self.damaged_rows: dict[str, str] = {}

    def expected(self) -> int | None:
        """How many messages that is; None when only reading would tell."""
        if self._pick.mailbox is not None or self._pick.message is not None:
            return None
        return sum(part.messages for part in self._parts())

    def packs(self) -> Iterator[bytes]:
        """Packs of at most a few megabytes, or one mail, and the rows that say whose it is.

        Raises `NotFound` when nothing in the snapshot is what is wanted, `Damaged` for what may not be
        left out.
        """
        self._found = False
        for part in self._parts():
            with TemporaryFile(prefix="mairust-rows-") as file:
                account = self._read(part, file)
                yield from self._packed(account, self._chosen(account))
        if not self._found and self._pick.message is not None:
            raise NotFound("in_snapshot", what=self._pick.message)

    def _parts(self) -> Sequence[AccountPart]:
        if self._pick.account is None:
            return self._snapshot.accounts
        wanted = self._pick.account.casefold()
        parts = [one for one in self._snapshot.accounts if one.address.casefold() == wanted]
        if not parts:
            raise NotFound("in_snapshot", what=self._pick.account)
        return parts

    def _read(self, part: AccountPart, file: IO[bytes]) -> _Account:
        account = _Account(row={"address": part.address}, messages=Parked(file), placements=Parked(file))
        for object_ in part.objects:
            try:
                data = self._repository.read_object(object_)
            except Damaged:
                if not self._pick.skip_damaged:
                    raise
                self.damaged.append(object_)
                self.damaged_rows[object_] = part.address
                continue
            for line in data.splitlines():
                section = json.loads(line)
                if section["table"] in NEEDED:
                    account.note(section["table"], section["columns"], section["rows"])
        return account

    def _chosen(self, account: _Account) -> Iterator[int]:
        """The wanted messages of an account, in the order of their mailboxes and UIDs."""
        pick = self._pick
        if pick.message is not None:
            id_ = int(pick.message) if pick.message.isascii() and pick.message.isdigit() else 0
            return iter([id_] if id_ in account.messages.ids else [])
        wanted = None
        if pick.mailbox is not None:
            wanted = {id_ for id_, row in account.mailboxes.items() if row["name"] == pick.mailbox}
            if not wanted:
                raise NotFound("in_snapshot", what=pick.mailbox)
        return (id_ for id_ in account.places.of(wanted) if id_ in account.messages.ids)

    def _packed(self, account: _Account, chosen: Iterable[int]) -> Iterator[bytes]:
        rows: list[Record] = []
        file = io.BytesIO()
        builder = Builder(file)
        empty = self._pick.message is None  # an account without mail comes back, unless a message is wanted
        for id_ in chosen:
            self._found, empty = True, False
            row = _row(account, id_)
            if not self._add(builder, row["message"]["sha256"]):
                continue
            rows.append(row)
            if len(rows) >= PACK_MESSAGES or builder.size_bytes >= PACK_BYTES:
                yield _finished(builder, file, account, rows)
                rows, file = [], io.BytesIO()
                builder = Builder(file)
        if rows or empty:
            yield _finished(builder, file, account, rows)

    def _add(self, builder: Builder, sha256: str) -> bool:
        id_ = bytes.fromhex(sha256)
        if builder.has(id_):
            return True
        try:
            pack, entry = self._repository.index.find(id_)
            with self._repository.open_pack(pack) as source:
                unpacker = Unpacker(source, pack)
                for _ in unpacker.pieces(entry):
                    pass  # verified here, so that damage is told by who has the repository
                builder.add_frame(Kind.MAIL, id_, unpacker.frame(entry), entry.size_bytes)
        except Damaged:
            if not self._pick.skip_damaged:
                raise
            self.damaged.append(sha256)
            return False
        return True


def _row(account: _Account, id_: int) -> Record:
    """What a pack says of a message: its row and where it was."""
    place = account.placements.get(id_)
    return {
        "message": account.messages.get(id_),
        "placement": place,
        "mailbox": account.mailboxes.get(place["mailbox_id"]) if place else None,
    }


def _finished(builder: Builder, file: io.BytesIO, account: _Account, rows: Sequence[Record]) -> bytes:
    """The pack with its rows: the account, and those of each message."""
    told = {"account": account.row, "messages": rows}
    builder.add(Kind.ROWS, json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode())
    builder.finish()
    return file.getvalue()
