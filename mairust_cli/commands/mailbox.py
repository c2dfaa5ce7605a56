"""`mairust mailbox`."""

from __future__ import annotations

import typer

from mairust_cli.listing import All, Cursor, Limit, pages
from mairust_cli.output import Column, Columns
from mairust_cli.session import Session
from mairust_cli.tree import COMMANDS, Command, noun
from mairust_cli.words import AccountOption
from mairust_core.model.forms import Page
from mairust_core.model.mailbox import Mailbox
from mairust_core.services.accounts import Accounts
from mairust_core.services.pages import limited

app = noun(COMMANDS["mailbox"])

COLUMNS: Columns[Mailbox] = (
    Column("Mailbox", lambda mailbox: mailbox.name),
    Column("Messages", lambda mailbox: str(mailbox.messages), right=True),
    Column("Unseen", lambda mailbox: str(mailbox.unseen), right=True),
    Column("UIDValidity", lambda mailbox: str(mailbox.uidvalidity), right=True),
    Column("UIDNext", lambda mailbox: str(mailbox.uidnext), right=True),
)


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
    found = session.operations(Accounts).mailboxes(account)
    wanted = limit is not None or cursor is not None
    page = pages(lambda after, count: _part(found, after, count), limit, cursor, all_) if wanted else found
    session.output.page(page, COLUMNS)


def _part(found: Page[Mailbox], after: str, count: int) -> Page[Mailbox]:
    """Some of all mailboxes, which come at once: those that follow the one named `after`."""
    names = [mailbox.name for mailbox in found.items]
    start = names.index(after) + 1 if after in names else 0
    items = found.items[start : start + limited(count)]
    more = start + len(items) < len(names)
    return Page(items=items, next_cursor=items[-1].name if more else None)
