"""`mairust audit`."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated

import typer

from mairust_cli.listing import All, Cursor, Limit, pages
from mairust_cli.output import Column, Columns
from mairust_cli.session import Session
from mairust_cli.text import moment
from mairust_cli.tree import COMMANDS, Command, noun
from mairust_cli.words import Since, past
from mairust_core import wire
from mairust_core.i18n import say
from mairust_core.model.audit import Entry
from mairust_core.services.audit import Audit

app = noun(COMMANDS["audit"])


@app.command("list", cls=Command)
def list_(
    ctx: typer.Context,
    actor: Annotated[
        str | None, typer.Option("--actor", metavar="WHO", help="Only by this one: local:USER or token:ID.")
    ] = None,
    operation: Annotated[
        str | None,
        typer.Option("--operation", metavar="NAME", help="Only this operation, or all of a noun: domains."),
    ] = None,
    subject: Annotated[
        str | None, typer.Option("--subject", metavar="NAME", help="Only on this name, address or id.")
    ] = None,
    since: Since = None,
    limit: Limit = None,
    cursor: Cursor = None,
    all_: All = False,
) -> None:
    """List who changed what, newest first.

    Every change of domains, accounts, aliases, keys and settings kept in the database has an entry, whether
    it was made by a command on the machine or over the API. Entries are kept for telemetry.audit_days.

    Details say what was asked for, in the words of the API and without secrets; an arrow leads there from
    what was there before. The table leaves out what was not set; --json has all of it.

    Exit status: 0 listed; 2 a bad time; 77 the key does not reach the whole site.

    Examples:
      mairust audit list
      mairust audit list --operation accounts --since 30d
      mairust audit list --subject ann@example.org --json
    """
    session = Session.of(ctx)
    audit = session.operations(Audit)
    found = pages(
        lambda after, count: audit.browse(
            actor=actor or "", operation=operation or "", subject=subject or "", since=past(since),
            cursor=after, limit=count,
        ),
        limit,
        cursor,
        all_,
    )  # fmt: skip
    session.output.page(found, columns(session.output.lang))


def columns(lang: str) -> Columns[Entry]:
    """The table of entries."""
    return (
        Column(say("column.id", lang), lambda entry: str(int(entry.id))),
        Column(say("column.at", lang), lambda entry: moment(entry.at)),
        Column(say("column.actor", lang), lambda entry: entry.actor),
        Column(say("column.operation", lang), lambda entry: entry.operation),
        Column(say("column.subject", lang), lambda entry: entry.subject, shrink=True),
        Column(say("column.details", lang), details, shrink=True),
    )


def details(entry: Entry) -> str:
    """What was asked, and what was there before, in a line; without what the subject says already."""
    if entry.details is None:
        return ""
    asked, before = entry.details.asked, entry.details.before
    named = {entry.subject, *entry.subject.split(" ")}
    found = []
    for name in {**asked, **before}:
        if name in before and name in asked:
            found.append(f"{name}: {_text(before[name])} → {_text(asked[name])}")
        elif name in before and _tells(before[name], named):
            found.append(f"{name}: {_text(before[name])} →")
        elif name in asked and _tells(asked[name], named):
            found.append(f"{name}: {_text(asked[name])}")
    return ", ".join(found)


def _tells(value: object, named: Collection[str]) -> bool:
    """Whether it was set at all, and does not stand beside it."""
    if isinstance(value, str):
        return value not in {"", *named}
    return value not in (None, [], {}) and value is not False


def _text(value: object) -> str:
    return value if isinstance(value, str) and value else wire.dumps(value).decode()
