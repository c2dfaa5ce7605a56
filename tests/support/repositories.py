"""Repositories without a site: a source that offers what a test says, and snapshots of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

from mairust_core.model.backup import (
    BackedUp,
    BackupRun,
    NewBackup,
    Offer,
    OfferedAccount,
    OfferedFile,
    OfferedTable,
    Wanted,
)
from mairust_core.model.ids import Id
from mairust_core.operations import BytesOut
from mairust_core.transfer.repository import Repository
from mairust_core.transfer.repository.packs import Builder, Kind
from mairust_core.transfer.repository.sealing import Keys
from mairust_core.transfer.repository.taking import Taken, take

DOMAINS = b'{"table":"domain","columns":[],"rows":[]}\n'
START = datetime(2026, 1, 5, 3, tzinfo=UTC)


def id_of(data: bytes) -> str:
    """The id of an object."""
    return hashlib.sha256(data).hexdigest()


@dataclass
class FakeSite:
    """A site of accounts with mail, in memory: fulfils `Source`."""

    mail: dict[str, list[bytes]] = field(default_factory=dict)
    at: datetime = START
    finished: list[BackedUp] = field(default_factory=list)
    asked: list[int] = field(default_factory=list)
    per_pack: int = 1000
    _objects: dict[bytes, tuple[Kind, bytes]] = field(default_factory=dict)
    _contents: list[bytes] = field(default_factory=list)

    def begin(self, new: NewBackup) -> Offer:
        self._objects = {
            hashlib.sha256(m).digest(): (Kind.MAIL, m) for some in self.mail.values() for m in some
        }
        self._contents = []
        accounts = []
        for number, (address, mails) in enumerate(sorted(self.mail.items()), 1):
            state = hashlib.sha256(repr((address, mails)).encode()).hexdigest()[:32]
            known = state in new.known
            if not known:
                self._contents += [hashlib.sha256(one).digest() for one in mails]
            objects = () if known else (self._rows(number, address, mails),)
            accounts.append(
                OfferedAccount(
                    id=Id(number), address=address, state=state, messages=len(mails), objects=objects
                )
            )
        return Offer(
            id=Id(1),
            at=self.at,
            program="0",
            schema="0001",
            site="test",
            messages=sum(map(len, self.mail.values())),
            contents=len(self._contents),
            tables=(OfferedTable(table="domain", rows=1, objects=(self._add(DOMAINS),)),),
            accounts=tuple(accounts),
            files=(OfferedFile(name="settings.toml", object=self._add(b"[node]\n", Kind.FILE)),),
            master_keys=(),
        )

    def _rows(self, number: int, address: str, mails: list[bytes]) -> str:
        messages = [[number * 1000 + n, id_of(one)] for n, one in enumerate(mails)]
        sections = (
            {"table": "account", "columns": ["id", "address"], "rows": [[number, address]]},
            {"table": "message", "columns": ["id", "sha256"], "rows": messages},
        )
        return self._add(b"".join(json.dumps(one).encode() + b"\n" for one in sections))

    def _add(self, data: bytes, kind: Kind = Kind.ROWS) -> str:
        self._objects[hashlib.sha256(data).digest()] = (kind, data)
        return id_of(data)

    def contents(self, id: str) -> BytesOut:
        return _bytes(b"".join(self._contents))

    def pack(self, id: str, wanted: Wanted) -> BytesOut:
        self.asked.append(len(wanted.objects))
        file = BytesIO()
        builder = Builder(file)
        for object_ in wanted.objects[: self.per_pack]:
            found = self._objects.get(bytes.fromhex(object_))
            if found is None:
                builder.damaged.append(object_)
            else:
                builder.add(*found)
        builder.finish()
        return _bytes(file.getvalue())

    def finish(self, id: str, done: BackedUp) -> BackupRun:
        self.finished.append(done)
        return BackupRun(
            id=Id(1), started_at=self.at, finished_at=self.at, by="t", pinned=False, repository="",
            snapshot="", messages=0, objects_new=0, bytes_new=0, damaged=0,
        )  # fmt: skip


class Onlooker:
    """Counts what it hears."""

    def __init__(self) -> None:
        self.expected = self.done = self.size_bytes = 0

    def expect(self, items: int) -> None:
        self.expected += items

    def advance(self, items: int = 1, *, size_bytes: int = 0) -> None:
        self.done += items
        self.size_bytes += size_bytes


def _bytes(data: bytes) -> BytesOut:
    chunks: Iterator[bytes] = iter([data[at : at + 1000] for at in range(0, len(data), 1000)])
    sha256 = hashlib.sha256(data).digest()
    return BytesOut(chunks=chunks, size_bytes=len(data), sha256=sha256, filename="x", content_type="x/y")


def fill(path: Path, days: int, keys: Keys | None = None) -> tuple[FakeSite, list[str]]:
    """A repository with a snapshot a day: each day a mail more, and the one of the day before is gone."""
    site, names = FakeSite(), []
    for day in range(days):
        site.at = START + timedelta(days=day)
        site.mail = {"ann@x": [b"always " * 5000, b"of day %d " % day * 4000], "bob@x": [b"stays"]}
        names.append(run(path, site, keys).snapshot)
    return site, names


def run(
    path: Path, site: FakeSite, keys: Keys | None = None, cache: Path | None = None, full: bool = False
) -> Taken:
    """One backup."""
    return take(Repository.create(path, keys, cache), site, full=full)


def mail_in(repository: Repository, name: str) -> Mapping[str, list[bytes]]:
    """The mail of a snapshot, by account."""
    found: dict[str, list[bytes]] = {}
    for account in repository.read_snapshot(name).accounts:
        for object_ in account.objects:
            for line in repository.read_object(object_).splitlines():
                section = json.loads(line)
                if section["table"] == "message":
                    found[account.address] = [repository.read_object(row[1]) for row in section["rows"]]
    return found
