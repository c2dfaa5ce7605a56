"""Opening what lies in somebody else's directory: plain files only, never waiting, never through a link.

A named pipe would be waited for without end, a device read without end, and a symbolic link read, with the
rights of who imports, what its owner may not read.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import IO

from mairust_core.transfer.source import Reason, SystemWords, Unusable


def open_plain(path: str | os.PathLike[str], *, buffered: bool = True) -> IO[bytes]:
    """A regular file to read. Raises `Unusable` for a link or anything else, `OSError`."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise Unusable(Reason.of("unreadable", key="a_link")) from error
        if error.errno == errno.ENXIO:  # a socket, or a device that is not there
            raise Unusable(Reason.of("unreadable", key="no_file")) from error
        raise
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise Unusable(Reason.of("unreadable", key="no_file"))
        return open(fd, "rb", buffering=-1 if buffered else 0)
    except BaseException:
        os.close(fd)
        raise


def unreadable(error: OSError) -> Reason:
    """Why something cannot be read, in the words of the system."""
    return Reason.of("unreadable", why=SystemWords.of(error, lower=True))


def oddity(path: str | os.PathLike[str]) -> Reason | None:
    """Why something that should be a file is not opened; None for a file, a directory and nothing."""
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        return None
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
        return None
    return Reason.of("unreadable", key="a_link" if stat.S_ISLNK(mode) else "no_file")
