"""Commands of extensions: found when the help or an unknown name needs them, imported when one is called."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mairust_core.errors import BadConfig

if TYPE_CHECKING:
    from mairust_cli.options import Options
    from mairust_core.installed.offers import OfferedCommand


def joined_commands(
    options: Options, rest: Sequence[str] = (), *, forgiving: bool = False
) -> dict[str, OfferedCommand]:
    """The commands of extensions that configuration lets speak, by name.

    `rest` are the words behind the command, where global options may stand. Raises `BadConfig` unless
    `forgiving`: then there are none.
    """
    from mairust_core.installed.extensions import extensions
    from mairust_core.installed.offers import read_commands
    from mairust_core.installed.points import entry_points

    if not entry_points():
        return {}
    try:
        wanted = _wanted(options, rest)
    except BadConfig:
        if forgiving:
            return {}
        raise
    return read_commands(extensions(wanted))


def _wanted(options: Options, rest: Sequence[str]) -> tuple[str, ...] | None:
    from mairust_cli.candidates import options as given_in
    from mairust_core.config import load_settings

    given = given_in(rest)
    config, data_dir = given.get("--config"), given.get("--data-dir")
    settings = load_settings(
        config_file=Path(config).expanduser() if config else options.config_file,
        data_dir=Path(data_dir).expanduser() if data_dir else options.data_directory,
        env=os.environ,
    )
    return settings.plugins.extensions


def load_joined(name: str, found: OfferedCommand) -> Any:
    """The command or group of an extension, imported; raises `BadConfig` when it cannot be."""
    import typer

    module, _, attribute = found.target.partition(":")
    try:
        app = getattr(import_module(module), attribute)
        if not isinstance(app, typer.Typer):
            raise TypeError(f"{found.target} is no Typer app")
        command = typer.main.get_command(app)
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
        raise BadConfig("extension_command", name=name, extension=found.extension, why=why) from error
    command.name = name
    return command
