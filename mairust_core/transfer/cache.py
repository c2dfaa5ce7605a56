"""The hashes of files read before, so that an unchanged Maildir is not read again (rule I1).

    magic 16 · (key 16 · SHA-256 32 · check 4) …

One file for each source. A key stands for a file by folder, name, inode, size and modification time. What is
torn or damaged is passed over, and without the file everything is read again: it saves time, and nothing
depends on it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from zlib import crc32

MAGIC = b"MaiRust hashes 1"
RECORD_BYTES = 52
FLUSH_RECORDS = 1000
_DATA_BYTES = 48


class HashCache:
    """Hashes by key, in a file of a directory; never raises for what the disk does."""

    def __init__(self, directory: Path, source: str) -> None:
        name = blake2b(os.fsencode(source), digest_size=16).hexdigest()
        self._path = directory / f"{name}.hashes"
        self._known = dict(self._read())
        self._new: list[bytes] = []

    def get(self, key: bytes) -> bytes | None:
        """The SHA-256 of the file that a key stands for."""
        return self._known.get(key) if key else None

    def put(self, key: bytes, sha256: bytes) -> None:
        """Remember one."""
        if key and self._known.get(key) != sha256:
            self._known[key] = sha256
            self._new.append(_record(key + sha256))
            if len(self._new) >= FLUSH_RECORDS:
                self.flush()

    def flush(self) -> None:
        """Write what is new; forgotten when that is not possible."""
        records, self._new = self._new, []
        if not records:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with open(self._path, "ab") as file:
                torn = (file.tell() - len(MAGIC)) % RECORD_BYTES if file.tell() else 0
                padding = bytes(RECORD_BYTES - torn) if torn else b""
                file.write((b"" if file.tell() else MAGIC) + padding + b"".join(records))
        except OSError:  # a full or read-only disk: the next run reads these files again
            return

    def _read(self) -> Iterator[tuple[bytes, bytes]]:
        try:
            data = self._path.read_bytes()
        except OSError:
            return
        if not data.startswith(MAGIC):
            return
        for start in range(len(MAGIC), len(data) - RECORD_BYTES + 1, RECORD_BYTES):
            record = data[start : start + RECORD_BYTES]
            if _record(record[:_DATA_BYTES]) == record:
                yield record[:16], record[16:_DATA_BYTES]


def _record(data: bytes) -> bytes:
    return data + crc32(data).to_bytes(4, "little")
