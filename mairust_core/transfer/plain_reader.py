"""Reads a backup by the book: a second reader of the format, which shares no code with the first.

It follows `docs/reference/backup-format.md` with the standard library and zstd, so that a rehearsal compares
what was restored with what a stranger would find. Nothing of MaiRust is imported here, and a test says so.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import zstandard


@dataclass(frozen=True, slots=True)
class Mail:
    """One message as the backup has it."""

    account: str
    mailbox: str
    uid: int
    id: int
    sha256: str
    flags: int
    keywords: list[str]
    tags: list[str]
    received_ms: int


class Unreadable(Exception):
    """Something of the repository, by its `name`, is not what the book says, and `why`."""

    def __init__(self, name: str, why: object) -> None:
        super().__init__(f"{name} is damaged: {why}")
        self.name, self.why = name, str(why)


HELD = 2
"""Packs in the clear that are kept: messages and their places are read side by side."""


class Reader:
    """A repository; `identities` are age secret keys when it is encrypted.

    It holds some rows at a time and remembers where rows are, but not where mail is: there may be very much.
    Raises `Unreadable` for what it needs and cannot read.
    """

    def __init__(self, path: Path, identities: list[str] | None = None) -> None:
        self.path = path
        self._identities = identities or []
        self._packs: list[Path] = []
        self._unread: list[Unreadable] = []
        """Of packs whose directory cannot be read: what is missing may lie in them."""
        self._where: dict[str, tuple[Path, int, int]] = {}
        self._tables: dict[str, set[str]] = {}
        self._held: dict[Path, bytes] = {}
        for pack in sorted((path / "packs").glob("??/*")):
            self._note(pack)

    def snapshot(self, name: str) -> dict[str, Any]:
        """One snapshot by its id."""
        (file,) = (self.path / "snapshots").glob(name + ".json*")
        found: dict[str, Any] = json.loads(self._clear(file))
        return found

    def object(self, id_: str) -> bytes:
        """What is in one object, which has its hash; for mail all packs are looked through."""
        pack, start, length = self._where.get(id_) or self._search(id_)
        with self._open(pack) as file:
            file.seek(start)
            stored = file.read(length)
        try:
            data = zstandard.ZstdDecompressor().decompressobj().decompress(stored)
        except zstandard.ZstdError as error:
            raise Unreadable(f"the object {id_}", error) from error
        if hashlib.sha256(data).hexdigest() != id_:
            raise Unreadable(f"the object {id_}", "its bytes have another SHA-256")
        return data

    def mails(self, snapshot: dict[str, Any]) -> Iterator[Mail]:
        """Every message of a snapshot that lies in a mailbox, account by account, in the order of ids."""
        for account in snapshot["accounts"]:
            objects = account["objects"]
            boxes = {row["id"]: row["name"] for row in self.rows(objects, "mailbox")}
            messages = self.rows(objects, "message")
            message = next(messages, None)
            for place in self.rows(objects, "placement"):
                while message is not None and message["id"] < place["message_id"]:
                    message = next(messages, None)
                if message is None or message["id"] != place["message_id"]:
                    raise Unreadable(f"the message {place['message_id']}", "it has a place and no row")
                yield Mail(
                    account=account["address"],
                    mailbox=boxes[place["mailbox_id"]],
                    uid=place["uid"],
                    id=message["id"],
                    sha256=message["sha256"],
                    flags=place["flags"],
                    keywords=json.loads(place["keywords"]),
                    tags=json.loads(message["tags"]),
                    received_ms=message["received_ms"],
                )

    def rows(self, objects: list[str], table: str) -> Iterator[dict[str, Any]]:
        """The rows of one table in some objects, in their order."""
        for id_ in objects:
            if table not in self._tables.get(id_, {table}):
                continue
            parts = [json.loads(line) for line in self.object(id_).splitlines()]
            self._tables[id_] = {part["table"] for part in parts}
            for part in parts:
                if part["table"] == table:
                    yield from (dict(zip(part["columns"], row, strict=True)) for row in part["rows"])

    def _note(self, pack: Path) -> None:
        """Remember a pack, and where its rows and files are."""
        try:
            found = [(id_, place) for kind, id_, place in self._listed(pack) if kind != "m"]
        except (OSError, ValueError, LookupError, TypeError) as error:
            self._unread.append(Unreadable(pack.name.partition(".")[0], error))
            return
        self._packs.append(pack)
        for id_, place in found:
            self._where.setdefault(id_, place)

    def _listed(self, pack: Path) -> Iterator[tuple[str, str, tuple[Path, int, int]]]:
        """The kind and id of each object of a pack, and where it lies."""
        with self._open(pack) as file:
            file.seek(-8, 2)
            tail = file.read(8)
            if tail[4:] != b"MRPK":
                raise ValueError("it does not end with a directory")
            length = int.from_bytes(tail[:4], "little")
            file.seek(-8 - length, 2)
            directory = json.loads(file.read(length))
        start = 0
        for number, stored in enumerate(directory["stored"]):
            id_ = directory["ids"][number * 64 : number * 64 + 64]
            yield directory["kinds"][number], id_, (pack, start, stored)
            start += stored

    def _search(self, id_: str) -> tuple[Path, int, int]:
        for pack in self._packs:
            for _, found, place in self._listed(pack):
                if found == id_:
                    return place
        raise self._unread[0] if self._unread else Unreadable(f"the object {id_}", "it is in no pack")

    def _open(self, file: Path) -> BinaryIO:
        if file.suffix != ".age":
            return open(file, "rb")
        if file not in self._held:
            while len(self._held) >= HELD:
                del self._held[next(iter(self._held))]
            self._held[file] = self._clear(file)
        return io.BytesIO(self._held[file])

    def _clear(self, file: Path) -> bytes:
        data = file.read_bytes()
        if file.suffix != ".age":
            return data
        import pyrage

        try:
            identities = [pyrage.x25519.Identity.from_str(one) for one in self._identities]
            return bytes(pyrage.decrypt(data, identities))
        except pyrage.DecryptError as error:
            raise ValueError(f"it does not decrypt ({error})") from error
