"""Reading Maildirs: Maildir++ and nested ones, of Dovecot, Courier, Postfix and mail programs.

A mail program may work in it meanwhile. A message that got another name is found under that; one that is
gone, or that changes while it is read, is told. Nothing is ever written, renamed or locked there.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from mairust_core.transfer.maildir.beside import DOVECOT_UIDS, SUBSCRIPTIONS, read_subscriptions
from mairust_core.transfer.maildir.folder import MaildirFolder
from mairust_core.transfer.names import INSIDE, UNFINISHED, plus_plus_levels
from mairust_core.transfer.opening import oddity, unreadable
from mairust_core.transfer.source import Aside, Broken, Fate, Reason, unfinished

MARKERS = ("cur", "new", "maildirfolder", DOVECOT_UIDS)
"""What makes a directory a folder: one of these is enough, for archives lose empty directories."""
MAX_DEPTH = 50
_GUID = re.compile(r"[0-9a-f]{32}")


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


def _named_by_dovecot(root: Path, places: list[Path]) -> bool:
    """Whether folders are called as only Dovecot understands: by `LAYOUT=index`, or with `DIRNAME`."""
    if places and all(_GUID.fullmatch(place.name) for place in places):
        return True
    others = [place for place in places if place != root]
    same = {place.name for place in others}
    if len(same) != 1 or not all((place / DOVECOT_UIDS).exists() for place in others):
        return False
    name = same.pop()
    if root / "INBOX" / name in others:
        return True
    return name.startswith(".") and all(place.parent != root for place in others)


def _may_be_folder(directory: Path) -> bool:
    """Whether there is a mark of a folder in it; also when nobody may look, for reading it tells."""
    try:
        return not set(MARKERS).isdisjoint(os.listdir(directory))
    except OSError:
        return True
