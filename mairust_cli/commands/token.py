"""`mairust token`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from mairust_cli.listing import All, Cursor, Limit, pages
from mairust_cli.output import Column, Columns
from mairust_cli.session import Session
from mairust_cli.text import moment
from mairust_cli.tree import COMMANDS, Command, noun
from mairust_cli.words import parse_moment
from mairust_core.errors import Invalid, Usage
from mairust_core.i18n import Wording
from mairust_core.model.principal import ReachKind, Scope
from mairust_core.model.token import IssuedToken, NewToken, Token
from mairust_core.services.tokens import Tokens

app = noun(COMMANDS["token"])

COLUMNS: Columns[Token] = (
    Column("Id", lambda token: token.id),
    Column("Name", lambda token: token.name),
    Column("Scopes", lambda token: " ".join(token.scopes)),
    Column("Reach", lambda token: " ".join(filter(None, (token.reach, token.subject)))),
    Column("Expires", lambda token: moment(token.expires_at)),
    Column("State", lambda token: Wording("token.revoked" if token.revoked else "token.valid")),
    Column("Created", lambda token: moment(token.created_at)),
)


@app.command("create", cls=Command)
def create(
    ctx: typer.Context,
    name: Annotated[str, typer.Option("--name", metavar="TEXT", help="What the key is for.")],
    scope: Annotated[
        list[str],
        typer.Option("--scope", metavar="|".join(Scope), help="What the key allows; may be repeated."),
    ],
    domain: Annotated[
        str | None, typer.Option("--domain", metavar="NAME", help="Reach this domain only.")
    ] = None,
    account: Annotated[
        str | None, typer.Option("--account", metavar="ADDRESS", help="Reach this account only.")
    ] = None,
    expires: Annotated[
        str | None,
        typer.Option("--expires", metavar="WHEN", help="As 2027-01-31T00:00:00Z, or from now as 90d."),
    ] = None,
) -> None:
    """Create an API key; its secret is shown this once.

    Without --domain and --account the key reaches the whole site. Nobody creates a key that may do more, or
    reaches further, than they do themselves. With --quiet the key alone is printed.

    Exit status: 0 created; 2 a bad scope or time; 4 there is no such domain or account; 77 beyond your own.

    Examples:
      mairust token create --name backup --scope read
      mairust token create --name web --scope read --scope write --account ann@example.org --expires 90d
    """
    session = Session.of(ctx)
    reach, subject = _reach(domain, account)
    new = NewToken(
        name=name,
        scopes=tuple(map(_scope, scope)),
        reach=reach,
        subject=subject,
        expires_at=None if expires is None else parse_moment(expires, datetime.now(UTC)),
    )
    issued = session.operations(Tokens).create(new)
    if session.output.quiet and not session.output.json:
        session.output.lines([issued.key])
    else:
        session.output.item(issued, _issued())


@app.command("list", cls=Command)
def list_(ctx: typer.Context, limit: Limit = None, cursor: Cursor = None, all_: All = False) -> None:
    """List the API keys, without their secrets.

    Exit status: 0 listed.

    Examples:
      mairust token list
    """
    session = Session.of(ctx)
    tokens = session.operations(Tokens)
    found = pages(lambda after, count: tokens.browse(cursor=after, limit=count), limit, cursor, all_)
    session.output.page(found, COLUMNS)


@app.command("revoke", cls=Command)
def revoke(
    ctx: typer.Context, id_: Annotated[str, typer.Argument(metavar="ID", help="As `token list` shows it.")]
) -> None:
    """Revoke an API key; it is refused within a second.

    It asks nothing: revoking is how damage is stopped.

    Exit status: 0 revoked, now or before; 4 there is no such key.

    Examples:
      mairust token revoke 0123456789abcdef
    """
    session = Session.of(ctx)
    session.output.change(session.operations(Tokens).revoke(id_), COLUMNS)


def _reach(domain: str | None, account: str | None) -> tuple[ReachKind, str | None]:
    if domain is not None and account is not None:
        raise Usage("one_reach")
    if account is not None:
        return ReachKind.ACCOUNT, account
    return (ReachKind.SITE, None) if domain is None else (ReachKind.DOMAIN, domain)


def _scope(text: str) -> Scope:
    try:
        return Scope(text)
    except ValueError as error:
        raise Invalid("scope", "not_choice", value=repr(text[:40]), known=", ".join(Scope)) from error


def _issued() -> Columns[IssuedToken]:
    return (
        Column("Key", lambda issued: issued.key),
        *(Column(c.title, lambda issued, text=c.text: text(issued.token)) for c in COLUMNS),  # type: ignore[misc]  # the default binds each column's own function
    )
