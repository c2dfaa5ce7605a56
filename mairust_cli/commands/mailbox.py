"""`mairust mailbox`."""

from __future__ import annotations

from typing import Annotated

import typer

from mairust_cli.listing import All, Cursor, Limit, pages
from mairust_cli.output import Column, Columns, as_told
from mairust_cli.session import Session
from mairust_cli.tree import COMMANDS, Command, noun
from mairust_cli.words import AccountOption, Yes
from mairust_core.model.forms import Page
from mairust_core.model.mailbox import Mailbox, MailboxRef, MailboxRename, NewMailbox
from mairust_core.services.accounts import Accounts
from mairust_core.services.mailboxes import Mailboxes

app = noun(COMMANDS["mailbox"])

Name = Annotated[str, typer.Argument(metavar="NAME", help="Levels stand between slashes, as Work/2026.")]

COLUMNS: Columns[Mailbox] = (
    Column("Mailbox", lambda mailbox: mailbox.name),
    Column("Messages", lambda mailbox: str(mailbox.messages), right=True),
    Column("Unseen", lambda mailbox: str(mailbox.unseen), right=True),
    Column("UIDValidity", lambda mailbox: str(mailbox.uidvalidity), right=True),
    Column("UIDNext", lambda mailbox: str(mailbox.uidnext), right=True),
)


RENAMED: Columns[Mailbox | MailboxRef] = as_told(COLUMNS, Mailbox)


@app.command("list", cls=Command)
def list_(
    ctx: typer.Context,
    account: AccountOption,
    limit: Limit = None,
    cursor: Cursor = None,
    all_: All = False,
) -> None:
    """List an account's mailboxes, INBOX first.

    Exit status: 0 listed; 4 there is no such account.

    Examples:
      mairust mailbox list --account ann@example.org
      mairust mailbox list --account ann@example.org --json
    """
    session = Session.of(ctx)
    accounts = session.operations(Accounts)
    if limit is None and cursor is None:  # a server of an earlier version gives all of them, and only so
        page = accounts.mailboxes(account)
    else:

        def fetch(after: str, count: int) -> Page[Mailbox]:
            return accounts.mailboxes(account, cursor=after, limit=count)

        page = pages(fetch, limit, cursor, all_)
    session.output.page(page, COLUMNS)


@app.command("create", cls=Command)
def create(ctx: typer.Context, name: Name, account: AccountOption) -> None:
    """Create a mailbox; those above it in its name need not be there.

    Exit status: 0 created; 2 a bad name; 4 there is no such account; 5 it is there already.

    Examples:
      mairust mailbox create Work/2026 --account ann@example.org
    """
    session = Session.of(ctx)
    session.output.change(session.operations(Mailboxes).create(account, NewMailbox(name=name)), COLUMNS)


@app.command("rename", cls=Command)
def rename(
    ctx: typer.Context,
    name: Name,
    to: Annotated[str, typer.Argument(metavar="NEW", help="Its new name.")],
    account: AccountOption,
) -> None:
    """Give a mailbox another name, and with it what lies below it.

    Exit status: 0 renamed; 2 a bad name; 4 there is no such account or mailbox; 5 the new name is taken.

    Examples:
      mairust mailbox rename Work Archive/Work --account ann@example.org
    """
    session = Session.of(ctx)
    wanted = MailboxRename(name=name, to=to)
    session.output.change(session.operations(Mailboxes).rename(account, wanted), RENAMED)


@app.command("delete", cls=Command)
def delete(ctx: typer.Context, name: Name, account: AccountOption, yes: Yes = False) -> None:
    """Delete a mailbox and put its messages into the trash; what lies below it stays.

    An undeleted message makes the mailbox anew.

    Exit status: 0 deleted; 2 it is INBOX or Quarantine, or nobody is there to ask; 4 there is no such account
    or mailbox; 75 somebody keeps putting messages there.

    Examples:
      mairust mailbox delete Work --account ann@example.org --yes
    """
    session = Session.of(ctx)
    session.confirm("delete_mailbox", yes, name=name, account=account)
    session.output.removed(session.operations(Mailboxes).delete(account, name=name), "mailbox")
