"""Writing a Maildir that Dovecot, Courier and mail programs read as it is.

A file's name says when its message was received and, as the number of its delivery (`Q`), its place in the
mailbox, which is its UID in Dovecot's list beside it: the order is kept. Its modification time is the date of
receipt.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Self
from zlib import crc32

from mairust_core.ids import to_ms
from mairust_core.model.copies import ExportedCopy
from mairust_core.model.mailbox import INBOX, SEPARATOR
from mairust_core.transfer.maildir.beside import (
    COURIER_KEYWORDS,
    DOVECOT_KEYWORDS,
    DOVECOT_UIDS,
    LETTER_FLAGS,
    SUBSCRIPTIONS,
)
from mairust_core.transfer.names import (
    MAX_FILE_OCTETS,
    RECORD,
    UNLIMITED,
    Names,
    encode_utf7,
    is_shown,
    nested_directory,
    plus_plus_directory,
)
from mairust_core.transfer.source import Reason

HOST = "mairust"
LONG_PAST_S = 1_000_000_000
LETTERS = "abcdefghijklmnopqrstuvwxyz"

_LETTER_OF = {flag: letter for letter, flag in LETTER_FLAGS.items()}


class Layout(StrEnum):
    """Where folders lie: `.A.B` beside each other, or nested directories `A/B` (Dovecot's `LAYOUT=fs`)."""

    PLUS_PLUS = "maildir++"
    NESTED = "nested"


class MaildirWriter:
    """Writes one Maildir into an empty directory, mailbox by mailbox."""

    def __init__(self, root: Path, layout: Layout = Layout.PLUS_PLUS) -> None:
        self._root = root
        self._layout = layout
        self._names = Names()
        self._directory = root
        self._written = 0
        self._uids: _UidList | None = None
        self._keywords: dict[str, int] = {}
        self._more_keywords: list[tuple[str, list[int]]] = []

    def begin(self, mailbox: str) -> Reason | None:
        """Make the folder of a mailbox; messages go there from now on. Why other servers do not show it."""
        name = self._names.free(self._name(mailbox))
        self._directory = self._root / name
        for part in ("tmp", "new", "cur"):
            (self._directory / part).mkdir(parents=True, exist_ok=True, mode=0o700)
        if mailbox != INBOX and self._layout is Layout.PLUS_PLUS:
            (self._directory / "maildirfolder").touch(0o600)
        self._written = 0
        self._uids = _UidList(self._directory)
        self._keywords, self._more_keywords = {}, []
        if self._name(mailbox) != self._name(mailbox, UNLIMITED):
            _write(self._directory / RECORD, [f"{mailbox}\n"])
            return Reason.of("cut_off", directory=name)
        return None if is_shown(mailbox, name) else Reason.of("not_shown", directory=name)

    def _name(self, mailbox: str, octets: int = MAX_FILE_OCTETS) -> str:
        name = plus_plus_directory if self._layout is Layout.PLUS_PLUS else nested_directory
        return name(mailbox, octets)

    def add(self, copy: ExportedCopy, size_bytes: int, chunks: Iterable[bytes]) -> None:
        """Write one message, with its flags and its date."""
        assert self._uids is not None
        number, ms = self._written + 1, to_ms(copy.received_at)
        base = f"{ms // 1000}.M{ms % 1000 * 1000}Q{number}.{HOST},S={size_bytes}"
        temporary = self._directory / "tmp" / base
        try:
            with open(temporary, "wb", opener=_private) as file:
                file.writelines(chunks)
            os.utime(temporary, ns=(ms * 1_000_000, ms * 1_000_000))
            os.rename(temporary, self._directory / "cur" / f"{base}:2,{self._info(base, copy.flags)}")
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
        self._written = number
        self._uids.add(number, base)

    def _info(self, base: str, flags: tuple[str, ...]) -> str:
        letters, more = [], []
        for flag in flags:
            if flag in _LETTER_OF:
                letters.append(_LETTER_OF[flag])
            if not flag.startswith("\\"):  # also $Forwarded, whose P Dovecot does not read
                number = self._keywords.setdefault(flag, len(self._keywords))
                if number < len(LETTERS):
                    letters.append(LETTERS[number])
                else:
                    more.append(number)
        if more:
            self._more_keywords.append((base, more))
        return "".join(sorted(letters))

    def end(self) -> None:
        """Write down UIDs and keywords of the mailbox: 26 as Dovecot does, more than that as Courier does."""
        assert self._uids is not None
        with self._uids:
            self._write_keywords()
        self._uids = None

    def _write_keywords(self) -> None:
        names = list(self._keywords)
        if names:
            lines = [f"{number} {name}\n" for number, name in enumerate(names[: len(LETTERS)])]
            _write(self._directory / DOVECOT_KEYWORDS, lines)
        if self._more_keywords:
            (self._directory / COURIER_KEYWORDS).mkdir(mode=0o700)
            lines = [*(f"{one}\n" for one in names), "\n"]
            lines += [f"{base}:{' '.join(map(str, numbers))}\n" for base, numbers in self._more_keywords]
            _write(self._directory / COURIER_KEYWORDS / ":list", lines)

    def abort(self) -> None:
        """Finish the mailbox with what is in it by now, as far as that is possible."""
        if self._uids is not None:
            with suppress(OSError):
                self.end()

    def subscribe(self, mailboxes: Iterable[str]) -> None:
        """Write down the subscriptions, as Dovecot 2 does."""
        lines = ["\t".join(encode_utf7(part) for part in name.split(SEPARATOR)) + "\n" for name in mailboxes]
        if lines:
            _write(self._root / SUBSCRIPTIONS[0], ["V\t2\n", "\n", *lines])


class _UidList:
    """The UIDs of a folder as Dovecot lists them (version 3), without which it sorts by the time in names.

    UIDVALIDITY is made of the names, so that the same messages have the same one and others another, and is
    long past, so that any that a server gives later is higher. Until the end it is where servers do not look.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / DOVECOT_UIDS
        self._temporary = directory / "tmp" / DOVECOT_UIDS
        self._file = open(self._temporary, "xb", opener=_private)  # noqa: SIM115 - closed on exit
        self._names = 0
        self._next = 1
        self._file.write(self._head())

    def add(self, uid: int, base: str) -> None:
        """One more message."""
        name = base.encode()
        self._names = crc32(name, self._names)
        self._next = uid + 1
        self._file.write(b"%d :%s\n" % (uid, name))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Put it in its place with what is known by now."""
        try:
            with self._file as file:
                file.seek(0)
                file.write(self._head())
            os.rename(self._temporary, self._path)
        except OSError:
            with suppress(OSError):
                self._temporary.unlink()
            raise

    def _head(self) -> bytes:
        return b"3 V%010d N%010d\n" % (1 + self._names % LONG_PAST_S, self._next)


def _write(path: Path, lines: Iterable[str]) -> None:
    with open(path, "w", encoding="utf-8", newline="", opener=_private) as file:
        file.writelines(lines)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
