"""Where the data directory and the configuration file are looked for (XDG Base Directory, systemd.exec)."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from mairust_core.config.document import Document, read_document
from mairust_core.config.origin import BUILT_IN, Origin
from mairust_core.errors import BadConfig

FILE_NAMES = ("mairust.toml", "mairust.yaml", "mairust.yml")
SYSTEM_DIRECTORY = Path("/etc/mairust")


def default_data_dir(env: Mapping[str, str]) -> tuple[Path, Origin] | None:
    """The data directory when nobody names one; None without a home directory."""
    if state := env.get("STATE_DIRECTORY", "").partition(":")[0]:
        return Path(state), Origin(kind="environment", name="STATE_DIRECTORY")
    directory = _xdg(env, "XDG_DATA_HOME", ".local/share", "mairust")
    if directory is None:
        return None
    given = os.path.isabs(env.get("XDG_DATA_HOME", ""))
    return directory, Origin(kind="environment", name="XDG_DATA_HOME") if given else BUILT_IN


def find_document(
    *,
    config_file: Path | None,
    data_dir: Path | None,
    only_there: bool,
    env: Mapping[str, str],
    system: Path = SYSTEM_DIRECTORY,
) -> Document | None:
    """The configuration file to use, or None when there is none.

    A named file (`config_file`, else `MAIRUST_CONFIG`) must exist. Otherwise the first found is taken,
    of `data_dir` alone when `only_there`. Raises `BadConfig`, also for a symbolic link that leads nowhere:
    somebody made it to be configured, and another site would come of the defaults.
    """
    named = config_file or (Path(env["MAIRUST_CONFIG"]) if env.get("MAIRUST_CONFIG") else None)
    if named is not None:
        return _read_named(Path(os.path.abspath(named)))
    elsewhere = () if only_there else (_xdg(env, "XDG_CONFIG_HOME", ".config", "mairust"), system)
    for directory in _reachable(data_dir, *elsewhere):
        for name in FILE_NAMES:
            try:
                return read_document(directory / name)
            except FileNotFoundError:
                _refuse_dangling(directory / name)
    return None


def _refuse_dangling(path: Path) -> None:
    if os.path.islink(path) and not os.path.exists(path):
        raise BadConfig("dangling", where=path, file=path, line=None, key="")


def _read_named(path: Path) -> Document:
    try:
        return read_document(path)
    except FileNotFoundError as error:
        why = error.strerror or str(error)
        raise BadConfig("unreadable", where=path, file=path, line=None, key="", why=why) from error


def _reachable(*directories: Path | None) -> Iterator[Path]:
    """Those that exist and can be entered; raises `BadConfig` for a link that leads nowhere.

    A data directory of another owner is passed over here and refused by whoever opens it (rule D3).
    """
    for directory in directories:
        if directory is None:
            continue
        if os.path.isdir(directory) and os.access(directory, os.X_OK):
            yield directory
        elif os.access(directory.parent, os.X_OK):
            _refuse_dangling(directory)


def _xdg(env: Mapping[str, str], variable: str, fallback: str, own: str) -> Path | None:
    """Our directory below the one a variable names, else below the home directory; None without one."""
    given = env.get(variable, "")
    if os.path.isabs(given):  # relative ones must be ignored, the specification says
        return Path(given, own)
    home = env.get("HOME") or os.path.expanduser("~")
    return Path(home, fallback, own) if os.path.isabs(home) else None
