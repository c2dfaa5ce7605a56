"""`mairust deliver`."""

from __future__ import annotations

from typing import Annotated

import typer

from mairust_cli.session import Session
from mairust_cli.text import clean
from mairust_cli.tree import Command, single
from mairust_core.i18n import say

app = single()


@app.command(cls=Command)
def deliver(
    ctx: typer.Context,
    addresses: Annotated[list[str], typer.Argument(metavar="ADDRESS...", help="The recipients.")],
    sender: Annotated[
        str | None, typer.Option("--from", metavar="ADDRESS", help="The envelope sender; none: <>.")
    ] = None,
) -> None:
    """Store one message read from stdin, for a mail server's pipe.

    The running server takes it; without one it is stored directly. What a first try stored is not stored
    twice when the same message comes again within a day.

    A sender that is no address is taken as <>, with a note. Local parts are quoted where they have to be.

    Exit status: 0 all recipients are stored; 65 the message is refused; 67 all recipients are unknown; 75
    everything else, bad usage among it: a mail server in front tries again and never bounces for our fault.

    Examples:
      mairust deliver ann@example.org < mail.eml
    """
    session = Session.of(ctx)
    session.stay_local("deliver")
    from mairust_core import deliver as pipe

    reverse_path = pipe.reverse_path(sender or "")
    if reverse_path is None:
        session.output.note(say("deliver.no_sender", session.output.lang, sender=clean(sender or "")[:80]))
    session.hear_log()
    answers = pipe.deliver(session.settings(), addresses, session.input_bytes, reverse_path or "")
    failure = pipe.failure(answers)
    if failure is not None:
        session.output.error(failure)
    elif session.output.json:
        told = [{"address": one.recipient, "reply": str(one.reply)} for one in answers]
        session.output.document({"recipients": told})
    raise typer.Exit(pipe.exit_code(answers))
