"""`mairust db`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from mairust_cli.output import Column, Columns
from mairust_cli.session import Session, os_user
from mairust_cli.tree import COMMANDS, Command, noun
from mairust_core.errors import Damaged
from mairust_core.i18n import say

if TYPE_CHECKING:
    from mairust_core.app import Site

app = noun(COMMANDS["db"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """The schema of the site's database, which is the one this version needs."""

    database: str
    version: str


COLUMNS: Columns[Schema] = (
    Column("Database", lambda schema: schema.database),
    Column("Schema", lambda schema: schema.version),
)


@app.command("upgrade", cls=Command)
def upgrade(ctx: typer.Context) -> None:
    """Bring the database schema up to this version.

    Nothing happens when it is up to date. Make a backup before.

    Exit status: 0 it is up to date, now or before; 78 there is no site, or a newer version wrote it.

    Examples:
      mairust db upgrade
    """
    session = Session.of(ctx)
    session.stay_local("db upgrade")
    from mairust_core.app import become_owner, opened
    from mairust_core.model.principal import Principal
    from mairust_core.store.migrations import upgrade as run

    settings = session.settings()
    become_owner(settings)
    before, after = run(settings, Principal.local(os_user()))
    lang, schemas = session.output.lang, {"before": before, "after": after}
    session.output.note(say("db.up_to_date" if before == after else "db.upgraded", lang, **schemas))
    with opened(settings) as site:
        session.output.change(_schema(site), COLUMNS)


@app.command("check", cls=Command)
def check(ctx: typer.Context) -> None:
    """Tell whether the database is whole, and its schema the one this version needs.

    The file of an SQLite database is read from beginning to end. Of PostgreSQL only the schema is looked at;
    pg_amcheck reads its files.

    Exit status: 0 it is; 1 it is damaged; 78 the schema is another one, or there is no site.

    Examples:
      mairust db check
    """
    session = Session.of(ctx)
    session.stay_local("db check")
    from mairust_core.app import opened
    from mairust_core.store import inspection

    with opened(session.settings()) as site:
        with site.storage.read() as tx:
            faults = inspection.faults(site.storage, tx)
        if faults:
            raise Damaged("database", path=site.settings.database.sqlite_path, why="; ".join(faults))
        session.output.change(_schema(site), COLUMNS)


def _schema(site: Site) -> Schema:
    """The schema of an open site."""
    from mairust_core.store import schema

    with site.storage.read() as tx:
        return Schema(database=site.storage.name, version=schema.version(tx))
