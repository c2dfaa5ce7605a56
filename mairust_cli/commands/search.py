"""`mairust search`."""

from __future__ import annotations

from typing import Annotated

import typer

from mairust_cli.commands.message_changes import COLUMNS
from mairust_cli.found import print_found
from mairust_cli.listing import All, Cursor, Limit
from mairust_cli.session import Session
from mairust_cli.tree import Command, single
from mairust_cli.words import AccountOption
from mairust_core.model.search import Found
from mairust_core.services.search import Search

app = single()


@app.command(cls=Command)
def search(
    ctx: typer.Context,
    query: Annotated[str, typer.Argument(metavar="QUERY", help="What to look for, in one pair of quotes.")],
    account: AccountOption,
    limit: Limit = None,
    cursor: Cursor = None,
    all_: All = False,
) -> None:
    """Find an account's messages that match, newest first.

    Words must all be there, in any order; "several words" side by side; invo* is any word that begins so;
    -word must not be there; OR and parentheses join. Japanese is found by any part of two characters or
    more. from: to: cc: subject: filename: look there only; before:2027-01-31 after:2027-01-01
    has:attachment is:unread tag:NAME and mailbox:NAME say more. A query that begins with - follows --.

    The set is exact. Where it cannot be, a note says why, and with --json `complete` is false.

    Exit status: 0 searched, found or not; 2 the query is not understood; 4 no such account or mailbox.

    Examples:
      mairust search 'invoice from:bob' --account ann@example.org
      mairust search '"see you" -subject:lunch' --account ann@example.org --all --json
      mairust search --account ann@example.org -- '-is:unread after:2027-01-01'
    """
    session = Session.of(ctx)
    service = session.operations(Search)

    def fetch(after: str, count: int) -> Found:
        return service.find(q=query, account=account, cursor=after, limit=count)

    print_found(session, COLUMNS, fetch, limit=limit, cursor=cursor, all_=all_)
