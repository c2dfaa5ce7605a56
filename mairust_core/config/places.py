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
    data_home = _xdg(env, "XDG_DATA_HOME", ".local/share")
    if data_home is None:
        return None
    given = str(data_home) == env.get("XDG_DATA_HOME")
    return data_home / "mairust", Origin(kind="environment", name="XDG_DATA_HOME") if given else BUILT_IN


def find_document(
    *, config_file: Path | None, data_dir: Path | None, only_there: bool, env: Mapping[str, str]
) -> Document | None:
    """The configuration file to use, or None when there is none.

    A named file (`config_file`, else `MAIRUST_CONFIG`) must exist. Otherwise the first found is taken,
    of `data_dir` alone when `only_there`. Raises `BadConfig`.
    """
    named = config_file or (Path(env["MAIRUST_CONFIG"]) if env.get("MAIRUST_CONFIG") else None)
    if named is not None:
        return _read_named(Path(os.path.abspath(named)))
    for directory in _directories(data_dir, only_there, env):
        for name in FILE_NAMES:
            try:
                return read_document(directory / name)
            except FileNotFoundError:
                continue
    return None


def _read_named(path: Path) -> Document:
    try:
        return read_document(path)
    except FileNotFoundError as error:
        why = error.strerror or str(error)
        raise BadConfig("unreadable", where=path, file=path, line=None, key="", why=why) from error


def _directories(data_dir: Path | None, only_there: bool, env: Mapping[str, str]) -> Iterator[Path]:
    """Where to look, in order, as far as it can be entered.

    A data directory of another owner is passed over here and refused by whoever opens it (rule D3).
    """
    config_home = None if only_there else _xdg(env, "XDG_CONFIG_HOME", ".config")
    places = (data_dir, config_home and config_home / "mairust", None if only_there else SYSTEM_DIRECTORY)
    for place in places:
        if place is not None and os.path.isdir(place) and os.access(place, os.X_OK):
            yield place


def _xdg(env: Mapping[str, str], variable: str, fallback: str) -> Path | None:
    given = Path(env.get(variable, ""))
    if given.is_absolute():  # relative ones must be ignored, the specification says
        return given
    home = env.get("HOME") or os.path.expanduser("~")
    return Path(home) / fallback if os.path.isabs(home) else None
