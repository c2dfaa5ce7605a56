"""`mairust gc`."""

from __future__ import annotations

import typer

from mairust_cli.output import Column, Columns
from mairust_cli.session import Session
from mairust_cli.tree import Command, single
from mairust_core.model.collected import Collected
from mairust_core.services.collection import Collection

app = single()

COLUMNS: Columns[Collected] = (
    Column("Accounts purged", lambda done: str(done.accounts)),
    Column("Messages purged", lambda done: str(done.messages)),
    Column("Deleted messages purged", lambda done: str(done.deleted)),
    Column("Contents condemned", lambda done: str(done.condemned)),
    Column("Blobs deleted", lambda done: str(done.blobs)),
    Column("Leftover files deleted", lambda done: str(done.files)),
    Column("Blobs moved", lambda done: str(done.moved)),
    Column("Segments deleted", lambda done: str(done.segments)),
    Column("Log entries expired", lambda done: str(done.expired)),
)


@app.command(cls=Command)
def gc(ctx: typer.Context) -> None:
    """Give back the room of what nobody needs any more.

    Purges removed accounts and messages whose time in the trash is over, deletes what no message refers to an
    hour after that was first seen, moves what is left in mostly dead segments, and expires old log entries. A
    running server does it every hour.

    Exit status: 0 done; 75 somebody else is at it.

    Examples:
      mairust gc
    """
    session = Session.of(ctx)
    session.output.item(session.operations(Collection).run(), COLUMNS)
