"""`mairust secrets`."""

from __future__ import annotations

from typing import Annotated

import typer

from mairust_cli.listing import All, Cursor, Limit, pages
from mairust_cli.output import Column, Columns
from mairust_cli.session import Session
from mairust_cli.text import moment
from mairust_cli.tree import COMMANDS, Command, noun
from mairust_core.i18n import Wording
from mairust_core.model.secret import Prepared, Rotated, Secret, SecretsStatus
from mairust_core.services.secrets import Secrets

app = noun(COMMANDS["secrets"])

COLUMNS: Columns[Secret] = (
    Column("Name", lambda secret: secret.name),
    Column("Master key", lambda secret: secret.key_id),
    Column("Created", lambda secret: moment(secret.created_at)),
    Column("Expires", lambda secret: moment(secret.expires_at)),
)
STATUS: Columns[SecretsStatus] = (
    Column("Master key in force", lambda status: status.key_id or Wording("secrets.none_yet")),
    Column("Keys in the file", lambda status: " ".join(status.file_keys)),
    Column("Secrets", lambda status: str(status.secrets)),
    Column("Under another key", lambda status: str(status.waiting)),
)
PREPARED: Columns[Prepared] = (Column("Prepared master key", lambda key: key.key_id),)
ROTATED: Columns[Rotated] = (
    Column("Master key in force", lambda done: done.key_id),
    Column("Secrets brought under it", lambda done: str(done.rewrapped)),
)


@app.command("list", cls=Command)
def list_(ctx: typer.Context, limit: Limit = None, cursor: Cursor = None, all_: All = False) -> None:
    """List stored secrets by name; what they are is never shown.

    Exit status: 0 shown; 2 a bad cursor; 75 the database or the server does not answer.

    Examples:
      mairust secrets list
    """
    session = Session.of(ctx)
    secrets = session.operations(Secrets)
    found = pages(lambda after, count: secrets.browse(cursor=after, limit=count), limit, cursor, all_)
    session.output.page(found, COLUMNS)


@app.command("status", cls=Command)
def status(ctx: typer.Context) -> None:
    """Show which master key is in force, and how many secrets wait to come under it.

    Two keys in the file say that a rotation is prepared, or was ended half-way: `mairust secrets
    rotate-master` completes it.

    Exit status: 0 shown; 78 the file of the master key cannot be read.

    Examples:
      mairust secrets status
    """
    session = Session.of(ctx)
    session.output.item(session.operations(Secrets).status(), STATUS)


@app.command("rotate-master", cls=Command)
def rotate_master(
    ctx: typer.Context,
    prepare: Annotated[
        bool, typer.Option("--prepare", help="Only write the next key into the file, to be distributed.")
    ] = False,
) -> None:
    """Put a new master key in force and wrap every stored secret's key under it.

    Running servers use the new key at once. Ended at any moment it leaves every secret readable; run again it
    is completed. The old key leaves the file when no secret needs it any more.

    Exit status: 0 rotated; 75 another process rotates; 78 the file of the master key cannot be read or
    written.

    Examples:
      mairust secrets rotate-master
      mairust secrets rotate-master --prepare
    """
    session = Session.of(ctx)
    secrets = session.operations(Secrets)
    if prepare:
        session.output.change(secrets.prepare_master(), PREPARED)
    else:
        session.output.change(secrets.rotate_master(), ROTATED)
