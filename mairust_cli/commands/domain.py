"""`mairust domain`."""

from __future__ import annotations

from typing import Annotated

import typer

from mairust_cli.listing import All, Cursor, Limit, pages
from mairust_cli.output import Column, Columns
from mairust_cli.session import Session
from mairust_cli.text import moment
from mairust_cli.tree import COMMANDS, Command, noun
from mairust_cli.words import Yes
from mairust_core.model.domain import Domain, NewDomain
from mairust_core.services.domains import Domains

app = noun(COMMANDS["domain"])

Name = Annotated[str, typer.Argument(metavar="NAME", help="The domain, in any case or Unicode form.")]

COLUMNS: Columns[Domain] = (
    Column("Domain", lambda domain: domain.name),
    Column("Accounts", lambda domain: str(domain.accounts), right=True),
    Column("Created", lambda domain: moment(domain.created_at)),
)


@app.command("add", cls=Command)
def add(ctx: typer.Context, name: Name) -> None:
    """Add a mail domain.

    From the next second on every listener takes mail for its addresses.

    Exit status: 0 added; 5 it exists already.

    Examples:
      mairust domain add example.net
      mairust domain add bücher.example --json
    """
    session = Session.of(ctx)
    session.output.change(session.operations(Domains).add(NewDomain(name=name)), COLUMNS)


@app.command("list", cls=Command)
def list_(ctx: typer.Context, limit: Limit = None, cursor: Cursor = None, all_: All = False) -> None:
    """List the domains, by name.

    Exit status: 0 listed.

    Examples:
      mairust domain list
      mairust domain list --all --json
    """
    session = Session.of(ctx)
    domains = session.operations(Domains)
    found = pages(lambda after, count: domains.browse(cursor=after, limit=count), limit, cursor, all_)
    session.output.page(found, COLUMNS)


@app.command("show", cls=Command)
def show(ctx: typer.Context, name: Name) -> None:
    """Show one domain.

    Exit status: 0 shown; 4 there is no such domain.

    Examples:
      mairust domain show example.org
    """
    session = Session.of(ctx)
    session.output.item(session.operations(Domains).show(name), COLUMNS)


@app.command("remove", cls=Command)
def remove(ctx: typer.Context, name: Name, yes: Yes = False) -> None:
    """Remove a domain that holds no account or alias any more.

    Exit status: 0 removed; 4 there is no such domain; 5 it still holds accounts or aliases.

    Examples:
      mairust domain remove example.com --yes
    """
    session = Session.of(ctx)
    session.confirm("remove_domain", yes, name=name)
    session.output.removed(session.operations(Domains).remove(name), "domain")
