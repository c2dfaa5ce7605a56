"""What a running server has found out about the sandbox, for commands beside it.

    DATA_DIR/run/sandbox.json     of the server that runs; there since its first local plugin

A unit of systemd, or a container, holds back from the server what a shell is given: what a command finds out
itself is then true of itself alone.
"""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from pathlib import Path

from mairust_core import wire
from mairust_core.config import Settings
from mairust_core.errors import Invalid
from mairust_core.model.isolation import Isolation
from mairust_core.running import running_on

log = logging.getLogger("mairust.sandbox")


def isolation_on(settings: Settings) -> Isolation:
    """How well installed plugins of a site are held: as its server found, or else as it is here.

    May try the machine out, which takes some tenths of a second, once.
    """
    if running_on(settings.data_dir) is not None:
        with suppress(OSError, Invalid):  # its server has not looked yet, or is of another version
            found: Isolation = wire.decode(Isolation, _path(settings.data_dir).read_bytes())
            return found
    from mairust_core.sandbox.probing import probe  # a server without local plugins never needs it

    return probe().holding(settings.packages_dir).isolation


def note(data_dir: Path, isolation: Isolation) -> None:
    """Leave word of what this server found, and say in the log what is missing."""
    missing = "; ".join(f"{one.layer}: {one.why}" for one in isolation.missing)
    if not isolation.is_enough:
        log.warning("files and network cannot be kept from local plugins here: %s", missing)
    elif missing:
        log.info("local plugins are held without %s", missing)
    path = _path(data_dir)
    new = path.with_suffix(f".{os.getpid()}")
    try:
        new.write_bytes(wire.dumps(isolation))
        new.replace(path)
    except OSError as error:
        log.warning("%s cannot be written: %s", path, error.strerror)


def forget(data_dir: Path) -> None:
    """Take away what an earlier server has left."""
    try:
        _path(data_dir).unlink(missing_ok=True)
    except OSError as error:
        log.warning("%s cannot be removed: %s", _path(data_dir), error.strerror)


def _path(data_dir: Path) -> Path:
    return data_dir / "run" / "sandbox.json"
