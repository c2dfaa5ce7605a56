"""Commands on plugins at work: secrets, tokens, logs, and which mail they saw."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from mairust_cli.listing import All, Cursor, Limit, pages
from mairust_cli.output import Column, Columns
from mairust_cli.session import Session
from mairust_cli.text import clean, moment
from mairust_cli.tree import Command, noun
from mairust_cli.words import PluginId, Since, parse_duration_s, past
from mairust_core.errors import Invalid, Usage
from mairust_core.i18n import Wording
from mairust_core.model.forms import MAX_LIMIT
from mairust_core.model.plugin_life import (
    IssuedPluginToken,
    LogOrigin,
    NewPluginToken,
    PluginAccess,
    PluginLogLine,
    PluginToken,
    RotatedSecret,
    Rotation,
    TokenScope,
)
from mairust_core.services.accesses import Accesses
from mairust_core.services.plugin_tokens import PluginTokens
from mairust_core.services.plugins import Plugins

token_app = noun("Issue and revoke tokens with which a plugin comes back.")

FOLLOW_S = 1.0
FIRST_LINES = 10

TokenId = Annotated[str, typer.Argument(metavar="TOKEN", help="Its id, as `plugin token list` shows it.")]

ROTATED: Columns[RotatedSecret] = (
    Column("Id", lambda rotated: rotated.id),
    Column("Secret", lambda rotated: rotated.secret),
    Column(
        "The one before",
        lambda rotated: (
            Wording("secret.good_until", until=moment(rotated.previous_valid_until))
            if rotated.previous_valid_until
            else Wording("secret.refused")
        ),
    ),
)

TOKENS: Columns[PluginToken] = (
    Column("Id", lambda token: token.id),
    Column("Scopes", lambda token: " ".join(token.scopes)),
    Column("Delivery", lambda token: token.delivery or "-"),
    Column("State", lambda token: Wording("token.revoked" if token.revoked else "token.issued")),
    Column("Expires", lambda token: moment(token.expires_at)),
    Column("Used", lambda token: str(token.uses), right=True),
    Column("Refused", lambda token: str(token.refused), right=True),
    Column("By", lambda token: token.created_by, shrink=True),
)

LOG: Columns[PluginLogLine] = (
    Column("At", lambda line: moment(line.at)),
    Column(
        "From",
        lambda line: line.origin,
        style=lambda line: "" if line.origin == "stderr" else "yellow",
        sense="origin",
    ),
    Column("Hook", lambda line: line.hook or "-"),
    Column("Text", lambda line: line.text, shrink=True),
)

ACCESSES: Columns[PluginAccess] = (
    Column("At", lambda access: moment(access.at)),
    Column("Plugin", lambda access: f"{access.plugin} {access.version}"),
    Column("Account", lambda access: access.account or Wording("access.removed")),
    Column(
        "Message",
        lambda access: str(int(access.message_id)) if access.message_id else Wording("access.refused"),
    ),
    Column("Saw", lambda access: " ".join(access.saw) or Wording("access.recipient")),
    Column("Why", lambda access: access.occasion),
    Column("Hook", lambda access: access.hook, shrink=True),
)


def rotate_secret(
    ctx: typer.Context,
    id_: PluginId,
    grace: Annotated[
        str,
        typer.Option(
            "--grace", metavar="TIME", help="How long the one before verifies, too: 0, 90m, 24h, 7d."
        ),
    ] = "24h",
) -> None:
    """Give a plugin a new secret, shown this once.

    Until the grace period is over requests are signed with both, so that the plugin can be given the new one
    in peace; then the one before is refused. With --grace 0 it is dead at once: for a secret that others
    know. After a second rotation only the two newest count.

    Exit status: 0 rotated; 2 a bad value; 4 there is no such plugin; 5 it has no secret (local processes have
    none), is not approved, or is blocked.

    Examples:
      mairust plugin rotate-secret com.example.spam
      mairust plugin rotate-secret com.example.spam --grace 0 --json
    """
    session = Session.of(ctx)
    wanted = Rotation(grace_s=parse_duration_s(grace, "grace"))
    rotated = session.operations(Plugins).rotate_secret(id_, wanted)
    if session.output.quiet and not session.output.json:
        session.output.lines([rotated.secret])
    else:
        session.output.item(rotated, ROTATED)


def logs(
    ctx: typer.Context,
    id_: PluginId,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Show the last lines, then those to come, until Ctrl-C.")
    ] = False,
    limit: Limit = None,
    cursor: Cursor = None,
    all_: All = False,
) -> None:
    """List what a plugin wrote on stderr and why calls of it failed, newest first.

    The newest thousand lines are kept, without control characters and secrets, each cut at 512 bytes. With
    --follow the oldest comes first.

    Exit status: 0 listed; 4 there is no such plugin; 130 stopped following.

    Examples:
      mairust plugin logs com.example.spam
      mairust plugin logs com.example.spam --limit 200 --json
    """
    session = Session.of(ctx)
    plugins = session.operations(Plugins)
    if follow:
        _follow(session, plugins, id_, FIRST_LINES if limit is None else limit)
    found = pages(lambda after, count: plugins.logs(id_, cursor=after, limit=count), limit, cursor, all_)
    session.output.page(found, LOG)


def _follow(session: Session, plugins: Plugins, id_: str, count: int) -> None:
    """Print lines as they come; ends with the command."""
    if session.output.json:
        raise Usage("follow_json")
    last = "0"
    found = list(reversed(plugins.logs(id_, limit=count).items))
    while True:
        session.output.lines([_as_line(line) for line in found])
        last = str(int(found[-1].id)) if found else last
        if len(found) < MAX_LIMIT:
            time.sleep(FOLLOW_S)
        found = list(plugins.logs(id_, after=last, limit=MAX_LIMIT).items)


def _as_line(line: PluginLogLine) -> str:
    mark = "" if line.origin is LogOrigin.STDERR else f"[{line.origin}] "
    return f"{moment(line.at)} {mark}{clean(line.text)}"


def accesses(
    ctx: typer.Context,
    id_: PluginId,
    since: Since = None,
    limit: Limit = None,
    cursor: Cursor = None,
    all_: All = False,
) -> None:
    """List which mail a plugin saw, newest first: whose, when, and what of it.

    The recipient and the size are always told; headers, body and attachments as far as the plugin's
    permissions went then. Kept for a year (telemetry.access_days), also after the plugin is removed.

    Exit status: 0 listed; 2 a bad value.

    Examples:
      mairust plugin accesses com.example.spam
      mairust plugin accesses com.example.spam --since 30d --all --json
    """
    session = Session.of(ctx)
    asked = session.operations(Accesses)
    found = pages(
        lambda after, count: asked.of_plugin(id_, since=past(since), cursor=after, limit=count),
        limit, cursor, all_,
    )  # fmt: skip
    session.output.page(found, ACCESSES)


def accesses_of_message(
    ctx: typer.Context,
    id_: Annotated[str, typer.Argument(metavar="ID", help="The message's id.")],
    limit: Limit = None,
    cursor: Cursor = None,
    all_: All = False,
) -> None:
    """List which plugins saw a message, and what of it, newest first.

    Kept for a year (telemetry.access_days), also after the message is gone.

    Exit status: 0 listed; 4 there is no such message, and none was seen.

    Examples:
      mairust message accesses ID
    """
    session = Session.of(ctx)
    asked = session.operations(Accesses)
    found = pages(lambda after, count: asked.of_message(id_, cursor=after, limit=count), limit, cursor, all_)
    session.output.page(found, ACCESSES)


def accesses_of_account(
    ctx: typer.Context,
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="The account.")],
    since: Since = None,
    limit: Limit = None,
    cursor: Cursor = None,
    all_: All = False,
) -> None:
    """List which plugins saw an account's mail, and what of it, newest first.

    It answers who asks for what others were told of them (GDPR, article 15). Kept for a year
    (telemetry.access_days).

    Exit status: 0 listed; 2 a bad value; 4 there is no such account.

    Examples:
      mairust account accesses ann@example.org --since 30d
    """
    session = Session.of(ctx)
    asked = session.operations(Accesses)
    found = pages(
        lambda after, count: asked.of_account(address, since=past(since), cursor=after, limit=count),
        limit, cursor, all_,
    )  # fmt: skip
    session.output.page(found, ACCESSES)


@token_app.command("create", cls=Command)
def create_token(
    ctx: typer.Context,
    id_: PluginId,
    scope: Annotated[
        list[str],
        typer.Option(
            "--scope", metavar="|".join(TokenScope), help="What it allows; several times for several."
        ),
    ],
    delivery: Annotated[
        str | None,
        typer.Option("--delivery", metavar="ID", help="The delivery_id that a callback is about."),
    ] = None,
    expires: Annotated[
        str, typer.Option("--expires", metavar="TIME", help="How long it is good, at most 1h: 90s, 30m.")
    ] = "1h",
) -> None:
    """Issue a token to a plugin, shown this once.

    Scope metrics lets it tell numbers of itself, callback say more about one delivery, once: for a plugin
    whose own token was over before it was done. Each use asks anew whether the plugin still may.

    Exit status: 0 issued; 2 a bad value; 4 there is no such plugin or message; 5 it is not approved, or
    blocked.

    Examples:
      mairust plugin token create com.example.spam --scope metrics
      mairust plugin token create com.example.spam --scope metrics --expires 10m --json
    """
    session = Session.of(ctx)
    new = NewPluginToken(
        scopes=tuple(map(_scope, scope)),
        delivery=delivery,
        good_for_s=parse_duration_s(expires, "expires"),
    )
    _tell_token(session, session.operations(PluginTokens).create(id_, new))


@token_app.command("list", cls=Command)
def list_tokens(
    ctx: typer.Context, id_: PluginId, limit: Limit = None, cursor: Cursor = None, all_: All = False
) -> None:
    """List the tokens that were issued to a plugin, or revoked, by their ids.

    Exit status: 0 listed; 4 there is no such plugin.

    Examples:
      mairust plugin token list com.example.spam
    """
    session = Session.of(ctx)
    issued = session.operations(PluginTokens)
    found = pages(lambda after, count: issued.browse(id_, cursor=after, limit=count), limit, cursor, all_)
    session.output.page(found, TOKENS)


@token_app.command("reissue", cls=Command)
def reissue_token(ctx: typer.Context, id_: PluginId, token: TokenId) -> None:
    """Issue a token once more for an hour; the one before is revoked.

    Exit status: 0 issued; 4 there is no such token; 5 the plugin is blocked.

    Examples:
      mairust plugin token reissue com.example.spam pt_0123456789abcdef0123
    """
    session = Session.of(ctx)
    _tell_token(session, session.operations(PluginTokens).reissue(id_, token))


@token_app.command("revoke", cls=Command)
def revoke_token(ctx: typer.Context, id_: PluginId, token: TokenId) -> None:
    """Revoke a token at once, by its id.

    That is the one `plugin token list` shows, or the delivery_id for a token that went with a delivery. It
    asks nothing: revoking is how damage is stopped.

    Exit status: 0 revoked, now or before; 4 there is no such token.

    Examples:
      mairust plugin token revoke com.example.spam pt_0123456789abcdef0123
    """
    session = Session.of(ctx)
    session.output.change(session.operations(PluginTokens).revoke(id_, token), TOKENS)


def _tell_token(session: Session, issued: IssuedPluginToken) -> None:
    if session.output.quiet and not session.output.json:
        session.output.lines([issued.jwt])
    else:
        session.output.item(issued, _issued())


def _issued() -> Columns[IssuedPluginToken]:
    return (
        Column("Token", lambda issued: issued.jwt),
        *(Column(c.title, lambda issued, text=c.text: text(issued.token)) for c in TOKENS),  # type: ignore[misc]  # the default binds each column's own function
    )


def _scope(text: str) -> TokenScope:
    try:
        return TokenScope(text)
    except ValueError as error:
        raise Invalid("scope", "not_choice", value=repr(text[:40]), known=", ".join(TokenScope)) from error
