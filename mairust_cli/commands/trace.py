"""`mairust trace`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from mairust_cli import hook_events
from mairust_cli.listing import All, Cursor, Limit, pages
from mairust_cli.output import Column, Columns, Output
from mairust_cli.session import Session
from mairust_cli.text import clean, moment, pad, size, width
from mairust_cli.tree import Command, single
from mairust_cli.words import Since, past
from mairust_core.errors import Usage
from mairust_core.i18n import say, screens
from mairust_core.model.moment import Moment
from mairust_core.model.story import Event, Mail, Story
from mairust_core.services.traces import Traces

app = single()


@app.command(cls=Command)
def trace(
    ctx: typer.Context,
    id_: Annotated[
        str | None,
        typer.Argument(
            metavar="ID",
            help="A message's id, its Message-ID, or the id in the reply 250.",
            show_default=False,
        ),
    ] = None,
    recipient: Annotated[
        str | None, typer.Option("--recipient", metavar="ADDRESS", help="List mails to this address only.")
    ] = None,
    sender: Annotated[
        str | None, typer.Option("--sender", metavar="ADDRESS", help="List mails from this sender only.")
    ] = None,
    refused: Annotated[bool, typer.Option("--refused", help="List refused mails only.")] = False,
    since: Since = "24h",
    limit: Limit = None,
    cursor: Cursor = None,
    all_: All = False,
) -> None:
    """Tell all that happened to one mail, or list the mails that came.

    With ID: who sent it, to whom, what was answered, where it was stored, and where it is now. A Message-ID
    may belong to several mails; the newest are told first. Without ID: the mails of the last day, newest
    first, those refused too. Traces are kept for telemetry.trace_days.

    Exit status: 0 told; 2 it is no id; 4 there is no such mail, or it is older than that.

    Examples:
      mairust trace ID
      mairust trace '<1@example.org>' --json
      mairust trace --refused --since 7d
      mairust trace --recipient ann@example.org --all
    """
    session = Session.of(ctx)
    traces, output = session.operations(Traces), session.output
    if id_ is None:
        found = pages(
            lambda after, count: traces.browse(
                recipient=recipient or "",
                sender=sender or "",
                refused=refused,
                since=past(since) or Moment(""),
                cursor=after,
                limit=count,
            ),
            limit,
            cursor,
            all_,
        )
        output.page(found, columns(output.lang))
        return
    if recipient or sender or refused:
        raise Usage("id_or_filter")
    story = traces.show(id_)
    if output.json:
        output.document(story)
        return
    output.lines(timeline(story, output))
    if not story.complete:
        output.note(say("trace.more", output.lang))


def columns(lang: str) -> Columns[Mail]:
    """The table of mails."""
    return (
        Column(say("column.id", lang), lambda mail: str(int(mail.id))),
        Column(say("column.at", lang), lambda mail: moment(mail.at)),
        Column(say("column.outcome", lang), lambda mail: _outcome(mail, lang), style=_colour),
        Column(say("column.client", lang), lambda mail: mail.client or "-"),
        Column(say("column.sender", lang), lambda mail: mail.mail_from or "<>", shrink=True),
        Column(say("column.recipients", lang), lambda mail: ", ".join(mail.recipients), shrink=True),
        Column(say("column.reply", lang), lambda mail: mail.reply, shrink=True),
    )


def _outcome(mail: Mail, lang: str) -> str:
    return say("trace.accepted" if mail.accepted else "trace.refused", lang)


def _colour(mail: Mail) -> str:
    return "green" if mail.accepted else "red"


def timeline(story: Story, output: Output) -> list[str]:
    """The events of each mail under its heading."""
    lines: list[str] = []
    for mail in story.mails:
        heading = say("trace.mail", output.lang, id=int(mail.id))
        outcome = output.paint(_outcome(mail, output.lang), _colour(mail))
        lines += [""] if lines else []
        lines.append(f"{output.paint(heading, 'bold')}  {clean(mail.message_id)}  {outcome}")
        lines += _events([one for one in story.events if one["trace"] == str(int(mail.id))], output)
    return lines or _events(list(story.events), output)


def _events(events: list[Event], output: Output) -> list[str]:
    edge = max(width(_kind(event, output.lang)) for event in events)
    lines, before = [], ""
    for event in events:
        at = f"{event['at'][:10]} {event['at'][11:-1]}"
        shown = at if at != before else ""
        before = at
        kind = output.paint(pad(_kind(event, output.lang), edge), "cyan")
        lines.append(f"  {output.paint(pad(shown, 23), 'dim')}  {kind}  {clean(_told(event, output.lang))}")
    return lines


def _kind(event: Event, lang: str) -> str:
    """The kind of an event in words; that of a part this command does not know as it is."""
    return screens(lang).get(f"trace.kind.{event['kind']}", clean(str(event["kind"])))


def _told(event: Event, lang: str) -> str:
    match event["kind"]:
        case "received":
            return _received(event, lang)
        case "recipient":
            names = ", ".join(event["accounts"]) or say("trace.nowhere", lang)
            return say("trace.recipient", lang, address=event["address"], accounts=names)
        case "refused" | "replied":
            return str(event["reply"])
        case "repeated":
            return say("trace.repeated", lang, **event)
        case "stored" | "appended":
            return say(f"trace.{event['kind']}", lang, **(event | {"mailbox": event.get("mailbox") or "?"}))
        case "now":
            return _now(event, lang)
        case "hook" if event.keys() >= {"action", "ms"}:
            return hook_events.told(event, lang)
        case "hook_gone":
            return say("trace.hook_gone", lang, **event)
        case "cut":
            return say("trace.cut", lang)
        case "replayed":
            return hook_events.replayed(event, lang)
        case "decided":
            return hook_events.decided(event, lang)
    return ", ".join(f"{name} {value}" for name, value in _further(event))


def _now(event: Event, lang: str) -> str:
    if event["mailbox"]:
        return say("trace.now", lang, **event)
    if until := event.get("undelete_until"):  # an older server does not tell
        return say("trace.in_trash", lang, **(event | {"until": f"{until[:16].replace('T', ' ')}Z"}))
    return say("trace.gone", lang, **event)


def _received(event: Event, lang: str) -> str:
    if event["road"] == "deliver":  # its name is that of the machine on which the pipe ran
        return say(
            "trace.piped",
            lang,
            host=event["helo"] or "-",
            sender=event["mail_from"] or say("trace.nobody", lang),
            size=size(event["size"]),
        )
    return say(
        "trace.received",
        lang,
        road=event["road"].upper(),
        client=event["client"] or say("trace.unknown_client", lang),
        helo=event["helo"] or "-",
        sender=event["mail_from"] or say("trace.nobody", lang),
        size=size(event["size"]),
        security=say("trace.tls", lang, tls=event["tls"]) if event["tls"] else say("trace.clear", lang),
    )


def _further(event: Event) -> Iterator[tuple[str, Any]]:
    yield from ((name, value) for name, value in event.items() if name not in {"at", "kind", "trace"})
