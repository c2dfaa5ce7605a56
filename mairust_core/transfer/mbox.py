"""Reading mboxes: of any length, in one pass, from files, archives of one file, or a pipe."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any, cast

from mairust_core.model.mailbox import INBOX, SEPARATOR, fitting_name
from mairust_core.transfer.dates import HEAD_BYTES, file_date, postmark_date, received_date
from mairust_core.transfer.dialects import (
    Dialect,
    content_length,
    fits,
    is_postmark,
    unquote,
)
from mairust_core.transfer.mbox_files import SUFFIX, Beside, Noted, beside_path, read_beside, status_flags
from mairust_core.transfer.names import decoded_part, folder_mailbox
from mairust_core.transfer.opening import oddity, open_plain
from mairust_core.transfer.payload import Gathering, Payload
from mairust_core.transfer.source import Broken, Found, Reason, Unusable

SUBSCRIBED = "subscriptions"
BLOCK_BYTES = 1 << 20
MAX_LINE_BYTES = 16 << 10
"""How much behind a `From ` is looked at to know what it is."""
LONGEST_LINE_BYTES = 4 << 20
"""A longer line is passed on in pieces."""
COMPRESSED = {".gz", ".bz2", ".xz"}
_MAGIC = ((b"\x1f\x8b", "gz"), (b"BZh", "bz2"), (b"\xfd7zXZ\x00", "xz"))
_BROKEN_ARCHIVE = (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile)

Read = Callable[[int], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """One message as it lies in an mbox: its `From ` line, and its bytes."""

    postmark: bytes
    payload: Payload


class Splitter:
    """Parts an mbox into its messages; holds little more than one block, however long they are.

    Without a `dialect` each message tells whether its `Content-Length` holds. With `exact` every `From ` line
    parts messages, and one line end before it does not belong to them, as our own export writes.
    """

    def __init__(self, read: Read, dialect: Dialect | None = None, *, exact: bool = False) -> None:
        self._read = read
        self._exact = exact
        self._held = b""
        self._ended = False
        self._on_line = True  # what is held begins with a whole line
        self._need(BLOCK_BYTES)
        self._held = self._held.removeprefix(b"\xef\xbb\xbf")
        self._skip_blank()
        head = self._held[:BLOCK_BYTES]
        self._end = b"\r" if b"\n" not in head and b"\r" in head else b"\n"
        self._lengths = dialect in {None, Dialect.MBOXCL, Dialect.MBOXCL2} and not exact
        self._quoted = dialect is Dialect.MBOXRD

    @property
    def head(self) -> bytes:
        """The beginning of the mbox, empty when there is nothing in it."""
        return self._held[:HEAD_BYTES]

    def messages(self) -> Iterator[Raw]:
        """Its messages, in order; nothing when it does not begin like an mbox."""
        while self._held.startswith(b"From "):
            postmark = self._take_line()
            yield Raw(postmark=postmark, payload=self._measured() or self._scanned())

    def _measured(self) -> Payload | None:
        """The message by its own `Content-Length`, None without one that fits."""
        if not self._lengths:
            return None
        self._need(HEAD_BYTES)
        length = content_length(self._held[:HEAD_BYTES])
        if length is None:
            return None
        stop = sum(length)
        self._need(stop + 16)
        if not fits(self._held, stop):
            return None
        raw, self._held = self._held[:stop], self._held[stop:]
        self._skip_blank()
        return Payload.of(raw)

    def _scanned(self) -> Payload:
        """The message up to the next line that parts messages, or to the end."""
        gathering = Gathering()
        self._on_line = True
        if self._held.startswith(b"From ") and self._parts(0, after_blank=False):
            return gathering.finish()
        mark, at = self._end + b"From ", 0
        while True:
            found = self._held.find(mark, at)
            if found >= 0:
                self._need(found + MAX_LINE_BYTES)
                if self._parts(found + 1, after_blank=self._is_blank(found)):
                    break
                at = found + 1
            elif self._ended:
                found = len(self._held) - 1
                break
            else:
                at = self._pass_on(gathering)
        raw, self._held = self._held[: found + 1], self._held[found + 1 :]
        gathering.add(self._unquoted(self._without_end(raw)))
        return gathering.finish()

    def _parts(self, start: int, *, after_blank: bool) -> bool:
        """Whether the line at `start` parts messages."""
        if self._exact:
            return True
        line, _, rest = self._held[start : start + MAX_LINE_BYTES].partition(self._end)
        return is_postmark(line, after_blank=after_blank, next_line=rest[:200])

    def _is_blank(self, line_end: int) -> bool:
        """Whether the line that ends there is empty."""
        before = self._held[max(line_end - 2, 0) : line_end]
        if before.endswith(b"\r") and self._end == b"\n":
            before = before[:-1]
        elif len(before) == 2:
            before = before[1:]
        return before == self._end or (not before and self._on_line)

    def _without_end(self, raw: bytes) -> bytes:
        """A message without the empty line behind it, which belongs to the mbox."""
        line_end = b"\r\n" if raw.endswith(b"\r\n") and not self._exact else self._end
        if not raw.endswith(line_end):
            return raw
        shorter = raw[: -len(line_end)]
        if self._exact or shorter.endswith(self._end) or (not shorter and self._on_line):
            return shorter
        return raw

    def _pass_on(self, gathering: Gathering) -> int:
        """Take what is searched out of what is held, and hold more; where to go on searching."""
        keep = max(len(self._held) - MAX_LINE_BYTES, 0)
        cut = self._held.rfind(self._end, 0, keep) + 1
        on_line = True
        if not cut and len(self._held) > LONGEST_LINE_BYTES:
            cut, on_line = keep, False
        if cut > BLOCK_BYTES // 2:
            gathering.add(self._unquoted(self._held[:cut]))
            self._held, self._on_line = self._held[cut:], on_line
        at = max(len(self._held) - len(b"\nFrom "), 0)
        self._more()
        return at

    def _unquoted(self, raw: bytes) -> bytes:
        return unquote(raw) if self._quoted else raw

    def _take_line(self) -> bytes:
        self._need(MAX_LINE_BYTES)
        line, end, _ = self._held[:MAX_LINE_BYTES].partition(self._end)
        self._held = self._held[len(line) + len(end) :]
        return line

    def _skip_blank(self) -> None:
        while True:
            self._held = self._held.lstrip(b"\r\n")
            if self._held or self._ended:
                return
            self._more()

    def _need(self, size: int) -> None:
        while len(self._held) < size and not self._ended:
            self._more()

    def _more(self) -> None:
        block = self._read(BLOCK_BYTES)
        self._ended = not block
        self._held += block


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
        return self.noted.flags if self.noted else status_flags(self.payload.head(HEAD_BYTES))

    def received_at(self) -> datetime:
        """As the list beside the mbox says, else by `From ` line, `Received`, `Date`, or the file's time."""
        if self.noted:
            return self.noted.received_at
        at = postmark_date(self.postmark) or received_date(self.payload.head(HEAD_BYTES))
        return at if at is not None and at.timestamp() >= 0 else self.file_time

    def load(self) -> Payload:
        """Its bytes."""
        return self.payload


class MboxFile:
    """One mbox, of a file or of an open stream; it is one folder.

    One that a person `named` may also be a link or a pipe, one found in a directory may not.
    """

    def __init__(
        self,
        path: str,
        mailbox: str,
        dialect: Dialect | None,
        stream: IO[bytes] | None = None,
        *,
        named: bool = False,
    ) -> None:
        self.path = path
        self.mailbox = fitting_name(mailbox)
        self.called = mailbox
        self._dialect = dialect
        self._stream = stream
        self._named = named

    def messages(self) -> Iterator[Found | Broken]:
        """In their order; what cannot be decompressed ends it, and is told."""
        number = 0
        beside_it = beside_path(Path(self.path))
        if self._stream is None and (odd := oddity(beside_it)) is not None:
            yield Broken(path=str(beside_it), reason=odd)
        try:
            with _opened(self.path, self._stream, named=self._named) as (read, file_time, beside):
                noted = beside.messages if beside else ()
                dialect = self._dialect or (beside.dialect if beside else None)
                splitter = Splitter(read, dialect, exact=beside is not None and self._dialect is None)
                if splitter.head and not splitter.head.startswith(b"From "):
                    yield Broken(path=self.path, reason=Reason.of("not_mbox"))
                for number, raw in enumerate(splitter.messages(), 1):
                    yield MboxMessage(
                        path=f"{self.path}#{number}",
                        postmark=raw.postmark,
                        payload=raw.payload,
                        noted=noted[number - 1] if number <= len(noted) else None,
                        file_time=file_time,
                    )
        except Unusable as error:
            yield Broken(path=self.path, reason=error.reason)
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            yield Broken(path=f"{self.path}#{number + 1}", reason=Reason.of("unreadable", why=why))
        except _BROKEN_ARCHIVE as error:
            yield Broken(path=f"{self.path}#{number + 1}", reason=Reason.of("damaged", why=error))


@contextmanager
def _opened(
    path: str, stream: IO[bytes] | None, *, named: bool
) -> Iterator[tuple[Read, datetime, Beside | None]]:
    """How to read an mbox, its file's time, and the list beside it."""
    if stream is not None:
        yield unpacked(stream).read, file_date(0), None
        return
    with open(path, "rb") if named else open_plain(path) as file:
        status = os.fstat(file.fileno())
        beside = read_beside(Path(path), status.st_size)
        yield unpacked(file).read, file_date(status.st_mtime_ns), beside


def unpacked(file: IO[bytes]) -> IO[bytes]:
    """The content of a file that may be packed by gzip, bzip2 or xz, which its first bytes tell."""
    peeking: Any = file if hasattr(file, "peek") else io.BufferedReader(cast(io.RawIOBase, file))
    start = peeking.peek(6)[:6]
    kind = next((name for magic, name in _MAGIC if start.startswith(magic)), "")
    if kind == "gz":
        return cast(IO[bytes], gzip.GzipFile(fileobj=peeking))
    if kind == "bz2":
        return bz2.BZ2File(peeking)
    if kind == "xz":
        return lzma.LZMAFile(peeking)
    return cast(IO[bytes], peeking)


class Mboxes:
    """The mboxes of one account: a file, a stream, or a directory of files.

    `mailbox` is where all of them go; without it a file goes to INBOX, and those of a directory to mailboxes
    of their names: `Sent.mbox`, Thunderbird's `Inbox.sbd/Lists`, Apple Mail's `Sent.mbox/mbox`.
    """

    def __init__(
        self, root: str, *, mailbox: str = "", dialect: Dialect | None = None, stream: IO[bytes] | None = None
    ) -> None:
        self.path = root
        self._mailbox = mailbox
        self._dialect = dialect
        self._stream = stream
        self._notes: list[str] = []

    def folders(self) -> Iterator[MboxFile]:
        """INBOX first, then by name."""
        self._notes.clear()
        if self._stream is not None or not os.path.isdir(self.path):
            name = self._mailbox or folder_mailbox(())
            yield MboxFile(self.path, name, self._dialect, self._stream, named=True)
            return
        files = sorted(self._files(Path(self.path), ()), key=lambda one: (one.mailbox != INBOX, one.mailbox))
        yield from files

    def _files(self, directory: Path, parts: tuple[str, ...]) -> Iterator[MboxFile]:
        for path in sorted(directory.iterdir()):
            if path.name.startswith(".") or path.is_symlink():
                continue
            if path.is_dir():
                yield from self._files(path, (*parts, decoded_part(path.name.removesuffix(".sbd"))))
            elif self._is_mbox(path):
                yield MboxFile(str(path), self._mailbox or _mailbox_of(path, parts), self._dialect)

    def _is_mbox(self, path: Path) -> bool:
        if path.name.endswith((SUFFIX, ".msf")):
            return False
        if path.name == SUBSCRIBED:
            return oddity(path) is not None  # reading it tells
        try:
            with open_plain(path) as file:
                start = unpacked(file).read(64).removeprefix(b"\xef\xbb\xbf").lstrip(b"\r\n")
        except (OSError, Unusable):
            return True  # reading it tells why it cannot be read
        except _BROKEN_ARCHIVE:
            return True
        if start.startswith(b"From ") or (not start and path.suffix in {".mbox", ".mbx"}):
            return True
        self._notes.append(f"{path} does not begin like an mbox and is left alone")
        return False

    def subscribed(self) -> tuple[str, ...]:
        """As an export wrote them."""
        try:
            with open_plain(Path(self.path) / SUBSCRIBED) as file:
                lines = file.read().decode("utf-8").splitlines()
        except (OSError, UnicodeDecodeError, Unusable):
            return ()
        return tuple(folder_mailbox([line]) for line in lines if line)

    def expected(self) -> int | None:
        """Nobody knows before it is read."""
        return None

    def notes(self) -> tuple[str, ...]:
        """Files that were left alone, known once all folders were asked for."""
        return tuple(self._notes)


def _mailbox_of(path: Path, parts: tuple[str, ...]) -> str:
    name = path.name
    for suffix in COMPRESSED:
        name = name.removesuffix(suffix)
    if name == "mbox" and parts:
        return SEPARATOR.join((*parts[:-1], parts[-1].removesuffix(".mbox")))
    name = name.removesuffix(".mbox").removesuffix(".mbx")
    return SEPARATOR.join((*parts, decoded_part(name)))
