"""`mairust acme`."""

from __future__ import annotations

import typer

from mairust_cli.session import Session
from mairust_cli.tree import Command, single
from mairust_core.services.domains import Domains

app = single()


@app.command(cls=Command)
def acme(ctx: typer.Context) -> None:
    """Count the domains of the site.

    Exit status: 0 counted; 78 there is no site.

    Examples:
      mairust acme
    """
    session = Session.of(ctx)
    count = len(session.operations(Domains).browse().items)
    session.output.lines([f"{count} domains"])
