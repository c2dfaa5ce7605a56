"""The sandbox of one site, as its settings want it."""

from __future__ import annotations

from pathlib import Path

from mairust_core.config import Settings
from mairust_core.sandbox.confinement import Confinement
from mairust_core.sandbox.probing import probe
from mairust_core.sandbox.reach import Site


def confinement_of(settings: Settings, site: Site) -> Confinement:
    """How plugins of this site are confined on this machine; the first call tries the machine out.

    It may block for some tenths of a second: not for an event loop that serves.
    """
    return Confinement(
        machine=probe(),
        hidden=hidden_paths(settings),
        site=site,
        is_required=settings.plugins.sandbox == "require",
    )


def hidden_paths(settings: Settings) -> tuple[Path, ...]:
    """Whatever of the site could lie below a directory that plugins see."""
    paths = {settings.data_dir, settings.blobs.path, settings.secrets.master_key_file}
    if settings.config_file is not None:
        paths.add(settings.config_file)
    paths |= {key for key in (settings.smtp.tls_key, settings.http.tls_key) if key is not None}
    if (database := settings.database.sqlite_path) is not None:
        paths |= {database.with_name(database.name + end) for end in ("", "-wal", "-shm")}
    return tuple(sorted(path.resolve() for path in paths))
