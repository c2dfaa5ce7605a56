"""`mairust config`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import typer

from mairust_cli.output import Column, Columns
from mairust_cli.session import Session
from mairust_cli.text import clean
from mairust_cli.tree import COMMANDS, Command, noun
from mairust_core import wire
from mairust_core.errors import MaiRustError, NoSite
from mairust_core.i18n import Wording, say
from mairust_core.model.forms import Page
from mairust_core.model.settings import Export, Setting
from mairust_core.services.config import Config

app = noun(COMMANDS["config"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """The file that was read, null when there is none."""

    file: str | None
    valid: bool = True


SETTINGS: Columns[Setting] = (
    Column("Setting", lambda setting: setting.key),
    Column("Value", lambda setting: _shown(setting.value), shrink=True),
    Column("From", lambda setting: setting.origin, shrink=True, sense="origin"),
)
CHECKED: Columns[Checked] = (
    Column("Configuration", lambda checked: Wording("config.valid" if checked.valid else "config.not_valid")),
    Column("File", lambda checked: checked.file or Wording("config.no_file")),
)


@app.command("show", cls=Command)
def show(ctx: typer.Context) -> None:
    """Show every setting in force and where it comes from.

    Secrets are masked. With --server it shows the settings of that server.

    Exit status: 0 shown; 77 the key does not reach the whole site; 78 the configuration is wrong.

    Examples:
      mairust config show
      mairust config show --json
    """
    session = Session.of(ctx)
    if session.server_url:
        session.output.page(session.operations(Config).show(), SETTINGS)
        return
    from mairust_core.config.effective import effective

    session.output.page(Page(items=effective(session.settings())), SETTINGS)


@app.command("export", cls=Command)
def export(ctx: typer.Context) -> None:
    """Print all settings in force, hooks and plugin.toml files as one document.

    What holds a secret is left out and named in a comment. The file (TOML) can be given to --config: hooks
    and plugins, which a site keeps in its database, are comments in it. With --json it is one JSON document,
    with --server that of the server. Where no site can be read, the settings are all there is.

    Exit status: 0 printed; 77 the key does not reach the whole site; 78 the configuration is wrong.

    Examples:
      mairust config export > mairust.toml
      mairust config export --json
    """
    session = Session.of(ctx)
    found = _exported(session)
    if session.output.json:
        session.output.document(found)
    else:
        session.output.lines(_toml(found))


@app.command("check", cls=Command)
def check(ctx: typer.Context) -> None:
    """Read the configuration and tell what is wrong with it.

    Exit status: 0 it is valid; 78 it is not: the message names the file, the line and the key.

    Examples:
      mairust config check
    """
    session = Session.of(ctx)
    session.stay_local("config check")
    file = session.settings().config_file
    session.output.change(Checked(file=str(file) if file else None), CHECKED)


def _exported(session: Session) -> Export:
    if session.server_url:
        return session.operations(Config).export()
    from mairust_core.config.effective import exported

    found = exported(session.settings())
    try:
        return session.here(Config).export()
    except NoSite:
        return found
    except MaiRustError as error:
        session.output.warn(say("config.settings_only", session.output.lang, why=str(error)))
        return found


def _toml(found: Export) -> list[str]:
    """The lines of the file, in the order of the reference."""
    import tomlkit

    document = tomlkit.document()
    document.add(tomlkit.comment(f"All settings of MaiRust {clean(found.version)}."))
    for name in found.secrets_left_out:
        document.add(tomlkit.comment(f"{name} holds a secret and is left out: give it yourself."))
    for section, values in found.settings.items():
        within: Any = document
        *outer, last = section.split(".")
        for name in outer:
            within = within[name]
        within[last] = tomlkit.table()
        for key, value in values.items():
            within[last][key] = value
    return [*tomlkit.dumps(document).rstrip("\n").split("\n"), *_registered(found)]


def _registered(found: Export) -> Iterator[str]:
    """Hooks and plugins, as comments: a configuration file has none of them."""
    for plugin in found.plugins:
        where = plugin.directory or f"package {plugin.package}"
        yield ""
        yield f"# plugin.toml of {clean(plugin.id)}, {plugin.state}, from {clean(where)}:"
        yield from (f"# | {clean(line)}".rstrip() for line in plugin.toml.splitlines())
    for hook in found.hooks:
        values = wire.encode(hook)
        yield ""
        yield f"# hook {clean(hook.name)}:"
        for name, value in values.items():
            yield f"# | {name} = {clean(json.dumps(value, ensure_ascii=False))}"


def _shown(value: str | int | bool | list[str] | None) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    return " ".join(value) if isinstance(value, list) else str(value)
