"""The file of the master key: one key a line in base64, the newest last; one line but during a rotation."""

from __future__ import annotations

import base64
import binascii
import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from mairust_core.durable import sync_directory
from mairust_core.errors import BadConfig
from mairust_core.observe.faults import crash_point
from mairust_core.vault.envelope import KEY_BYTES, MasterKey

MAX_FILE_BYTES = 4096
REMEMBERED_S = 60.0
"""How long a key that left the file still opens what a transaction under way has read."""


class KeyFile:
    """The keys of a file, read again whenever it changed. Thread-safe."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self.path = path
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: tuple[int, int, int] | None = None
        self._keys: dict[str, MasterKey] = {}
        self._left: dict[str, tuple[float, MasterKey]] = {}

    def keys(self) -> Mapping[str, MasterKey]:
        """The keys by id, the newest last; raises `BadConfig` for a file that is missing or holds no keys."""
        with self._lock:
            try:
                status = self.path.stat()
                seen = (status.st_ino, status.st_mtime_ns, status.st_size)
                if seen != self._seen:
                    self._replace(_read(self.path))
                    self._seen = seen
            except OSError as error:
                raise BadConfig("master_key", path=self.path, why=error.strerror) from error
            return self._keys

    def newest(self) -> MasterKey:
        """The last key of the file."""
        return list(self.keys().values())[-1]

    def find(self, key_id: str) -> MasterKey:
        """The key with this id; raises `BadConfig` when the file does not hold it."""
        keys = self.keys()
        if key_id in keys:
            return keys[key_id]
        left = self._left.get(key_id)
        if left is None or self._clock() - left[0] > REMEMBERED_S:
            raise BadConfig("master_key_unknown", path=self.path, key=key_id)
        return left[1]

    def add(self, key: MasterKey) -> None:
        """Write a key behind those there are, durably."""
        self._write([*self.keys().values(), key])

    def keep_only(self, key_id: str) -> None:
        """Take every other key out of the file, durably."""
        self._write([self.find(key_id)])

    def _replace(self, keys: dict[str, MasterKey]) -> None:
        gone = {key_id: (self._clock(), key) for key_id, key in self._keys.items() if key_id not in keys}
        self._left |= gone
        self._keys = keys

    def _write(self, keys: list[MasterKey]) -> None:
        """Replace the file as a whole: whoever reads it sees the old keys or the new ones.

        One process does it at a time; a draft that a crash left behind is written over by the next one.
        """
        draft = self.path.with_name(f".{self.path.name}.draft")
        text = b"".join(base64.b64encode(key.key) + b"\n" for key in keys)
        try:
            fd = os.open(draft, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
            try:
                os.write(fd, text)
                os.fsync(fd)
            finally:
                os.close(fd)
            crash_point("secrets.file_written")
            os.replace(draft, self.path)
            sync_directory(self.path.parent)
        except OSError as error:
            raise BadConfig("master_key_write", path=self.path, why=error.strerror) from error


def _read(path: Path) -> dict[str, MasterKey]:
    lines = path.read_bytes()[:MAX_FILE_BYTES].split()
    try:
        keys = [base64.b64decode(line, validate=True) for line in lines]
    except binascii.Error:
        keys = []
    if not keys or any(len(key) != KEY_BYTES for key in keys):
        raise BadConfig("master_key", path=path, why=f"it does not hold keys of {KEY_BYTES} bytes in base64")
    return {key.id: key for key in map(MasterKey.of, keys)}
