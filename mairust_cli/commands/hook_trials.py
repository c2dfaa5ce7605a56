"""`mairust hook test` and `mairust hook replay`: trying hooks out, without effect."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Any

import typer

from mairust_cli.choices import choice
from mairust_cli.files import opened_message
from mairust_cli.listing import All, Cursor, Limit, pages
from mairust_cli.output import Column, Columns
from mairust_cli.session import Session
from mairust_cli.text import clean, clean_lines, moment
from mairust_cli.words import AccountOption, Since, past
from mairust_core.errors import MaiRustError, Usage
from mairust_core.i18n import Wording, say
from mairust_core.model.hook import HookType
from mairust_core.model.trial import Replay, Replayed, Step, Tried
from mairust_core.services.hooks import Hooks

FAILED = MaiRustError.exit_code
SOME_FAILED = 3

REPLAYED: Columns[Replayed] = (
    Column("Id", lambda one: str(int(one.id))),
    Column("Received", lambda one: moment(one.received_at)),
    Column("Action", lambda one: one.action if one.matched else Wording("replay.passed_over")),
    Column("ms", lambda one: f"{one.ms:.1f}", right=True),
    Column("Effect", lambda one: one.error or _brief(one.effect) or "-", shrink=True),
    Column("Subject", lambda one: one.subject, shrink=True),
)


def try_on_mail(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="A hook, or the id of a plugin.")],
    message: Annotated[
        str, typer.Option("--message", metavar="FILE", help="The mail; - reads it from stdin.")
    ],
    type_: Annotated[
        str | None,
        typer.Option("--type", metavar="|".join(HookType), help="Of a plugin, only its hooks of this type."),
    ] = None,
    from_: Annotated[
        str | None, typer.Option("--from", metavar="ADDRESS", help="The sender of its envelope.")
    ] = None,
    to: Annotated[
        list[str] | None, typer.Option("--to", metavar="ADDRESS", help="A recipient; may be repeated.")
    ] = None,
    more: Annotated[
        list[str] | None, typer.Argument(metavar="[ADDRESS]...", help="Further recipients after --to.")
    ] = None,
) -> None:
    """Ask a hook about a mail, and tell each step; nothing is stored.

    It is asked as on the road, also while it or its plugin is disabled. Told are what it was sent, how long
    it took, what it said, what that would change, and the reply that the sender would hear.

    Exit status: 0 every hook answered; 1 one did not, or not as it must; 2 a bad value; 4 there is no such
    hook; 5 its plugin is not approved; 75 it cannot be tried now.

    Examples:
      mairust hook test com.example.spam:pre_receive --message mail.eml --to ann@example.org
      mairust hook test com.example.spam --type pre_receive --message mail.eml --to ann@example.org --json
    """
    session = Session.of(ctx)
    if more and not to:
        raise Usage("extra_arguments", extra=" ".join(more)[:80], command=ctx.command_path)
    with opened_message(session, message) as content:
        tried = session.operations(Hooks).test(
            name,
            content,
            type=choice(HookType, "type", type_) if type_ else None,
            mail_from=from_ or "",
            rcpt_to=(*(to or ()), *(more or ())),
        )
    if session.output.json:
        session.output.document(tried)
    else:
        session.output.lines([*_told(tried, session.output.lang)])
    if tried.failed:
        raise SystemExit(FAILED)


def _told(tried: Tried, lang: str) -> Iterator[str]:
    for step in tried.steps:
        yield from _step(step, lang)
    yield say("trial.end", lang, action=clean(tried.action), reply=clean(tried.reply))


def _step(step: Step, lang: str) -> Iterator[str]:
    yield say("trial.step", lang, hook=clean(step.hook), type=step.type.value, ms=f"{step.ms:.1f}")
    yield f"  {say('trial.sent', lang)}"
    for line in clean_lines(json.dumps(step.payload, ensure_ascii=False, indent=2)):
        yield f"    {line}"
    if step.answer is not None or not step.error:
        yield f"  {say('trial.said', lang)} {clean(_plain(step.answer))}"
    if step.error:
        yield f"  {say('trial.failed', lang)} {clean(step.error)}"
    yield f"  {say('trial.effect', lang)} {clean(_brief(step.effect) or '-')}"
    if step.log:
        yield f"  {say('trial.wrote', lang)} {clean(step.log)}"
    if missing := step.notes.get("missing"):
        yield f"  {say('trial.missing', lang, layers=clean(', '.join(missing)))}"


def _brief(value: Any) -> str:
    return _plain(value) if value else ""


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def replay(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="As `hook list` shows it.")],
    account: AccountOption,
    since: Since = None,
    limit: Limit = None,
    cursor: Cursor = None,
    all_: All = False,
) -> None:
    """Ask a hook about stored mail, and tell what it would have changed.

    Newest first; nothing changes. A hook can be tried on the mail of last month before it is enabled.

    Exit status: 0 asked; 2 a bad time; 3 on some messages it failed; 4 there is no such hook or account; 5
    its plugin is not approved; 75 it cannot be tried now.

    Examples:
      mairust hook replay com.example.spam:pre_receive --account ann@example.org --since 30d
    """
    session = Session.of(ctx)
    hooks = session.operations(Hooks)
    wanted = Replay(account=account, since=past(since))
    found = pages(
        lambda after, count: hooks.replay(name, replace(wanted, cursor=after, limit=count)),
        limit,
        cursor,
        all_,
    )
    session.output.page(found, REPLAYED)
    if any(one.error for one in found.items):
        raise SystemExit(SOME_FAILED)
