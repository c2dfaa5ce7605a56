"""`mairust deliver`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from mairust_cli.output import Output
from mairust_cli.session import Session
from mairust_cli.text import clean
from mairust_cli.tree import Command, single
from mairust_core.i18n import say

if TYPE_CHECKING:
    from mairust_core.deliver import Answer

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
    _tell(session.output, answers)
    raise typer.Exit(pipe.exit_code(answers))


def _tell(output: Output, answers: Sequence[Answer]) -> None:
    """What became of it; a front server shows the sender of what it bounces stderr: no advice then."""
    from mairust_core import deliver as pipe

    failure = pipe.failure(answers)
    if failure is not None and not output.json and pipe.exit_code(answers) != pipe.EX_TEMPFAIL:
        output.tell(clean(pipe.for_sender(answers)))
    elif failure is not None:
        output.error(failure)
    elif output.json:
        told = [{"address": one.recipient, "reply": str(one.reply)} for one in answers]
        output.document({"recipients": told})
