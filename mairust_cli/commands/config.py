"""`mairust config`."""

from __future__ import annotations

from dataclasses import dataclass

import typer

from mairust_cli.output import Column, Columns
from mairust_cli.session import Session
from mairust_cli.tree import COMMANDS, Command, noun
from mairust_core.model.forms import Page

app = noun(COMMANDS["config"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting in force; `value` as a file would give it, secrets masked, `origin` as errors name it."""

    key: str
    value: str | int | bool | list[str] | None
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """The file that was read, None when there is none."""

    file: str | None
    valid: bool = True


SETTINGS: Columns[Setting] = (
    Column("Setting", lambda setting: setting.key),
    Column("Value", lambda setting: _shown(setting.value)),
    Column("From", lambda setting: setting.origin),
)
CHECKED: Columns[Checked] = (
    Column("Configuration", lambda checked: "valid" if checked.valid else "not valid"),
    Column("File", lambda checked: checked.file or "none: every value is a default or comes from elsewhere"),
)


@app.command("show", cls=Command)
def show(ctx: typer.Context) -> None:
    """Show every setting in force and where it comes from.

    Secrets are masked.

    Exit status: 0 shown; 78 the configuration is wrong.

    Examples:
      mairust config show
      mairust config show --json
    """
    session = Session.of(ctx)
    session.stay_local("config show")
    from mairust_core.config import effective

    found = [
        Setting(key=one.key, value=one.value, origin=str(one.origin)) for one in effective(session.settings())
    ]
    session.output.page(Page(items=tuple(found)), SETTINGS)


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


def _shown(value: str | int | bool | list[str] | None) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    return " ".join(value) if isinstance(value, list) else str(value)
