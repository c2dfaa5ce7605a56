"""`mairust serve`."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from mairust_cli.session import Session, os_user
from mairust_cli.tree import Command, single
from mairust_core.i18n import say

app = single()

_ADDRESS = 'HOST:PORT, unix:/PATH or "off"; port 0 picks a free one.'


@app.command(cls=Command)
def serve(
    ctx: typer.Context,
    smtp: Annotated[
        str | None, typer.Option("--smtp", metavar="ADDRESS", help=f"Where SMTP listens: {_ADDRESS}")
    ] = None,
    lmtp: Annotated[str | None, typer.Option("--lmtp", metavar="ADDRESS", help="Where LMTP listens.")] = None,
    http: Annotated[
        str | None, typer.Option("--http", metavar="ADDRESS", help="Where the HTTP API listens.")
    ] = None,
    workers: Annotated[
        str | None,
        typer.Option("--workers", metavar="N", help="Processes that share the listeners (default 1)."),
    ] = None,
) -> None:
    """Run the server: SMTP, LMTP, HTTP API and background work.

    It runs until SIGTERM or SIGINT and then finishes what it acknowledged. On a fresh machine it needs no
    configuration: it creates the site in the data directory, with an embedded SQLite database. When every
    listener is bound it says so on stderr, or with --json in one line on stdout.

    Exit status: 0 stopped in good order; 2 a wrong option; 75 an address is in use, another server runs on
    the data directory, or the database cannot be reached; 78 bad configuration.

    Examples:
      mairust serve
      mairust serve --json --smtp 127.0.0.1:0 --lmtp off --http 127.0.0.1:0
    """
    session = Session.of(ctx)
    session.stay_local("serve")
    given = {"smtp.listen": smtp, "lmtp.listen": lmtp, "http.listen": http, "node.workers": workers}
    settings = session.settings(given)
    from mairust_core.serve import serve as run

    if settings.origin("database.url").kind == "default":
        session.output.note(say("serve.embedded", session.output.lang, data_dir=settings.data_dir))
    raise typer.Exit(run(settings, lambda event: announce(session, event), os_user()))


def announce(session: Session, event: dict[str, Any]) -> None:
    """Say that the server is ready, and where it listens."""
    if session.output.json:
        session.output.lines([json.dumps(event)])
        return
    where = ", ".join(f"{name.upper()} {event[name]}" for name in ("smtp", "lmtp", "http") if event.get(name))
    session.output.note(say("serve.ready", session.output.lang, where=where, pid=event["pid"]))
