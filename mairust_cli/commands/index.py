"""`mairust index`."""

from __future__ import annotations

from typing import Annotated

import typer

from mairust_cli.output import Column, Columns
from mairust_cli.session import Session
from mairust_cli.text import size
from mairust_cli.tree import COMMANDS, Command, noun
from mairust_cli.words import Yes
from mairust_core.i18n import say
from mairust_core.model.search import IndexStatus, Rebuild
from mairust_core.services.index import Index

app = noun(COMMANDS["index"])

FIELDS: Columns[IndexStatus] = (
    Column("Engine", lambda status: status.engine),
    Column("Mode", lambda status: status.mode),
    Column("Messages indexed", lambda status: str(status.documents)),
    Column("Messages queued", lambda status: str(status.queued)),
    Column("Segments", lambda status: str(status.segments)),
    Column("Segments to be made anew", lambda status: str(status.stale)),
    Column("Messages not read to their end", lambda status: str(status.partial)),
    Column("Text", lambda status: size(status.text_bytes)),
    Column("Index", lambda status: size(status.index_bytes)),
)


@app.command("status", cls=Command)
def status(ctx: typer.Context) -> None:
    """Show what is indexed, and what is still to be.

    Mail that is not indexed yet is found all the same: its text is read.

    Exit status: 0 shown.

    Examples:
      mairust index status
      mairust index status --json
    """
    session = Session.of(ctx)
    session.output.item(session.operations(Index).status(), FIELDS)


@app.command("rebuild", cls=Command)
def rebuild(
    ctx: typer.Context,
    account: Annotated[
        str | None, typer.Option("--account", metavar="ADDRESS", help="Only the mail of this account.")
    ] = None,
) -> None:
    """Have the index made anew from the messages themselves.

    The server does it in the background, and goes on after a restart. Searches are exact meanwhile.

    Exit status: 0 it was begun; 4 there is no such account; 5 the index was dropped, and --account was given.

    Examples:
      mairust index rebuild
      mairust index rebuild --account ann@example.org
    """
    session = Session.of(ctx)
    begun = session.operations(Index).rebuild(Rebuild(account=account))
    session.output.item(begun, FIELDS)
    session.output.note(say("index.begun", session.output.lang))


@app.command("drop", cls=Command)
def drop(ctx: typer.Context, yes: Yes = False) -> None:
    """Delete the index, until it is rebuilt.

    Searches go on, by reading every text: slower, and not complete when time runs out.

    Exit status: 0 it is gone; 2 stdin is no terminal and --yes is missing.

    Examples:
      mairust index drop --yes
    """
    session = Session.of(ctx)
    session.confirm("drop_index", yes)
    session.output.item(session.operations(Index).drop(), FIELDS)
