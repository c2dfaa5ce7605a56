"""What a backup that was begun hands out: rows of one moment, in files below the data directory.

Any worker of the site may be asked for them, so nothing is kept in memory. A spool is deleted when its backup
is done, or by the next one that begins after its pin ended.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from mairust_core.disk import is_full
from mairust_core.errors import DiskFull, NotFound, StorageDown
from mairust_core.transfer.repository.packs import Builder, Directory, Kind

DIRECTORY = "backup"
_ROWS, _LIST, _CONTENTS = "rows", "rows.json", "contents"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spool:
    """The files of one backup."""

    path: Path

    @classmethod
    def of(cls, data_dir: Path, run_id: int) -> Spool:
        """Where those of a run lie."""
        return cls(path=data_dir / DIRECTORY / str(int(run_id)))

    def rows(self) -> Directory:
        """The objects of rows; raises `NotFound` when they are gone."""
        try:
            return Directory.from_json(json.loads((self.path / _LIST).read_bytes()), _LIST)
        except FileNotFoundError as error:
            raise NotFound("backup", id=self.path.name) from error

    def open_rows(self) -> IO[bytes]:
        """The file their frames lie in."""
        return open(self.path / _ROWS, "rb")

    def open_contents(self) -> IO[bytes]:
        """The SHA-256 of every mail, 32 bytes each, some of them several times."""
        try:
            return open(self.path / _CONTENTS, "rb")
        except FileNotFoundError as error:
            raise NotFound("backup", id=self.path.name) from error

    def delete(self) -> None:
        """Give it up; harmless when it is gone."""
        shutil.rmtree(self.path, ignore_errors=True)


@contextmanager
def writing_to(data_dir: Path) -> Iterator[None]:
    """Turn what the operating system refuses into an error of ours; raises `DiskFull`, `StorageDown`."""
    try:
        yield
    except OSError as error:
        kind = DiskFull if is_full(error) else StorageDown
        raise kind("spool", path=data_dir, why=error.strerror or str(error)) from error


class SpoolWriter:
    """Fills a spool; complete when the block ends without an error. Raises `OSError`."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._stack = ExitStack()
        self._known: set[bytes] = set()
        self.contents = 0

    def __enter__(self) -> SpoolWriter:
        self._spool.path.mkdir(mode=0o700, parents=True)
        self._contents = self._stack.enter_context(open(self._spool.path / _CONTENTS, "wb"))
        self._builder = Builder(self._stack.enter_context(open(self._spool.path / _ROWS, "wb")))
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        with self._stack:
            if kind is None:
                told = json.dumps(self._builder.finish().to_json()).encode()
                (self._spool.path / _LIST).write_bytes(told)

    def add(self, data: bytes, kind: Kind = Kind.ROWS) -> str:
        """One object; its id. The same object twice is kept once."""
        id_ = hashlib.sha256(data).digest()
        if id_ not in self._known:
            self._known.add(id_)
            self._builder.add(kind, data, id_)
        return id_.hex()

    def note_contents(self, hashes: Iterable[bytes]) -> None:
        """Mail that the rows refer to."""
        found = list(hashes)
        self.contents += len(found)
        self._contents.write(b"".join(found))


def sweep(data_dir: Path, live: Iterable[int]) -> None:
    """Delete the spools of backups whose pin is over."""
    kept = {str(int(run_id)) for run_id in live}
    directory = data_dir / DIRECTORY
    if directory.is_dir():
        for path in directory.iterdir():
            if path.name.isdigit() and path.name not in kept:
                Spool(path=path).delete()
