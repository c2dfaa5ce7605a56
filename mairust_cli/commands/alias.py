"""`mairust alias`."""

from __future__ import annotations

from typing import Annotated

import typer

from mairust_cli.listing import All, Cursor, Limit, pages
from mairust_cli.output import Column, Columns
from mairust_cli.session import Session
from mairust_cli.text import moment
from mairust_cli.tree import COMMANDS, Command, noun
from mairust_cli.words import Yes
from mairust_core.model.alias import Alias, NewAlias
from mairust_core.services.aliases import Aliases

app = noun(COMMANDS["alias"])

Address = Annotated[str, typer.Argument(metavar="ADDRESS", help="The alias; *@DOMAIN is the catch-all.")]

COLUMNS: Columns[Alias] = (
    Column("Address", lambda alias: alias.address),
    Column("To", lambda alias: ", ".join(alias.to)),
    Column("Created", lambda alias: moment(alias.created_at)),
)


@app.command("add", cls=Command)
def add(
    ctx: typer.Context,
    address: Address,
    to: Annotated[
        list[str], typer.Option("--to", metavar="ADDRESS", help="Where its mail goes; may be repeated.")
    ],
    more: Annotated[
        list[str] | None, typer.Argument(metavar="[ADDRESS]...", help="Further addresses after --to.")
    ] = None,
) -> None:
    """Add an alias or, as *@DOMAIN, a catch-all.

    Exit status: 0 added; 2 a bad address; 4 there is no such domain or target; 5 the address is taken.

    Examples:
      mairust alias add info@example.org --to ann@example.org --to bob@example.org
      mairust alias add '*@example.org' --to ann@example.org
    """
    session = Session.of(ctx)
    new = NewAlias(address=address, to=(*to, *(more or ())))
    session.output.change(session.operations(Aliases).add(new), COLUMNS)


@app.command("list", cls=Command)
def list_(ctx: typer.Context, limit: Limit = None, cursor: Cursor = None, all_: All = False) -> None:
    """List the aliases, by address.

    Exit status: 0 listed.

    Examples:
      mairust alias list
    """
    session = Session.of(ctx)
    aliases = session.operations(Aliases)
    found = pages(lambda after, count: aliases.browse(cursor=after, limit=count), limit, cursor, all_)
    session.output.page(found, COLUMNS)


@app.command("show", cls=Command)
def show(ctx: typer.Context, address: Address) -> None:
    """Show one alias.

    Exit status: 0 shown; 4 there is no such alias.

    Examples:
      mairust alias show sales@example.org
    """
    session = Session.of(ctx)
    session.output.item(session.operations(Aliases).show(address), COLUMNS)


@app.command("remove", cls=Command)
def remove(ctx: typer.Context, address: Address, yes: Yes = False) -> None:
    """Remove an alias; mail to it is refused from the next second on.

    Exit status: 0 removed; 4 there is no such alias.

    Examples:
      mairust alias remove sales@example.org --yes
    """
    session = Session.of(ctx)
    session.confirm("remove_alias", yes, address=address)
    session.output.removed(session.operations(Aliases).remove(address), "alias")
