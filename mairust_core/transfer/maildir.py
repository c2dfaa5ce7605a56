"""Reading Maildirs: Maildir++ and nested ones, of Dovecot, Courier, Postfix and mail programs.

A mail program may work in it meanwhile. A message that got another name is found under that; one that is
gone, or that changes while it is read, is told. Nothing is ever written, renamed or locked there.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

from mairust_core.model.blob import MEMORY_LIMIT_BYTES
from mairust_core.model.mailbox import SEPARATOR
from mairust_core.transfer.dates import file_date
from mairust_core.transfer.maildir_files import (
    BESIDE,
    DOVECOT_KEYWORDS,
    DOVECOT_UIDS,
    SUBSCRIPTIONS,
    Keywords,
    read_keywords,
    read_record,
    read_subscriptions,
    read_uids,
    split_name,
    told_size,
)
from mairust_core.transfer.names import (
    INSIDE,
    UNFINISHED,
    called_part,
    decoded_part,
    folder_mailbox,
    may_be_cut_off,
    nested_directory,
    plus_plus_directory,
    plus_plus_levels,
)
from mairust_core.transfer.opening import oddity, open_plain, unreadable
from mairust_core.transfer.packed_mail import as_it_came
from mairust_core.transfer.payload import Payload
from mairust_core.transfer.source import Aside, Broken, Fate, Found, Reason, Unusable, unfinished

MARKERS = ("cur", "new", "maildirfolder", DOVECOT_UIDS)
"""What makes a directory a folder: one of these is enough, for archives lose empty directories."""
ATTEMPTS = 3
UNPACKED = "2\0"
"""Hashes remembered without it may be those of packed mail as it lies there."""
MAX_DEPTH = 50
_GUID = re.compile(r"[0-9a-f]{32}")
_OWN_NAME = re.compile(r"[0-9]+\.M[0-9]+Q([0-9]{1,12})\.mairust,")


class Maildir:
    """The Maildir of one account, with all folders in and below it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._left: list[Broken | Aside] = []

    @property
    def path(self) -> str:
        """Its root."""
        return str(self.root)

    def folders(self) -> Iterator[MaildirFolder]:
        """INBOX first, which the root itself is; the others by path.

        Links to directories are followed, never in circles; those to files are not.
        """
        self._left.clear()
        places = []
        for folder in self._below(self.root, (), set()):
            places.append(folder.directory)
            yield folder
        if _named_by_dovecot(self.root, places):
            reason = Reason.of("dovecot_names")
            self._left.append(Aside(path=self.path, reason=reason, fate=Fate.CHANGED))
        if os.path.exists(self.root / UNFINISHED):
            self._left.append(unfinished(self.root / UNFINISHED))
        for name in SUBSCRIPTIONS:
            if (odd := oddity(self.root / name)) is not None:
                yield MaildirFolder(self.root / name, broken=odd)

    def subscribed(self) -> tuple[str, ...]:
        """As the file of Dovecot or Courier says."""
        return read_subscriptions(self.root)

    def expected(self) -> int | None:
        """By the entries of its directories."""
        return sum(folder.entries() for folder in self.folders())

    def left(self) -> tuple[Broken | Aside, ...]:
        """Maildirs where no folder may be, and directories that look like another kind of folder."""
        return tuple(self._left)

    def _below(
        self, directory: Path, parts: tuple[str, ...], seen: set[tuple[int, int]]
    ) -> Iterator[MaildirFolder]:
        try:
            status = directory.stat()
            names = sorted(os.listdir(directory))
        except OSError as error:
            yield MaildirFolder(directory, parts, broken=unreadable(error))
            return
        if (status.st_dev, status.st_ino) in seen or len(parts) > MAX_DEPTH:
            return
        seen.add((status.st_dev, status.st_ino))
        if not INSIDE.isdisjoint(names) or any(marker in names for marker in MARKERS):
            yield MaildirFolder(directory, parts)
        elif ".mh_sequences" in names:
            reason = Reason.of("not_maildir", key="left_mh")
            self._left.append(Aside(path=str(directory), reason=reason, fate=Fate.LEFT))
        for name in names:
            if name not in INSIDE and (below := self._parts_of(directory / name, parts)) is not None:
                yield from self._below(directory / name, below, seen)

    def _parts_of(self, path: Path, parts: tuple[str, ...]) -> tuple[str, ...] | None:
        """The path of the folder that a directory may be, as it lies there; None for what cannot hold one."""
        try:
            if not stat.S_ISDIR(path.stat().st_mode):
                return None
        except PermissionError:
            pass  # it may be one, and reading it tells
        except OSError:
            return None
        if not path.name.startswith("."):
            return (*parts, path.name)
        below = plus_plus_levels(path.name)
        if below and _may_be_folder(path):
            return (*parts, *below)
        if not path.is_symlink():  # which may lead anywhere
            self._look_into(path)
        return None

    def _look_into(self, hidden: Path) -> None:
        """Tell of Maildirs in a directory that is no folder and whose name begins with a dot."""

        def tell(error: OSError) -> None:
            self._left.append(Broken(path=str(error.filename), reason=unreadable(error)))

        for directory, below, _ in os.walk(hidden, onerror=tell):
            if "cur" in below or {"new", "tmp"} <= set(below):
                reason = Reason.of("hidden", key="hidden_maildir")
                self._left.append(Broken(path=directory, reason=reason))
                below.clear()


class _Entry(NamedTuple):
    """One file, as its directory and its inode tell; hundreds of thousands of them are held at a time."""

    order: int
    mtime_ns: int
    name: str
    size: int
    inode: int
    is_new: bool


class MaildirFolder:
    """One folder, of levels as they lie there. `broken` is why it cannot be read."""

    def __init__(self, directory: Path, parts: tuple[str, ...] = (), broken: Reason | None = None) -> None:
        self.directory = directory
        parts = _recorded(directory, parts)
        self.mailbox = folder_mailbox(tuple(map(decoded_part, parts)))
        self.called = SEPARATOR.join(map(called_part, parts)) or self.mailbox
        self._broken = broken

    @property
    def path(self) -> str:
        """Its directory."""
        return str(self.directory)

    def entries(self) -> int:
        """How many there are about."""
        found = 0
        for part in ("cur", "new"):
            with suppress(OSError):  # reading its messages tells
                found += len(os.listdir(self.directory / part))
        return found

    def messages(self) -> Iterator[Found | Broken | Aside]:
        """In the order of their UIDs where those are known, else by date and name."""
        if self._broken is not None:
            yield Broken(path=self.path, reason=self._broken)
            return
        uids, keywords = read_uids(self.directory), read_keywords(self.directory)
        for name in BESIDE:
            if (odd := oddity(self.directory / name)) is not None:
                yield Broken(path=str(self.directory / name), reason=odd)
        entries: list[_Entry] = []
        directories: list[str] = []
        for part in ("new", "cur"):  # in the order in which a message moves on, so that none is missed
            try:
                entries += self._list(part, uids, directories)
            except FileNotFoundError:
                continue
            except OSError as error:
                yield Broken(path=str(self.directory / part), reason=unreadable(error))
        for path in directories:
            yield Broken(path=path, reason=Reason.of("unreadable", key="a_directory"))
        directory, in_order = self.path, sorted(_once(entries))
        if keywords.full and not any(_own_order(entry.name) for entry in in_order):
            path = str(self.directory / DOVECOT_KEYWORDS)
            yield Aside(path=path, reason=Reason.of("keywords_full"), fate=Fate.CHANGED)
        for entry in in_order:
            yield MaildirMessage(directory, keywords, entry)

    def _list(self, part: str, uids: dict[str, int], directories: list[str]) -> list[_Entry]:
        found = []
        last = max(uids.values(), default=0) + 1  # files that came after the list
        with os.scandir(self.directory / part) as listing:
            for one in listing:
                if one.name.startswith("."):
                    continue
                if one.is_dir(follow_symlinks=False):
                    directories.append(one.path)
                    continue
                try:
                    status = one.stat(follow_symlinks=False)
                except OSError:  # gone meanwhile: reading it tells
                    found.append(_Entry(last, 0, one.name, 0, 0, part == "new"))
                    continue
                order = uids.get(split_name(one.name)[0], last) if uids else _own_order(one.name)
                found.append(
                    _Entry(order, status.st_mtime_ns, one.name, status.st_size, status.st_ino, part == "new")
                )
        return found


class MaildirMessage:
    """One message file."""

    __slots__ = ("_directory", "_entry", "_keywords")

    def __init__(self, directory: str, keywords: Keywords, entry: _Entry) -> None:
        self._directory = directory
        self._keywords = keywords
        self._entry = entry

    @property
    def path(self) -> str:
        """Its file."""
        return f"{self._directory}/{'new' if self._entry.is_new else 'cur'}/{self._entry.name}"

    @property
    def size_bytes(self) -> int:
        """The size of the file when its folder was listed."""
        return self._entry.size

    @property
    def key(self) -> bytes:
        """Of folder, name without flags, inode, size and modification time."""
        entry = self._entry
        if not entry.inode:
            return b""
        state = f"{entry.inode} {entry.size} {entry.mtime_ns}"
        text = f"{UNPACKED}{self._directory}\0{split_name(entry.name)[0]}\0{state}"
        return blake2b(text.encode("utf-8", "surrogateescape"), digest_size=16).digest()

    def flags(self) -> tuple[str, ...]:
        """By the letters of its name."""
        base, letters = split_name(self._entry.name)
        return self._keywords.flags(base, letters)

    def received_at(self) -> datetime:
        """The modification time of the file, which servers set to IMAP's INTERNALDATE."""
        return file_date(self._entry.mtime_ns)

    def load(self) -> Payload:
        """Its bytes, unpacked, once they stay the same while read; under its new name if it got one."""
        for attempt in range(ATTEMPTS):
            try:
                if (payload := self._read()) is not None:
                    return as_it_came(payload, told_size(split_name(self._entry.name)[0]))
            except FileNotFoundError:
                if attempt == ATTEMPTS - 1 or not self._find():
                    raise Unusable(Reason.of("vanished")) from None
            except OSError as error:
                raise Unusable(unreadable(error)) from error
        raise Unusable(Reason.of("changed"))

    def _read(self) -> Payload | None:
        """The file's content, its time and size taken anew; None when it changed meanwhile."""
        file = open_plain(self.path, buffered=False)  # a large one stays open in its payload
        payload = None
        try:
            before = self.stat(file.fileno())
            if before.st_size > MEMORY_LIMIT_BYTES:
                found = Payload.of_file(file)
            else:
                found = Payload.of(file.read(before.st_size + 1))
            after = self.stat(file.fileno())
            unchanged = before.st_size == after.st_size and before.st_mtime_ns == after.st_mtime_ns
            if unchanged and found.size_bytes == after.st_size:
                payload = found
                self._note(after)
        finally:
            if payload is None or not payload.in_file:
                file.close()
        return payload

    def _note(self, found: os.stat_result) -> None:
        """Keep what the file is like now; most of them are as they were listed."""
        listed = self._entry
        now = (found.st_size, found.st_mtime_ns, found.st_ino)
        if (listed.size, listed.mtime_ns, listed.inode) != now:
            self._entry = listed._replace(size=now[0], mtime_ns=now[1], inode=now[2])

    def stat(self, fd: int) -> os.stat_result:
        """What its file is like now."""
        return os.fstat(fd)

    def _find(self) -> bool:
        """Look for the file under the name it may have now: seen meanwhile, or flagged."""
        base = split_name(self._entry.name)[0]
        for part in ("cur", "new"):
            try:
                names = os.listdir(os.path.join(self._directory, part))
            except OSError:
                continue
            for name in names:
                if split_name(name)[0] == base:
                    self._entry = self._entry._replace(name=name, is_new=part == "new")
                    return True
        return False


def _once(entries: Iterable[_Entry]) -> list[_Entry]:
    """One entry for each message, the one listed last, though some got another name while they were listed.

    Two files of one name without flags are two messages, as two inodes show.
    """
    known: dict[int, _Entry] = {}
    found, gone = [], []
    for entry in entries:
        if not entry.inode:
            gone.append(entry)
        elif (same := known.setdefault(entry.inode, entry)) is not entry and _base(same) != _base(entry):
            found.append(entry)  # a hard link is a message of its own
        else:
            known[entry.inode] = entry
    found += known.values()
    names = {_base(entry) for entry in found} if gone else set()
    return found + [entry for entry in gone if _base(entry) not in names]


def _base(entry: _Entry) -> str:
    return split_name(entry.name)[0]


def _recorded(directory: Path, parts: tuple[str, ...]) -> tuple[str, ...]:
    """The levels themselves, or of a folder of ours that was cut off those that are written in it."""
    if not any(map(may_be_cut_off, parts)):
        return parts
    record = read_record(directory)
    places = {plus_plus_directory(record), nested_directory(record)} if record else set()
    if places.isdisjoint({"." + ".".join(parts), SEPARATOR.join(parts)}):
        return parts
    return tuple(part.replace("&", "&-") for part in record.split(SEPARATOR))


def _named_by_dovecot(root: Path, places: list[Path]) -> bool:
    """Whether folders are called as only Dovecot understands: by `LAYOUT=index`, or with `DIRNAME`."""
    if places and all(_GUID.fullmatch(place.name) for place in places):
        return True
    same = {place.name for place in places}
    return len(same) == 1 and root / "INBOX" / same.pop() in places


def _may_be_folder(directory: Path) -> bool:
    """Whether there is a mark of a folder in it; also when nobody may look, for reading it tells."""
    try:
        return not set(MARKERS).isdisjoint(os.listdir(directory))
    except OSError:
        return True


def _own_order(name: str) -> int:
    """The place of a message that an export of ours wrote, 0 for others."""
    found = _OWN_NAME.match(name)
    return int(found[1]) if found else 0
