"""One folder of a Maildir: its mailbox, and its messages in order."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from mairust_core.model.mailbox import SEPARATOR
from mairust_core.transfer.maildir.beside import (
    BESIDE,
    DOVECOT_KEYWORDS,
    read_keywords,
    read_record,
    read_uids,
    split_name,
)
from mairust_core.transfer.maildir.messages import Entry, MaildirMessage
from mairust_core.transfer.names import (
    called_part,
    decoded_part,
    folder_mailbox,
    nested_directory,
    plus_plus_directory,
    whole_parts,
)
from mairust_core.transfer.opening import oddity, unreadable
from mairust_core.transfer.source import Aside, Broken, Fate, Found, Reason

_OWN_NAME = re.compile(r"[0-9]+\.M[0-9]+Q([0-9]{1,12})\.mairust,")


class MaildirFolder:
    """One folder, of levels as they lie there. `broken` is why it cannot be read."""

    def __init__(self, directory: Path, parts: tuple[str, ...] = (), broken: Reason | None = None) -> None:
        self.directory = directory
        parts = whole_parts(parts, lambda: read_record(directory), lambda name: _leads_to(name, parts))
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
        entries: list[Entry] = []
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

    def _list(self, part: str, uids: dict[str, int], directories: list[str]) -> list[Entry]:
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
                    found.append(Entry(last, 0, one.name, 0, 0, part == "new"))
                    continue
                order = uids.get(split_name(one.name)[0], last) if uids else _own_order(one.name)
                found.append(
                    Entry(order, status.st_mtime_ns, one.name, status.st_size, status.st_ino, part == "new")
                )
        return found


def _once(entries: Iterable[Entry]) -> list[Entry]:
    """One entry for each message, the one listed last, though some got another name while they were listed.

    Two files of one name without flags are two messages, as two inodes show.
    """
    known: dict[int, Entry] = {}
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


def _base(entry: Entry) -> str:
    return split_name(entry.name)[0]


def _leads_to(mailbox: str, parts: tuple[str, ...]) -> bool:
    """Whether an export of ours puts the mailbox there, in either layout."""
    there = {"." + ".".join(parts), SEPARATOR.join(parts)}
    return not there.isdisjoint({plus_plus_directory(mailbox), nested_directory(mailbox)})


def _own_order(name: str) -> int:
    """The place of a message that an export of ours wrote, 0 for others."""
    found = _OWN_NAME.match(name)
    return int(found[1]) if found else 0
