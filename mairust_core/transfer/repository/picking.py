"""Some of a snapshot's mail as packs that a site appends: an account, a mailbox, a message."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from mairust_core.errors import Damaged, NotFound
from mairust_core.transfer.repository.packs import Builder, Kind, Unpacker
from mairust_core.transfer.repository.repository import Repository
from mairust_core.transfer.repository.snapshots import AccountPart, Snapshot

PACK_BYTES = 8 << 20
PACK_MESSAGES = 256

NEEDED = frozenset({"account", "mailbox", "message", "placement"})
"""The tables that say what a message is and where it was."""

Record = dict[str, Any]


class _Row(NamedTuple):
    """A row as the backup has it, for there may be hundreds of thousands."""

    names: Sequence[str]
    values: Sequence[Any]

    def value(self, name: str) -> Any:
        """One of its values."""
        return self.values[self.names.index(name)]

    def record(self) -> Record:
        """Its values by their names."""
        return dict(zip(self.names, self.values, strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pick:
    """What is wanted: all of an account, one of its mailboxes, or one message of any."""

    account: str | None = None
    mailbox: str | None = None
    message: str | None = None
    skip_damaged: bool = False


@dataclass(slots=True, kw_only=True)
class _Account:
    """The rows of one account, by what they are of."""

    row: Record
    mailboxes: dict[int, Record]
    messages: dict[int, _Row]
    placements: dict[int, _Row]


class Picker:
    """Finds what is wanted; `damaged` are the mails that were left out."""

    def __init__(self, repository: Repository, snapshot: Snapshot, pick: Pick) -> None:
        self._repository = repository
        self._snapshot = snapshot
        self._pick = pick
        self.damaged: list[str] = []

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
        found = False
        for part in self._parts():
            account = self._read(part)
            chosen = self._chosen(account)
            found = found or bool(chosen)
            yield from self._packed(account, chosen)
        if not found and self._pick.message is not None:
            raise NotFound("in_snapshot", what=self._pick.message)

    def _parts(self) -> Sequence[AccountPart]:
        if self._pick.account is None:
            return self._snapshot.accounts
        wanted = self._pick.account.casefold()
        parts = [one for one in self._snapshot.accounts if one.address.casefold() == wanted]
        if not parts:
            raise NotFound("in_snapshot", what=self._pick.account)
        return parts

    def _read(self, part: AccountPart) -> _Account:
        tables: dict[str, list[_Row]] = {}
        for object_ in part.objects:
            try:
                data = self._repository.read_object(object_)
            except Damaged:
                if not self._pick.skip_damaged:
                    raise
                self.damaged.append(object_)
                continue
            for line in data.splitlines():
                section = json.loads(line)
                if section["table"] in NEEDED:
                    rows = (_Row(section["columns"], row) for row in section["rows"])
                    tables.setdefault(section["table"], []).extend(rows)
        accounts = tables.get("account")
        return _Account(
            row=accounts[0].record() if accounts else {"address": part.address},
            mailboxes={row.value("id"): row.record() for row in tables.get("mailbox", ())},
            messages={row.value("id"): row for row in tables.get("message", ())},
            placements={row.value("message_id"): row for row in tables.get("placement", ())},
        )

    def _chosen(self, account: _Account) -> list[int]:
        """The wanted messages of an account, in the order of their mailboxes and UIDs."""
        pick = self._pick
        if pick.message is not None:
            id_ = int(pick.message) if pick.message.isascii() and pick.message.isdigit() else 0
            return [id_] if id_ in account.messages else []
        placed = [
            (one.value("mailbox_id"), one.value("uid"), id_)
            for id_, one in account.placements.items()
            if id_ in account.messages
        ]
        if pick.mailbox is not None:
            wanted = {id_ for id_, row in account.mailboxes.items() if row["name"] == pick.mailbox}
            if not wanted:
                raise NotFound("in_snapshot", what=pick.mailbox)
            placed = [one for one in placed if one[0] in wanted]
        return [id_ for _, _, id_ in sorted(placed)]

    def _packed(self, account: _Account, chosen: Sequence[int]) -> Iterator[bytes]:
        ids: list[int] = []
        file = io.BytesIO()
        builder = Builder(file)
        for id_ in chosen:
            sha256 = account.messages[id_].value("sha256")
            if not self._add(builder, sha256):
                continue
            ids.append(id_)
            if len(ids) >= PACK_MESSAGES or builder.size_bytes >= PACK_BYTES:
                yield _finished(builder, file, account, ids)
                ids, file = [], io.BytesIO()
                builder = Builder(file)
        if ids or not chosen:
            yield _finished(builder, file, account, ids)

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


def _finished(builder: Builder, file: io.BytesIO, account: _Account, ids: Sequence[int]) -> bytes:
    """The pack with its rows: the account, and of each message its row and where it was."""
    rows = []
    for id_ in ids:
        place = account.placements.get(id_)
        rows.append(
            {
                "message": account.messages[id_].record(),
                "placement": place.record() if place else None,
                "mailbox": account.mailboxes.get(place.value("mailbox_id")) if place else None,
            }
        )
    told = {"account": account.row, "messages": rows}
    builder.add(Kind.ROWS, json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode())
    builder.finish()
    return file.getvalue()
