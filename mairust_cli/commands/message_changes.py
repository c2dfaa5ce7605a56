"""The commands of `mairust message` that change messages, one or several."""

from __future__ import annotations

import re
from shlex import quote
from typing import Annotated

import typer

from mairust_cli.each import each
from mairust_cli.output import Column, Columns, as_told
from mairust_cli.session import Session
from mairust_cli.text import moment, size
from mairust_cli.words import Yes
from mairust_core.errors import Usage
from mairust_core.model.message import Deleted, MessageRef, Party, Summary
from mairust_core.model.message_change import MessageChange
from mairust_core.services.messages import Messages

Ids = Annotated[list[str], typer.Argument(metavar="ID...", help="As `message list` shows them.")]

_LIKE_OTHERS = re.compile(r"""^[\\$]|[\s'"]""")


def marks(message: Summary) -> str:
    """The flags of a message, then its tags; one that may be taken for a flag, or for several, is quoted."""
    tags = (quote(tag) if _LIKE_OTHERS.search(tag) else tag for tag in message.tags)
    return " ".join((*message.flags, *tags))


def _parties(parties: tuple[Party, ...]) -> str:
    return ", ".join(party.name or party.address for party in parties)


COLUMNS: Columns[Summary] = (
    Column("Id", lambda message: str(int(message.id))),
    Column("Received", lambda message: moment(message.received_at)),
    Column("Mailbox", lambda message: message.mailbox),
    Column("Flags", marks),
    Column("Size", lambda message: size(message.size), right=True),
    Column("From", lambda message: _parties(message.from_), shrink=True),
    Column("Subject", lambda message: message.subject, shrink=True),
)


CHANGED: Columns[Summary | MessageRef] = as_told(COLUMNS, Summary)
DELETED: Columns[Deleted] = (
    Column("Id", lambda deleted: str(int(deleted.id))),
    Column("Undelete until", lambda deleted: moment(deleted.undelete_until)),
)


def tag(
    ctx: typer.Context,
    ids: Ids,
    add: Annotated[
        list[str] | None, typer.Option("--add", metavar="TEXT", help="A tag to add; may be repeated.")
    ] = None,
    remove: Annotated[
        list[str] | None, typer.Option("--remove", metavar="TEXT", help="A tag to remove; may be repeated.")
    ] = None,
) -> None:
    """Add tags to messages and remove others.

    Tags are texts of your own, as many as 64 of up to 64 characters. What is so already stays so.

    Exit status: 0 done; 2 a bad tag, or none; 3 some messages could not be changed; 4 there is no such
    message; 5 it is deleted.

    Examples:
      mairust message tag ID --add bill --add "to pay"
      mairust message tag ID --remove bill
    """
    if not add and not remove:
        raise Usage("nothing_to_change")
    wanted = MessageChange(add_tags=tuple(add or ()), remove_tags=tuple(remove or ()))
    _change(ctx, ids, wanted)


def flag(
    ctx: typer.Context,
    ids: Ids,
    add: Annotated[
        list[str] | None,
        typer.Option("--add", metavar="FLAG", help=r"As \Seen, or a keyword; may be repeated."),
    ] = None,
    remove: Annotated[
        list[str] | None, typer.Option("--remove", metavar="FLAG", help="A flag to remove; may be repeated.")
    ] = None,
) -> None:
    r"""Add flags to messages and remove others.

    System flags are \Seen, \Answered, \Flagged and \Draft; others are keywords, as $Junk. What is so already
    stays so.

    Exit status: 0 done; 2 a bad flag, or none; 3 some messages could not be changed; 4 there is no such
    message; 5 it is deleted.

    Examples:
      mairust message flag ID --add '\Seen' --remove '$Junk'
    """
    if not add and not remove:
        raise Usage("nothing_to_change")
    wanted = MessageChange(add_flags=tuple(add or ()), remove_flags=tuple(remove or ()))
    _change(ctx, ids, wanted)


def move(
    ctx: typer.Context,
    ids: Ids,
    to: Annotated[str, typer.Option("--to", metavar="MAILBOX", help="The mailbox, which must be there.")],
) -> None:
    """Move messages to another mailbox of their account.

    They keep their ids and get new UIDs.

    Exit status: 0 moved, now or before; 3 some messages could not be moved; 4 there is no such message or
    mailbox; 5 it is deleted.

    Examples:
      mairust message move ID --to Work
    """
    _change(ctx, ids, MessageChange(mailbox=to))


def _change(ctx: typer.Context, ids: list[str], wanted: MessageChange) -> None:
    session = Session.of(ctx)
    messages = session.operations(Messages)
    each(session, ids, lambda id_: messages.change(id_, wanted), CHANGED)


def delete(
    ctx: typer.Context,
    ids: Ids,
    now: Annotated[bool, typer.Option("--now", help="For good, also from the trash.")] = False,
    yes: Yes = False,
) -> None:
    """Delete messages: they go to the trash.

    `message undelete` brings them back from there. The trash does not count towards the quota. After
    database.trash_days (30) messages in it are deleted for good; with --now they are at once, which is asked
    about.

    Exit status: 0 deleted, now or before; 2 nobody is there to ask about --now; 3 some messages could not be
    deleted; 4 there is no such message.

    Examples:
      mairust message delete ID
      mairust message delete ID --now --yes
    """
    session = Session.of(ctx)
    if now:
        session.confirm("delete_for_good", yes, count=len(ids))
    messages = session.operations(Messages)
    each(session, ids, lambda id_: messages.delete(id_, now=now), DELETED)


def undelete(ctx: typer.Context, ids: Ids) -> None:
    """Put deleted messages back into the mailboxes they were in.

    A mailbox that is gone is made anew. `message list --deleted` shows what can be undeleted.

    Exit status: 0 it is back, now or before; 1 the account has no room for it; 3 some messages could not be
    undeleted; 4 there is no such message any more.

    Examples:
      mairust message undelete ID
    """
    session = Session.of(ctx)
    each(session, ids, session.operations(Messages).undelete, CHANGED)


def release(ctx: typer.Context, ids: Ids) -> None:
    """Let messages out of Quarantine into INBOX.

    Exit status: 0 it is no longer in Quarantine; 3 some messages could not be released; 4 there is no such
    message; 5 it is deleted.

    Examples:
      mairust message release ID
    """
    session = Session.of(ctx)
    each(session, ids, session.operations(Messages).release, CHANGED)
