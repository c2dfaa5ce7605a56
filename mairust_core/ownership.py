"""Who may work on a data directory: its owner (rule D3)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from mairust_core.errors import BadConfig, Forbidden
from mairust_core.i18n import LANGUAGES, catalogue

if TYPE_CHECKING:
    from mairust_core.config import Settings


def become_owner(settings: Settings) -> None:
    """Run as the owner of the data directory: root switches to it, others must be it (rule D3).

    Raises `Forbidden`, and `BadConfig` where the owner cannot read the Python that runs this.
    """
    try:
        status = settings.data_dir.stat()
    except FileNotFoundError:
        return
    except PermissionError as error:
        raise Forbidden("data_dir", path=settings.data_dir, why=error.strerror) from error
    if status.st_uid == os.geteuid():
        return
    if os.geteuid() != 0:
        raise Forbidden("owner", path=settings.data_dir, owner=status.st_uid)
    for lang in LANGUAGES:  # afterwards they may be out of reach, and with them the words for that
        catalogue(lang)
    needed = [path for path in (os.__file__, __file__) if os.access(path, os.R_OK)]  # not so in an archive
    os.setgroups([])
    os.setgid(status.st_gid)
    os.setuid(status.st_uid)
    for path in needed:
        if not os.access(path, os.R_OK):
            raise BadConfig("unreadable_python", path=path, owner=status.st_uid)
