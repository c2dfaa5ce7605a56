"""The mboxes of one account: a file, a stream, or a directory of files."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from mairust_core.model.mailbox import INBOX, SEPARATOR
from mairust_core.transfer.dates import postmark_date
from mairust_core.transfer.mbox.beside import SUFFIX, read_record
from mairust_core.transfer.mbox.box import MboxFile, mbox_start
from mairust_core.transfer.mbox.dialects import Dialect, begins_mbox
from mairust_core.transfer.names import (
    SUBSCRIBED,
    UNFINISHED,
    called_part,
    decoded_part,
    dovecot_subscriptions,
    folder_mailbox,
    mbox_path,
    whole_parts,
)
from mairust_core.transfer.opening import open_plain, unreadable
from mairust_core.transfer.packed.unpacking import SUFFIXES, UNREADABLE
from mairust_core.transfer.source import Aside, Broken, Fate, Reason, Unusable, unfinished

BESIDE = (SUFFIX, ".msf")
"""What our own list and Thunderbird's index beside an mbox are called behind its name."""

HIDDEN_LIST = "." + SUBSCRIBED
DOVECOT_INDEXES = ".imap"
"""Where Dovecot has a directory for each mbox that lies beside it."""


class Mboxes:
    """What one account gets of mboxes.

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
        self._left: list[Broken | Aside] = []

    def folders(self) -> Iterator[MboxFile]:
        """INBOX first, then by name."""
        self._left.clear()
        if self._stream is not None or not os.path.isdir(self.path):
            name = self._mailbox or folder_mailbox(())
            yield MboxFile(self.path, name, self._dialect, self._stream, named=True)
            return
        files = sorted(self._files(Path(self.path), ()), key=lambda one: (one.mailbox != INBOX, one.mailbox))
        yield from files

    def _files(self, directory: Path, levels: tuple[str, ...], *, hidden: bool = False) -> Iterator[MboxFile]:
        try:
            names = sorted(os.listdir(directory))
        except OSError as error:
            self._left.append(Broken(path=str(directory), reason=unreadable(error)))
            return
        for name in names:
            path = directory / name
            concealed = hidden or name.startswith(".")
            belongs = any(name.endswith(end) and name.removesuffix(end) in names for end in BESIDE)
            kind = self._kind(path)
            if kind == stat.S_IFDIR:
                yield from self._files(path, (*levels, name.removesuffix(".sbd")), hidden=concealed)
            elif not levels and name == UNFINISHED:
                self._left.append(unfinished(path))
            elif kind is None or not self._is_mbox(path, belongs=belongs, hidden=concealed):
                continue
            elif concealed:
                self._left.append(Broken(path=str(path), reason=Reason.of("hidden", key="hidden_mbox")))
            else:
                yield self._file(path, levels)

    def _kind(self, path: Path) -> int | None:
        """What kind of file it is; None for a link and what is gone or cannot be reached, which is told."""
        try:
            kind = stat.S_IFMT(path.lstat().st_mode)
        except OSError as error:
            self._left.append(Broken(path=str(path), reason=unreadable(error)))
            return None
        if kind != stat.S_IFLNK:
            return kind
        key = "a_directory_link" if os.path.isdir(path) else "a_link"
        self._left.append(Broken(path=str(path), reason=Reason.of("unreadable", key=key)))
        return None

    def _is_mbox(self, path: Path, *, belongs: bool, hidden: bool) -> bool:
        """Whether it begins like one, or cannot be opened, which reading it tells."""
        try:
            with open_plain(path) as file:
                start = mbox_start(file)
        except (Unusable, *UNREADABLE):
            return not belongs
        if path.name == SUBSCRIBED:
            return not _is_list(start)
        if begins_mbox(start) or (not start and _may_be_empty(path)):
            return True
        if not belongs and not hidden:
            reason = Reason.of("not_mbox", key="left_mbox")
            self._left.append(Aside(path=str(path), reason=reason, fate=Fate.LEFT))
        return False

    def _file(self, path: Path, levels: tuple[str, ...]) -> MboxFile:
        place = whole_parts(
            _place_of(path.name, levels),
            lambda: read_record(path),
            lambda mailbox: mbox_path(Path(self.path), mailbox) == path,
        )
        mailbox = self._mailbox or SEPARATOR.join(map(decoded_part, place))
        called = self._mailbox or SEPARATOR.join(map(called_part, place))
        return MboxFile(str(path), mailbox, self._dialect, called=called)

    def may_hold_some(self) -> bool:
        """Whether there is an mbox in the directory, or something that has to be told; stops at the first."""
        self._left.clear()
        found = any(True for _ in self._files(Path(self.path), ()))
        return found or any(isinstance(one, Broken) for one in self._left)

    def subscribed(self) -> tuple[str, ...]:
        """As an export wrote them, or Dovecot, whose mbox store hides the list."""
        for name in (SUBSCRIBED, HIDDEN_LIST):
            if lines := self._listed(Path(self.path) / name):
                found = dovecot_subscriptions(lines)
                return _names(lines, decoded=name == HIDDEN_LIST) if found is None else found
        return ()

    def _listed(self, path: Path) -> list[str]:
        try:
            with open_plain(path) as file:
                is_list = _is_list(mbox_start(file))
            with open_plain(path) as file:
                return file.read().decode("utf-8").splitlines() if is_list else []
        except (UnicodeDecodeError, Unusable, *UNREADABLE):
            return []

    def expected(self) -> int | None:
        """Nobody knows before it is read."""
        return None

    def left(self) -> tuple[Broken | Aside, ...]:
        """Directories that cannot be read, links, hidden mboxes, and files that are no mboxes."""
        return tuple(self._left)


def _may_be_empty(path: Path) -> bool:
    """Whether a file without anything in it is an mbox: by its name, or by a mail program's index of it."""
    return (
        path.suffix in {".mbox", ".mbx"}
        or (path.parent / DOVECOT_INDEXES / path.name).is_dir()
        or path.with_name(path.name + ".msf").is_file()
    )


def _place_of(name: str, levels: Sequence[str]) -> tuple[str, ...]:
    """The path of the mailbox that a file is, each level as it lies there."""
    for suffix in SUFFIXES:
        name = name.removesuffix(suffix)
    if name == "mbox" and levels:
        return (*levels[:-1], levels[-1].removesuffix(".mbox"))
    return (*levels, name.removesuffix(".mbox").removesuffix(".mbx"))


def _names(lines: list[str], *, decoded: bool) -> tuple[str, ...]:
    """The mailboxes of a list with a name on each line, as they are called here or by Dovecot."""
    parts = (list(map(decoded_part, line.split(SEPARATOR))) if decoded else [line] for line in lines if line)
    return tuple(map(folder_mailbox, parts))


def _is_list(start: bytes) -> bool:
    """Whether a file of that name has mailboxes, a line each, and is no mbox that is called so."""
    return not begins_mbox(start) or postmark_date(start.split(b"\n")[0]) is None
