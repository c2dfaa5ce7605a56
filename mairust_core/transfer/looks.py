"""What a path looks like when it is not what an import wants, so that the error says what to do."""

from __future__ import annotations

import os
from itertools import islice
from pathlib import Path
from typing import IO

from mairust_core.errors import NotFound, Usage
from mairust_core.i18n import Wording
from mairust_core.transfer.maildir.tree import MARKERS, Maildir
from mairust_core.transfer.mbox.box import mbox_start
from mairust_core.transfer.mbox.dialects import begins_mbox
from mairust_core.transfer.mbox.tree import Mboxes
from mairust_core.transfer.opening import open_plain
from mairust_core.transfer.packed.unpacking import BROKEN_ARCHIVE, UNREADABLE
from mairust_core.transfer.source import SystemWords, Unusable

_MAX_LOOKED_AT = 2000
_MBOX = Wording("looks.mbox")
_MAGIC = (
    (b"!BDN", Wording("looks.pst")),
    (b"\x01\x01\x01\x01\n", Wording("looks.mmdf")),
    (b"LZIP", Wording("looks.lzip")),
    (b"PK\x03\x04", Wording("looks.zip")),
    (b"\x1f\x8b", Wording("looks.gzip")),
)


def require_maildir(path: Path) -> None:
    """Return for a Maildir, or a directory with Maildirs in it.

    Raises `NotFound` for nothing, `Usage` for what cannot be reached or is anything else, with what it looks
    like.
    """
    _require_there(path)
    if not path.is_dir():
        raise Usage("not_maildir", path=path, looks=_file(path))
    if not _has_maildir(path):
        raise _no_directory_of("not_maildir", path)
    if (place := _accounts_in(path)) is not None:
        raise Usage("many_maildirs", path=path, place=place)


def require_mbox(path: Path) -> None:
    """Return for a file that begins like an mbox or is empty, a pipe, or a directory where some may be.

    Raises `NotFound`, `Usage`. What cannot be read here is told by reading it.
    """
    _require_there(path)
    if os.path.isdir(path / "cur") and (os.path.isdir(path / "new") or not _may_hold_mboxes(path)):
        raise Usage("not_mbox", path=path, looks=Wording("looks.maildir"))
    if path.is_file() and not _may_be_mbox(path):
        raise Usage("not_mbox", path=path, looks=_file(Path(os.path.realpath(path))))
    if path.is_dir() and not _may_hold_mboxes(path):
        raise _no_directory_of("not_mbox", path)


def _may_hold_mboxes(path: Path) -> bool:
    return Mboxes(os.path.realpath(path)).may_hold_some()


def _no_directory_of(what: str, path: Path) -> Usage:
    looks = _directory(path)
    return Usage("dbox", path=path) if looks is None else Usage(what, path=path, looks=looks)


def _may_be_mbox(path: Path) -> bool:
    try:
        with open(path, "rb") as file:
            start = mbox_start(file)
    except UNREADABLE:
        return True
    return not start or begins_mbox(start)


def _require_there(path: Path) -> None:
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise NotFound("path", path=path) from None
    except OSError as error:
        raise Usage("unreadable_file", path=path, why=SystemWords.of(error)) from None


def _has_maildir(root: Path) -> bool:
    walk = islice(os.walk(root), _MAX_LOOKED_AT)
    return any(marker in below or marker in files for _, below, files in walk for marker in MARKERS)


def _accounts_in(root: Path) -> Path | None:
    """A Maildir of one of several accounts, where all below a directory are such: `ann/Maildir`.

    One that a folder lies beside is none, nor is one of many folders that are all called so.
    """
    if not {*MARKERS, "INBOX"}.isdisjoint(os.listdir(root)):
        return None
    first = None
    for folder in Maildir(root).folders():
        parts = folder.directory.relative_to(root).parts
        if "maildir" not in map(str.lower, parts[1:]):
            return None
        first = first or folder.directory
    return first


def _file(path: Path) -> Wording:
    try:
        with open_plain(path) as file:
            start = file.read(16)
            file.seek(0)
            if _is_mbox(file):
                return _MBOX
    except Unusable as error:
        return Wording("looks.unusable", why=error.reason.wording)
    except OSError as error:
        return Wording("looks.unreadable_file", why=SystemWords.of(error))
    if not start:
        return Wording("looks.empty_file")
    return next((looks for magic, looks in _MAGIC if start.startswith(magic)), Wording("looks.other_file"))


def _is_mbox(file: IO[bytes]) -> bool:
    try:
        return begins_mbox(mbox_start(file))
    except BROKEN_ARCHIVE:
        return False


def _directory(path: Path) -> Wording | None:
    """What a directory looks like; None for a dbox of Dovecot's, whose error says more than that."""
    try:
        names = sorted(os.listdir(path))
    except OSError as error:
        return Wording("looks.unreadable_directory", why=SystemWords.of(error))
    if not names:
        return Wording("looks.empty_directory")
    if ".mh_sequences" in names or any(name.isdigit() for name in names):
        return Wording("looks.mh")
    if {"dbox-Mails", "mailboxes", "storage"} & set(names):
        return None
    if any((path / name).is_file() and _file(path / name) is _MBOX for name in names[:50]):
        return Wording("looks.mboxes")
    if any(name.endswith(".eml") for name in names):
        return Wording("looks.messages")
    return Wording("looks.other_directory")
