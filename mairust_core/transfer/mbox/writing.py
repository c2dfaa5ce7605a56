"""Writing mboxes, in the dialect whose way back is exact: mboxrd."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from mairust_core.model.copies import ExportedCopy
from mairust_core.transfer.mbox.beside import Noted, beside_lines, beside_path
from mairust_core.transfer.mbox.dialects import Dialect, quote
from mairust_core.transfer.names import SUBSCRIBED, UNLIMITED, Names, mbox_path
from mairust_core.transfer.source import Reason

SENDER = b"MAILER-DAEMON"

_DAYS = (b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun")
_MONTHS = b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()


def postmark(at: datetime) -> bytes:
    """The line in front of a message received at that time (RFC 4155: asctime, in UTC)."""
    at = at.astimezone(UTC)
    day, month = _DAYS[at.weekday()], _MONTHS[at.month - 1]
    clock = f"{at.day:2d} {at.hour:02d}:{at.minute:02d}:{at.second:02d} {at.year:04d}".encode()
    return b"From %s %s %s %s\n" % (SENDER, day, month, clock)


class MboxWriter:
    """Writes one mbox for each mailbox into an empty directory, or the only one as `single`."""

    def __init__(self, root: Path, *, single: bool = False) -> None:
        self._root = root
        self._single = single
        self._names = Names()
        self._path = root
        self._file: IO[bytes] | None = None
        self._noted: list[Noted] = []
        self._ends: list[int] = []
        self._record = ""

    def begin(self, mailbox: str) -> Reason | None:
        """Open the file of a mailbox; messages go there from now on."""
        self._path, self._record = self._root, ""
        if not self._single:
            wanted = mbox_path(self._root, mailbox)
            if wanted != mbox_path(self._root, mailbox, UNLIMITED):
                self._record = mailbox
            self._path = Path(self._names.free(str(wanted)))
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = open(self._path, "xb", opener=_private)  # noqa: SIM115 - `end` closes it
        self._noted, self._ends = [], []
        if not self._record:
            return None
        return Reason.of("cut_off", directory=self._path.relative_to(self._root))

    def add(self, copy: ExportedCopy, size_bytes: int, chunks: Iterable[bytes]) -> None:
        """Append one message; its flags and exact date go into the list beside the file."""
        assert self._file is not None
        self._file.write(postmark(copy.received_at))
        self._file.writelines(map(quote, _whole_lines(chunks)))
        self._file.write(b"\n")
        self._noted.append(Noted(received_at=copy.received_at, flags=copy.flags))
        self._ends.append(self._file.tell())

    def end(self) -> None:
        """Close the file and write the list beside it."""
        assert self._file is not None
        self._file.close()
        self._write_list()
        self._file = None

    def _write_list(self) -> None:
        size_bytes = self._path.stat().st_size
        with open(beside_path(self._path), "x", encoding="utf-8", opener=_private) as file:
            file.writelines(beside_lines(size_bytes, Dialect.MBOXRD, self._noted, self._record))

    def abort(self) -> None:
        """Leave the messages that are there as a whole and their list, as far as that is possible."""
        if self._file is None:
            return
        with suppress(OSError):
            self._file.close()
        with suppress(OSError):
            whole = bisect_right(self._ends, self._path.stat().st_size)
            os.truncate(self._path, self._ends[whole - 1] if whole else 0)
            self._noted = self._noted[:whole]
            self._write_list()
        self._file = None

    def subscribe(self, mailboxes: Iterable[str]) -> None:
        """Write down the subscriptions, a name on each line."""
        lines = [f"{name}\n" for name in mailboxes]
        if lines and not self._single:
            with open(self._root / SUBSCRIBED, "x", encoding="utf-8", opener=_private) as file:
                file.writelines(lines)


def _whole_lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces that end with a line, for a line begins only behind another one."""
    held = b""
    for chunk in chunks:
        held += chunk
        cut = held.rfind(b"\n") + 1
        if cut:
            yield held[:cut]
            held = held[cut:]
    yield held


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
