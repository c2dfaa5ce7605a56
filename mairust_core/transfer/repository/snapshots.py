"""Snapshots: one moment of a site, as a small JSON file that names objects."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mairust_core.errors import Damaged, NewerSite

FORMAT = 1
NAME = re.compile(r"([0-9]{8}T[0-9]{6}\.[0-9]{3}Z)-([0-9a-f]{12})")


def names_in(repository: Path) -> list[str]:
    """The snapshots of a repository, the oldest first; also of one that cannot be opened."""
    found = {path.name.split(".json")[0] for path in (repository / "snapshots").glob("*.json*")}
    return sorted(name for name in found if NAME.fullmatch(name))


@dataclass(frozen=True, slots=True, kw_only=True)
class TablePart:
    """The rows of one table, as objects in the order of its key."""

    table: str
    rows: int
    objects: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountPart:
    """Everything of one account; `state` is the same as long as nothing in it changes."""

    id: str
    address: str
    state: str
    messages: int
    objects: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FilePart:
    """A file of the site."""

    name: str
    object: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One moment of a site. `schema` is that of its tables, `master_keys` say which keys wrap its secrets."""

    at: datetime
    program: str
    schema: str
    site: str
    messages: int
    tables: tuple[TablePart, ...]
    accounts: tuple[AccountPart, ...]
    files: tuple[FilePart, ...] = ()
    master_keys: tuple[str, ...] = ()
    damaged: tuple[str, ...] = ()
    """SHA-256 of mail that could not be read on the site."""

    def objects(self) -> Iterator[str]:
        """The id of every object it names; mail is named in the rows of those."""
        for table in self.tables:
            yield from table.objects
        for account in self.accounts:
            yield from account.objects
        for file in self.files:
            yield file.object

    def to_bytes(self) -> bytes:
        """Its file."""
        told = {"format": FORMAT, **asdict(self), "at": timestamp(self.at)}
        return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"

    @classmethod
    def from_bytes(cls, data: bytes, name: str) -> Snapshot:
        """What a file says; raises `Damaged`, or `NewerSite` for a later format."""
        try:
            found = json.loads(data)
            if found["format"] != FORMAT:
                raise NewerSite("repository", name=name, found=found["format"], known=FORMAT)
            return _decode(found)
        except (ValueError, KeyError, TypeError) as error:
            raise Damaged("repository", name=name, why=f"it is no snapshot ({error})") from error


def timestamp(at: datetime) -> str:
    """RFC 3339 in UTC with milliseconds."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def name_of(at: datetime, sha256: str) -> str:
    """The id of a snapshot: when, and the beginning of its file's SHA-256."""
    at = at.astimezone(UTC)
    return f"{at:%Y%m%dT%H%M%S}.{at.microsecond // 1000:03d}Z-{sha256[:12]}"


def time_of(name: str) -> datetime:
    """When a snapshot was taken, by its id."""
    return datetime.strptime(name.partition("-")[0], "%Y%m%dT%H%M%S.%fZ").replace(tzinfo=UTC)


def _decode(found: dict[str, Any]) -> Snapshot:
    return Snapshot(
        at=datetime.fromisoformat(found["at"]),
        program=found["program"],
        schema=found["schema"],
        site=found["site"],
        messages=int(found["messages"]),
        tables=tuple(
            TablePart(table=one["table"], rows=one["rows"], objects=tuple(one["objects"]))
            for one in found["tables"]
        ),
        accounts=tuple(
            AccountPart(
                id=one["id"],
                address=one["address"],
                state=one["state"],
                messages=one["messages"],
                objects=tuple(one["objects"]),
            )
            for one in found["accounts"]
        ),
        files=tuple(FilePart(name=one["name"], object=one["object"]) for one in found["files"]),
        master_keys=tuple(found["master_keys"]),
        damaged=tuple(found["damaged"]),
    )
