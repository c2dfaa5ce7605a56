"""Messages as files of their own."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from mairust_cli.output import Column, Columns
from mairust_cli.text import size
from mairust_core.errors import Usage
from mairust_core.operations import BytesOut


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
