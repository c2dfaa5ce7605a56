"""Messages as files of their own."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from mairust_cli.output import Column, Columns
from mairust_cli.text import size
from mairust_core.errors import Usage
from mairust_core.operations import BytesIn, BytesOut

if TYPE_CHECKING:
    from mairust_cli.session import Session

CHUNK_BYTES = 1 << 18
STDIN = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """A message that was written to a file; `size` in bytes."""

    id: str
    file: str
    size: int


EXPORTED: Columns[Exported] = (
    Column("Id", lambda one: one.id),
    Column("File", lambda one: one.file),
    Column("Size", lambda one: size(one.size), right=True),
)


def made_directory(name: str) -> Path:
    """The directory of that name, made if it is not there; raises `Usage`."""
    directory = Path(name)
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Usage("unwritable_file", path=name, why=error.strerror) from error
    return directory


def write_message(directory: Path, id_: str, content: BytesOut) -> Exported:
    """Write one message as ID.eml, readable by its owner only; a file there is replaced when all has come.

    Raises `Usage` when it cannot be written, and what reading the content raises.
    """
    path = directory / f"{id_}.eml"
    try:
        fd, name = tempfile.mkstemp(prefix=f".{id_}.", dir=directory)
    except OSError as error:
        raise Usage("unwritable_file", path=directory, why=error.strerror) from error
    try:
        with os.fdopen(fd, "wb") as file:
            for chunk in content.chunks:
                file.write(chunk)
        os.replace(name, path)
    except BaseException as error:
        Path(name).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise Usage("unwritable_file", path=path, why=error.strerror) from error
        raise
    return Exported(id=id_, file=str(path), size=content.size_bytes)


@contextmanager
def opened_message(session: Session, file: str) -> Iterator[BytesIn]:
    """The content of the file, or of stdin; raises `Usage`."""
    if file == STDIN:
        yield BytesIn(chunks=_chunks(session.input_bytes))
        return
    try:
        source = open(file, "rb")  # noqa: SIM115 - closed below; only opening it may fail so
    except OSError as error:
        raise Usage("unreadable_file", path=file, why=error.strerror) from error
    with source:
        status = os.fstat(source.fileno())
        size_bytes = status.st_size if stat.S_ISREG(status.st_mode) else None
        yield BytesIn(chunks=_chunks(source), size_bytes=size_bytes)


def _chunks(source: BinaryIO) -> Iterator[bytes]:
    while chunk := source.read(CHUNK_BYTES):
        yield chunk
