"""Messages of a Maildir, each a file that may get another name, or change, while it is read."""

from __future__ import annotations

import os
from datetime import datetime
from hashlib import blake2b
from typing import NamedTuple

from mairust_core.model.blob import MEMORY_LIMIT_BYTES
from mairust_core.transfer.dates import file_date
from mairust_core.transfer.maildir.beside import Keywords, split_name, told_size
from mairust_core.transfer.opening import open_plain, unreadable
from mairust_core.transfer.packed.mail import as_it_came
from mairust_core.transfer.payload import Payload
from mairust_core.transfer.source import Reason, Unusable

ATTEMPTS = 3
UNPACKED = "2\0"
"""Hashes remembered without it may be those of packed mail as it lies there."""


class Entry(NamedTuple):
    """One file, as its directory and its inode tell; hundreds of thousands of them are held at a time."""

    order: int
    mtime_ns: int
    name: str
    size: int
    inode: int
    is_new: bool


class MaildirMessage:
    """One message file."""

    __slots__ = ("_directory", "_entry", "_keywords")

    def __init__(self, directory: str, keywords: Keywords, entry: Entry) -> None:
        self._directory = directory
        self._keywords = keywords
        self._entry = entry

    @property
    def path(self) -> str:
        """Its file."""
        return f"{self._directory}/{'new' if self._entry.is_new else 'cur'}/{self._entry.name}"

    @property
    def size_bytes(self) -> int:
        """The size of the file when its folder was listed."""
        return self._entry.size

    @property
    def key(self) -> bytes:
        """Of folder, name without flags, inode, size and modification time."""
        entry = self._entry
        if not entry.inode:
            return b""
        state = f"{entry.inode} {entry.size} {entry.mtime_ns}"
        text = f"{UNPACKED}{self._directory}\0{split_name(entry.name)[0]}\0{state}"
        return blake2b(text.encode("utf-8", "surrogateescape"), digest_size=16).digest()

    def flags(self) -> tuple[str, ...]:
        """By the letters of its name."""
        base, letters = split_name(self._entry.name)
        return self._keywords.flags(base, letters)

    def received_at(self) -> datetime:
        """The modification time of the file, which servers set to IMAP's INTERNALDATE."""
        return file_date(self._entry.mtime_ns)

    def load(self) -> Payload:
        """Its bytes, unpacked, once they stay the same while read; under its new name if it got one."""
        for attempt in range(ATTEMPTS):
            try:
                if (payload := self._read()) is not None:
                    return as_it_came(payload, told_size(split_name(self._entry.name)[0]))
            except FileNotFoundError:
                if attempt == ATTEMPTS - 1 or not self._find():
                    raise Unusable(Reason.of("vanished")) from None
            except OSError as error:
                raise Unusable(unreadable(error)) from error
        raise Unusable(Reason.of("changed"))

    def _read(self) -> Payload | None:
        """The file's content, its time and size taken anew; None when it changed meanwhile."""
        file = open_plain(self.path, buffered=False)  # a large one stays open in its payload
        payload = None
        try:
            before = self.stat(file.fileno())
            if before.st_size > MEMORY_LIMIT_BYTES:
                found = Payload.of_file(file)
            else:
                found = Payload.of(file.read(before.st_size + 1))
            after = self.stat(file.fileno())
            unchanged = before.st_size == after.st_size and before.st_mtime_ns == after.st_mtime_ns
            if unchanged and found.size_bytes == after.st_size:
                payload = found
                self._note(after)
        finally:
            if payload is None or not payload.in_file:
                file.close()
        return payload

    def _note(self, found: os.stat_result) -> None:
        """Keep what the file is like now; most of them are as they were listed."""
        listed = self._entry
        now = (found.st_size, found.st_mtime_ns, found.st_ino)
        if (listed.size, listed.mtime_ns, listed.inode) != now:
            self._entry = listed._replace(size=now[0], mtime_ns=now[1], inode=now[2])

    def stat(self, fd: int) -> os.stat_result:
        """What its file is like now."""
        return os.fstat(fd)

    def _find(self) -> bool:
        """Look for the file under the name it may have now: seen meanwhile, or flagged."""
        base = split_name(self._entry.name)[0]
        for part in ("cur", "new"):
            try:
                names = os.listdir(os.path.join(self._directory, part))
            except OSError:
                continue
            for name in names:
                if split_name(name)[0] == base:
                    self._entry = self._entry._replace(name=name, is_new=part == "new")
                    return True
        return False
