"""The one directory that holds UNIX sockets of plugins (rule H2)."""

from __future__ import annotations

import logging
import os
import stat
from pathlib import Path

MODE = 0o750
"""Who of the directory's group may reach what lies in it is up to whoever gives it a group."""

log = logging.getLogger("mairust.plugins")


def make_socket_dir(directory: Path) -> None:
    """Make the directory where there is none; one that cannot be made is logged: mail does not need it."""
    try:
        directory.mkdir(mode=0o700)
        directory.chmod(MODE)
    except FileExistsError:
        pass
    except OSError as error:
        log.warning("plugins.socket_dir %s cannot be made: %s", directory, error.strerror)


def fault_of(directory: Path) -> str | None:
    """What is wrong with the directory, by a word of the catalogue; None when it will do."""
    try:
        found = directory.stat()
    except OSError:
        return "missing"
    if not stat.S_ISDIR(found.st_mode) or not os.access(directory, os.R_OK | os.X_OK):
        return "missing"
    return "open" if found.st_mode & stat.S_IWOTH else None
