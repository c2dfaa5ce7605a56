"""`mairust account`."""

from __future__ import annotations

from typing import Annotated

import typer

from mairust_cli.commands.plugin_life import accesses_of_account
from mairust_cli.listing import All, Cursor, Limit, pages
from mairust_cli.output import Column, Columns
from mairust_cli.session import Session, secret_line
from mairust_cli.text import moment, size, yes_no
from mairust_cli.tree import COMMANDS, Command, noun
from mairust_cli.words import Yes, parse_size
from mairust_core.errors import Usage
from mairust_core.i18n import Wording, say
from mairust_core.model.account import Account, AccountChange, NewAccount, NewPassword
from mairust_core.model.forms import UNSET
from mairust_core.services.accounts import Accounts

app = noun(COMMANDS["account"])

Address = Annotated[str, typer.Argument(metavar="ADDRESS", help="The account's address.")]

COLUMNS: Columns[Account] = (
    Column("Address", lambda account: account.address),
    Column("State", lambda account: Wording("account.enabled" if account.enabled else "account.disabled")),
    Column("Admin", lambda account: yes_no(account.admin)),
    Column("Messages", lambda account: str(account.messages), right=True),
    Column("Used", lambda account: size(account.used_bytes), right=True),
    Column("Quota", lambda account: size(account.quota_bytes), right=True),
    Column("Created", lambda account: moment(account.created_at)),
)


@app.command("add", cls=Command)
def add(
    ctx: typer.Context,
    address: Address,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from the first line of stdin.")
    ] = False,
    admin: Annotated[bool, typer.Option("--admin", help="Let the account administer.")] = False,
    quota: Annotated[
        str | None, typer.Option("--quota", metavar="SIZE", help="Room for mail, as 500M or 2GiB.")
    ] = None,
) -> None:
    """Add an account with its INBOX.

    Its domain must be there already. Without a password nobody can log in to it; mail is taken either way.
    Sizes count in units of 1024.

    Exit status: 0 added; 2 a bad address, password or size; 4 there is no such domain; 5 it is
    taken.

    Examples:
      mairust account add carol@example.org --quota 2GiB
      echo "correct horse battery" | mairust account add dave@example.org --password-stdin
    """
    session = Session.of(ctx)
    password = (
        secret_line(session.stdin, say("account.password", session.output.lang)) if password_stdin else None
    )
    quota_bytes = None if quota is None else parse_size(quota)
    new = NewAccount(address=address, password=password, admin=admin, quota_bytes=quota_bytes)
    session.output.change(session.operations(Accounts).add(new), COLUMNS)


@app.command("list", cls=Command)
def list_(
    ctx: typer.Context,
    domain: Annotated[
        str | None, typer.Option("--domain", metavar="NAME", help="Only the accounts of this domain.")
    ] = None,
    limit: Limit = None,
    cursor: Cursor = None,
    all_: All = False,
) -> None:
    """List the accounts, by address.

    Exit status: 0 listed; 4 there is no such domain.

    Examples:
      mairust account list
      mairust account list --domain example.org --json
    """
    session = Session.of(ctx)
    accounts = session.operations(Accounts)
    found = pages(
        lambda after, count: accounts.browse(domain=domain or "", cursor=after, limit=count),
        limit,
        cursor,
        all_,
    )
    session.output.page(found, COLUMNS)


@app.command("show", cls=Command)
def show(ctx: typer.Context, address: Address) -> None:
    """Show one account.

    Exit status: 0 shown; 4 there is no such account.

    Examples:
      mairust account show ann@example.org
    """
    session = Session.of(ctx)
    session.output.item(session.operations(Accounts).show(address), COLUMNS)


@app.command("edit", cls=Command)
def edit(
    ctx: typer.Context,
    address: Address,
    quota: Annotated[
        str | None, typer.Option("--quota", metavar="SIZE", help="Room for mail, as 500M or 2GiB; or none.")
    ] = None,
    admin: Annotated[
        bool | None, typer.Option("--admin/--no-admin", help="Whether the account administers.")
    ] = None,
) -> None:
    """Change an account's quota, or whether it administers.

    A quota below what is in use deletes nothing: new mail is refused until there is room again. Deleted
    messages do not count.

    Exit status: 0 changed; 2 a bad size; 4 there is no such account.

    Examples:
      mairust account edit ann@example.org --quota 5GiB
      mairust account edit ann@example.org --quota none --admin
    """
    session = Session.of(ctx)
    change = AccountChange(
        quota_bytes=UNSET if quota is None else parse_size(quota), admin=UNSET if admin is None else admin
    )
    session.output.change(session.operations(Accounts).edit(address, change), COLUMNS)


@app.command("passwd", cls=Command)
def passwd(
    ctx: typer.Context,
    address: Address,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from the first line of stdin.")
    ] = False,
) -> None:
    """Give an account another password.

    It is asked for on a terminal, without being shown; elsewhere --password-stdin reads it.

    Exit status: 0 changed; 2 a bad password, or none; 4 there is no such account.

    Examples:
      echo "correct horse battery" | mairust account passwd ann@example.org --password-stdin
    """
    session = Session.of(ctx)
    if not password_stdin and not session.stdin.isatty():
        raise Usage("no_password")
    new = NewPassword(password=secret_line(session.stdin, say("account.new_password", session.output.lang)))
    session.output.change(session.operations(Accounts).passwd(address, new), COLUMNS)


@app.command("enable", cls=Command)
def enable(ctx: typer.Context, address: Address) -> None:
    """Let an account take mail and log in again.

    Exit status: 0 it is enabled now, or was before; 4 there is no such account.

    Examples:
      mairust account enable ann@example.org
    """
    session = Session.of(ctx)
    session.output.change(session.operations(Accounts).enable(address), COLUMNS)


@app.command("disable", cls=Command)
def disable(ctx: typer.Context, address: Address) -> None:
    """Refuse an account's new mail and log-ins; what it holds stays.

    Exit status: 0 it is disabled now, or was before; 4 there is no such account.

    Examples:
      mairust account disable ann@example.org
    """
    session = Session.of(ctx)
    session.output.change(session.operations(Accounts).disable(address), COLUMNS)


@app.command("remove", cls=Command)
def remove(ctx: typer.Context, address: Address, yes: Yes = False) -> None:
    """Remove an account and, a little later, all its mail.

    Exit status: 0 removed; 4 there is no such account; 5 aliases still name it.

    Examples:
      mairust account remove ann@example.org --yes
    """
    session = Session.of(ctx)
    session.confirm("remove_account", yes, address=address)
    session.output.removed(session.operations(Accounts).remove(address), "account")


app.command("accesses", cls=Command)(accesses_of_account)
