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


class Reader:
    """A repository; `identities` are age secret keys when it is encrypted."""

    def __init__(self, path: Path, identities: list[str] | None = None) -> None:
        self.path = path
        self._identities = identities or []
        self._where: dict[str, tuple[Path, int, int]] = {}
        self._last: tuple[Path, bytes] | None = None
        for pack in sorted((path / "packs").glob("??/*")):
            self._list(pack)

    def snapshot(self, name: str) -> dict[str, Any]:
        """One snapshot by its id."""
        (file,) = (self.path / "snapshots").glob(name + ".json*")
        found: dict[str, Any] = json.loads(self._clear(file))
        return found

    def object(self, id_: str) -> bytes:
        """What is in one object, which has its hash."""
        pack, start, length = self._where[id_]
        file = self._open(pack)
        file.seek(start)
        data = zstandard.ZstdDecompressor().decompressobj().decompress(file.read(length))
        if hashlib.sha256(data).hexdigest() != id_:
            raise ValueError(f"object {id_} is damaged")
        return data

    def mails(self, snapshot: dict[str, Any]) -> Iterator[Mail]:
        """Every message of a snapshot that lies in a mailbox."""
        for account in snapshot["accounts"]:
            rows = self.rows(account["objects"])
            boxes = {row["id"]: row["name"] for row in rows.get("mailbox", [])}
            messages = {row["id"]: row for row in rows.get("message", [])}
            for place in rows.get("placement", []):
                message = messages[place["message_id"]]
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

    def rows(self, objects: list[str]) -> dict[str, list[dict[str, Any]]]:
        """The rows of some objects, by table."""
        found: dict[str, list[dict[str, Any]]] = {}
        for id_ in objects:
            for line in self.object(id_).splitlines():
                part = json.loads(line)
                found.setdefault(part["table"], []).extend(
                    dict(zip(part["columns"], row, strict=True)) for row in part["rows"]
                )
        return found

    def _list(self, pack: Path) -> None:
        file = self._open(pack)
        file.seek(-8, 2)
        tail = file.read(8)
        if tail[4:] != b"MRPK":
            return
        length = int.from_bytes(tail[:4], "little")
        file.seek(-8 - length, 2)
        directory = json.loads(file.read(length))
        start = 0
        for number, stored in enumerate(directory["stored"]):
            id_ = directory["ids"][number * 64 : number * 64 + 64]
            self._where.setdefault(id_, (pack, start, stored))
            start += stored

    def _open(self, file: Path) -> BinaryIO:
        if self._last is None or self._last[0] != file:  # one pack at a time, as it is read object by object
            self._last = (file, self._clear(file))
        return io.BytesIO(self._last[1])

    def _clear(self, file: Path) -> bytes:
        data = file.read_bytes()
        if file.suffix != ".age":
            return data
        import pyrage

        return bytes(pyrage.decrypt(data, [pyrage.x25519.Identity.from_str(one) for one in self._identities]))
