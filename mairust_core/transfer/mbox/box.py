"""One mbox: of any length, read in one pass, from a file, an archive of one file, or a pipe."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO

from mairust_core.errors import Usage
from mairust_core.i18n import Wording
from mairust_core.model.mailbox import fitting_name
from mairust_core.transfer.dates import file_date, header_of, postmark_date, received_date
from mairust_core.transfer.mbox.beside import Beside, Noted, beside_path, read_beside, status_flags
from mairust_core.transfer.mbox.dialects import BOM, Dialect, begins_mbox
from mairust_core.transfer.mbox.splitting import Splitter
from mairust_core.transfer.opening import oddity, open_plain, unreadable
from mairust_core.transfer.packed.unpacking import PIECE_BYTES, UNREADABLE, Bomb, Read, reading
from mairust_core.transfer.payload import Payload
from mairust_core.transfer.source import Aside, Broken, Fate, Found, Reason, Unusable

START_BYTES = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class MboxMessage:
    """One message of an mbox, already read."""

    path: str
    postmark: bytes
    payload: Payload
    noted: Noted | None
    file_time: datetime
    key: bytes = b""

    @property
    def size_bytes(self) -> int:
        """Exactly."""
        return self.payload.size_bytes

    def flags(self) -> tuple[str, ...]:
        """As the list beside the mbox says, else the message's own status fields."""
        return self.noted.flags if self.noted else status_flags(header_of(self.payload.head))

    def received_at(self) -> datetime:
        """As the list beside the mbox says, else by `From ` line, `Received`, `Date`, or the file's time."""
        if self.noted:
            return self.noted.received_at
        at = postmark_date(self.postmark) or received_date(header_of(self.payload.head))
        return at if at is not None and at.timestamp() >= 0 else self.file_time

    def load(self) -> Payload:
        """Its bytes."""
        return self.payload


class MboxFile:
    """One mbox, of a file or of an open stream; it is one folder.

    One that a person `named` may also be a link or a pipe, one found in a directory may not. `called` is its
    name there, where it differs.
    """

    def __init__(
        self,
        path: str,
        mailbox: str,
        dialect: Dialect | None,
        stream: IO[bytes] | None = None,
        *,
        called: str = "",
        named: bool = False,
    ) -> None:
        self.path = path
        self.mailbox = fitting_name(mailbox)
        self.called = called or mailbox
        self._dialect = dialect
        self._stream = stream
        self._named = named

    def messages(self) -> Iterator[Found | Broken | Aside]:
        """In their order; what cannot be read or decompressed ends it, and is told.

        Raises `Usage` for what a person named and is no mbox.
        """
        beside_it = beside_path(Path(self.path))
        if self._stream is None and (odd := oddity(beside_it)) is not None:
            yield Broken(path=str(beside_it), reason=odd)
        number = 0
        try:
            with self._opened() as (read, file_time, beside):
                dialect = beside.dialect if beside else self._dialect
                splitter = Splitter(read, dialect, own=beside is not None)
                if splitter.head and not begins_mbox(splitter.head):
                    yield self._no_mbox()
                noted = beside.messages if beside else ()
                for number, raw in enumerate(splitter.messages(), 1):
                    path = f"{self.path}#{number}"
                    if raw.guessed:
                        yield Aside(path=path, reason=Reason.of("length"), fate=Fate.CHANGED)
                    yield MboxMessage(
                        path=path,
                        postmark=raw.postmark,
                        payload=raw.payload,
                        noted=noted[number - 1] if number <= len(noted) else None,
                        file_time=file_time,
                    )
        except Unusable as error:
            yield Broken(path=self.path, reason=error.reason)
        except UNREADABLE as error:
            yield Broken(path=f"{self.path}#{number + 1}", reason=_damage(error))

    def _no_mbox(self) -> Broken:
        if self._named:
            raise Usage("not_mbox", path=self.path, looks=Wording("looks.other_file"))
        return Broken(path=self.path, reason=Reason.of("not_mbox"))

    @contextmanager
    def _opened(self) -> Iterator[tuple[Read, datetime, Beside | None]]:
        """How to read it, its file's time, and the list beside it, which counts for its own dialect only."""
        if self._stream is not None:
            yield reading(self._stream), file_date(0), None
            return
        with open(self.path, "rb") if self._named else open_plain(self.path) as file:
            status = os.fstat(file.fileno())
            beside = read_beside(Path(self.path), status.st_size)
            if beside is not None and self._dialect not in {None, beside.dialect}:
                beside = None
            yield reading(file), file_date(status.st_mtime_ns), beside


def mbox_start(file: IO[bytes]) -> bytes:
    """What a file begins with, unpacked, where `begins_mbox` looks; empty when it holds nothing.

    Raises `UNREADABLE`.
    """
    read = reading(file)
    piece = read(START_BYTES)
    start = piece.removeprefix(BOM).lstrip(b"\r\n")
    while piece and not start:  # empty lines only, as far as that
        piece = read(PIECE_BYTES)
        start = piece.lstrip(b"\r\n")
    return start if len(start) >= START_BYTES else start + read(START_BYTES)


def _damage(error: Exception) -> Reason:
    """Why reading broke off: what is packed is damaged unless the system says something else."""
    if isinstance(error, OSError) and error.errno is not None:
        return unreadable(error)
    if isinstance(error, Bomb):
        return Reason.of("bomb", limit=error.limit)
    if isinstance(error, EOFError):
        return Reason.of("damaged", why=error)
    return Reason.of("damaged", key="damaged_before", why=error)  # a checksum stands behind what it is of
