"""Who may work on a data directory: its owner (rule D3)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from mairust_core.errors import Forbidden

if TYPE_CHECKING:
    from mairust_core.config import Settings


def become_owner(settings: Settings) -> None:
    """Run as the owner of the data directory: root switches to it, others must be it (rule D3)."""
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
    os.setgroups([])
    os.setgid(status.st_gid)
    os.setuid(status.st_uid)
