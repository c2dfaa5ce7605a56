"""`mairust init`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from mairust_cli.output import Column, Columns
from mairust_cli.session import Session, os_user
from mairust_cli.tree import Command, single
from mairust_core.errors import Conflict
from mairust_core.i18n import Wording, say

if TYPE_CHECKING:
    from mairust_core.config import Settings

app = single()


@dataclass(frozen=True, slots=True, kw_only=True)
class Initialised:
    """Where everything of the site is; `created` is false when it was there already."""

    data_dir: str
    config_file: str
    database: str
    admin_token_file: str
    created: bool


COLUMNS: Columns[Initialised] = (
    Column("Site", lambda made: Wording("init.created" if made.created else "init.there")),
    Column("Data directory", lambda made: made.data_dir),
    Column("Configuration", lambda made: made.config_file),
    Column("Database", lambda made: made.database),
    Column("Admin API key", lambda made: made.admin_token_file),
)


@app.command(cls=Command)
def init(
    ctx: typer.Context,
    database: Annotated[
        str | None,
        typer.Option(
            "--database",
            metavar="URL",
            help="postgresql://USER@HOST/NAME or sqlite:///PATH (default: SQLite).",
        ),
    ] = None,
) -> None:
    """Create the configuration, data directory, database and first admin key.

    What is there already stays as it is. PostgreSQL is recommended for production; without --database the
    embedded store, SQLite, is used. The admin API key is written to DATA_DIR/admin.token, readable by its
    owner only.

    Exit status: 0 the site is there, now or before; 5 it has another database; 75 the database cannot be
    reached, or the disk is full.

    Examples:
      mairust init
      mairust init --data-dir ./site
    """
    session = Session.of(ctx)
    session.stay_local("init")
    from mairust_core.config.first_file import write_first_file
    from mairust_core.disk import needing_room
    from mairust_core.first_run import create_site

    settings = session.settings({"database.url": database})
    if database is not None:
        _require_same_database(session.settings(), settings)
    with needing_room("init", settings.data_dir):
        made = create_site(settings, os_user())
        config_file = settings.config_file or write_first_file(settings, with_database=database is not None)
    if settings.database.sqlite_path is not None:
        session.output.note(say("init.embedded", session.output.lang))
    result = Initialised(
        data_dir=made.data_dir,
        config_file=str(config_file),
        database=made.database,
        admin_token_file=made.admin_token_file,
        created=made.created,
    )
    session.output.change(result, COLUMNS)


def _require_same_database(in_force: Settings, wanted: Settings) -> None:
    """Raise `Conflict` when a later command would use another database than the one asked for."""
    if in_force.database.url == wanted.database.url:
        return
    path = in_force.database.sqlite_path
    if path is not None and path.exists():
        raise Conflict("other_database", where=path)
    if in_force.config_file is not None or in_force.origin("database.url").kind == "environment":
        raise Conflict("config_file", where=in_force.config_file or in_force.origin("database.url"))
