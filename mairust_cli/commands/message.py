"""`mairust message`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated

import typer

from mairust_cli.commands import message_changes
from mairust_cli.commands.message_changes import COLUMNS, Ids, marks
from mairust_cli.commands.plugin_life import accesses_of_message
from mairust_cli.each import each
from mairust_cli.files import EXPORTED, STDIN, made_directory, opened_message, write_message
from mairust_cli.found import print_found
from mairust_cli.listing import All, Cursor, Limit, pages
from mairust_cli.session import Session
from mairust_cli.text import clean, clean_lines, moment, size
from mairust_cli.tree import COMMANDS, Command, noun
from mairust_cli.words import AccountOption, Since, past
from mairust_core.errors import Usage
from mairust_core.i18n import say
from mairust_core.model.flags import FLAGS
from mairust_core.model.forms import Page
from mairust_core.model.mailbox import INBOX, QUARANTINE
from mairust_core.model.message import Message, Summary
from mairust_core.model.moment import Moment
from mairust_core.model.search import Found
from mairust_core.operations import BytesOut
from mairust_core.services.messages import Messages

app = noun(COMMANDS["message"])

FLAG = typer.Option("--flag", metavar="FLAG", help=r"A system flag as \Seen, or a keyword; may be repeated.")


@app.command("append", cls=Command)
def append(
    ctx: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE", help="The message; - reads it from stdin.")],
    account: AccountOption,
    mailbox: Annotated[
        str, typer.Option("--mailbox", metavar="NAME", help="Where to put it.", show_default=True)
    ] = INBOX,
    flag: Annotated[list[str] | None, FLAG] = None,
    tag: Annotated[
        list[str] | None, typer.Option("--tag", metavar="TEXT", help="A tag; may be repeated.")
    ] = None,
    date: Annotated[
        str | None,
        typer.Option("--date", metavar="WHEN", help="When it was received, as 2027-01-31T00:00:00Z."),
    ] = None,
    hooks: Annotated[
        bool, typer.Option("--hooks", help="Ask the hooks about it, as about mail that comes in.")
    ] = False,
) -> None:
    """Put a message into a mailbox, byte for byte, without trace headers.

    When it ends, the message is as durable as one that SMTP answered with 250.

    Exit status: 0 stored; 1 the mailbox is full, or a hook refused it; 2 no such file, a bad flag, tag or
    date, or too large; 4 no such account or mailbox; 75 a hook put it off.

    Examples:
      mairust message append mail.eml --account ann@example.org
      mairust message append mail.eml --account ann@example.org --flag '\\Seen' --tag bill --date 2026-03-01
      mairust message append mail.eml --account ann@example.org --hooks
      cat mail.eml | mairust message append - --account ann@example.org --mailbox INBOX
    """
    session = Session.of(ctx)
    with opened_message(session, file) as content:
        summary = session.operations(Messages).append(
            account,
            content,
            mailbox=mailbox,
            flag=tuple(flag or ()),
            tag=tuple(tag or ()),
            date=None if date is None else Moment(date).at("date"),
            hooks=hooks,
        )
    session.output.change(summary, COLUMNS)


@app.command("list", cls=Command)
def list_(
    ctx: typer.Context,
    account: AccountOption,
    query: Annotated[
        str | None, typer.Option("--query", metavar="QUERY", help="Only those that `mairust search` finds.")
    ] = None,
    mailbox: Annotated[
        str | None, typer.Option("--mailbox", metavar="NAME", help="Only the messages of this mailbox.")
    ] = None,
    tag: Annotated[
        str | None, typer.Option("--tag", metavar="TEXT", help="Only those with this tag.")
    ] = None,
    flag: Annotated[
        str | None, typer.Option("--flag", metavar="FLAG", help="Only those with this flag.")
    ] = None,
    unflag: Annotated[
        str | None, typer.Option("--unflag", metavar="FLAG", help="Only those without this flag.")
    ] = None,
    unseen: Annotated[bool, typer.Option("--unseen", help=r"Short for --unflag '\Seen'.")] = False,
    since: Since = None,
    before: Annotated[
        str | None, typer.Option("--before", metavar="WHEN", help="Received before that time.")
    ] = None,
    deleted: Annotated[bool, typer.Option("--deleted", help="Those in the trash instead.")] = False,
    limit: Limit = None,
    cursor: Cursor = None,
    all_: All = False,
) -> None:
    """List an account's messages, newest first: those that fit all that is given.

    With --query a note says when the list may lack some, and with --json `complete` is false.

    Exit status: 0 listed; 2 a bad flag, tag, time or query; 4 there is no such account or mailbox.

    Examples:
      mairust message list --account ann@example.org
      mairust message list --account ann@example.org --unseen --since 7d
      mairust message list --account ann@example.org --mailbox INBOX --query 'invo* from:bob'
      mairust message list --account ann@example.org --mailbox INBOX --all --json
      mairust message list --account ann@example.org --deleted
    """
    session = Session.of(ctx)
    if unseen and unflag is not None:
        raise Usage("unseen_or_unflag")
    browse = partial(
        session.operations(Messages).browse,
        account,
        mailbox=mailbox or "",
        tag=tag or "",
        flag=flag or "",
        unflag=FLAGS[0] if unseen else unflag or "",
        since=past(since),
        before=past(before, "before"),
        deleted=deleted,
    )
    if query is not None:

        def fetch(after: str, count: int) -> Found:
            return browse(q=query, cursor=after, limit=count).found()

        print_found(session, COLUMNS, fetch, limit=limit, cursor=cursor, all_=all_)
        return
    found = pages(lambda after, count: _whole_page(browse, after, count), limit, cursor, all_)
    session.output.page(found, COLUMNS)


def _whole_page(browse: Callable[..., Page[Summary]], after: str, count: int) -> Page[Summary]:
    """A page of `count` messages if there are so many: with filters the server may answer with fewer."""
    items: tuple[Summary, ...] = ()
    while True:
        page = browse(cursor=after, limit=count - len(items))
        items += page.items
        if page.next_cursor is None or len(items) >= count:
            return Page(items=items, next_cursor=page.next_cursor)
        after = page.next_cursor


@app.command("show", cls=Command)
def show(
    ctx: typer.Context,
    id_: Annotated[str, typer.Argument(metavar="ID", help="As `message list` shows it.")],
    text: Annotated[bool, typer.Option("--text", help="Its body as text.")] = False,
    html: Annotated[bool, typer.Option("--html", help="Its HTML body as its sender wrote it.")] = False,
    headers: Annotated[bool, typer.Option("--headers", help="Its header fields, decoded.")] = False,
    attachment: Annotated[
        int | None, typer.Option("--attachment", metavar="N", help="The bytes of attachment N.")
    ] = None,
    part: Annotated[
        str | None, typer.Option("--part", metavar="N", help="The bytes of MIME part N, as 1 or 2.1.")
    ] = None,
    raw: Annotated[
        bool, typer.Option("--raw", help="Its bytes with trace headers, as mail programs get them.")
    ] = False,
    original: Annotated[bool, typer.Option("--original", help="Exactly the bytes that came.")] = False,
) -> None:
    """Show one message: what it is about, or its text, parts or bytes.

    Without options these are its header fields, where it is, and what is attached. Bytes go to stdout
    untouched; text and HTML as UTF-8, on a terminal without control characters. A deleted message is shown
    too, and said to be deleted.

    Exit status: 0 shown; 1 the stored bytes are damaged; 2 one of these options and --json; 4 there is no
    such message, part or attachment.

    Examples:
      mairust message show ID
      mairust message show ID --text
      mairust message show ID --part 1
      mairust message show ID --original > mail.eml
    """
    session = Session.of(ctx)
    messages = session.operations(Messages)
    put = session.output.raw
    views: tuple[tuple[str, object, Callable[[], None]], ...] = (
        ("--text", text, lambda: _print_text(session, messages.text(id_))),
        ("--html", html, lambda: _print_text(session, messages.html(id_))),
        ("--headers", headers, lambda: session.output.lines(_fields(messages.show(id_)))),
        ("--raw", raw, lambda: put(messages.raw(id_).chunks)),
        ("--original", original, lambda: put(messages.raw(id_, original=True).chunks)),
        (
            "--attachment",
            attachment is not None,
            lambda: put(messages.attachment(id_, attachment or 0).chunks),
        ),
        ("--part", part is not None, lambda: put(messages.part(id_, part or "").chunks)),
    )
    wanted = [(option, view) for option, given, view in views if given]
    if len(wanted) > 1:
        raise Usage("one_view")
    if wanted:
        option, view = wanted[0]
        if session.output.json:
            raise Usage("no_json", option=option)
        view()
        return
    message = messages.show(id_)
    if session.output.json:
        session.output.document(message)
    else:
        session.output.lines(_shown(message, session.output.lang))


@app.command("export", cls=Command)
def export(
    ctx: typer.Context,
    ids: Ids,
    output: Annotated[
        str, typer.Option("--output", metavar="DIR", help="Where ID.eml goes; - is stdout.")
    ] = STDIN,
) -> None:
    """Write messages to stdout, or as files into a directory.

    They are as `message show --raw` shows them; one may go to stdout, several go to ID.eml each. The
    directory is made; a file of that name in it is replaced once the new one is complete.

    Exit status: 0 written; 2 several for stdout, or the directory cannot be written to; 3 some could not be
    exported; 4 there is no such message.

    Examples:
      mairust message export ID > mail.eml
      mairust message export ID --output mails
    """
    session = Session.of(ctx)
    messages = session.operations(Messages)
    if output == STDIN:
        if len(ids) > 1:
            raise Usage("several_to_stdout")
        if session.output.json:
            raise Usage("no_json", option="--output -")
        session.output.raw(messages.raw(ids[0]).chunks)
        return
    directory = made_directory(output)
    each(session, ids, lambda id_: write_message(directory, id_, messages.raw(id_)), EXPORTED)


app.command("tag", cls=Command)(message_changes.tag)
app.command("flag", cls=Command)(message_changes.flag)
app.command("move", cls=Command)(message_changes.move)
app.command("delete", cls=Command)(message_changes.delete)
app.command("undelete", cls=Command)(message_changes.undelete)
app.command("release", cls=Command)(message_changes.release)
app.command("accesses", cls=Command)(accesses_of_message)


def _print_text(session: Session, text: BytesOut) -> None:
    if not session.output.on_terminal:
        session.output.raw(text.chunks)
        return
    session.output.lines(clean_lines(b"".join(text.chunks).decode("utf-8", "replace")))


def _fields(message: Message) -> list[str]:
    return [f"{clean(name)}: {clean(value)}" for name, value in message.headers]


def _shown(message: Message, lang: str) -> list[str]:
    """Where the message is, its header fields, what is attached, and how its text begins."""
    where = {"mailbox": clean(message.mailbox), "account": clean(message.account)}
    lines = [*_fields(message), ""]
    if message.deleted_at is None:
        lines.append(say("message.mailbox", lang, **where, uid=message.uid))
    else:
        lines.append(say("message.deleted", lang, **where, at=moment(message.deleted_at)))
    lines.append(say("message.received", lang, at=moment(message.received_at), size=size(message.size)))
    if message.mailbox == QUARANTINE and isinstance(why := message.metadata.get("quarantine"), str):
        lines.append(say("message.quarantined", lang, why=clean(why)))
    if message.flags or message.tags:
        lines.append(say("message.flags", lang, flags=clean(marks(message))))
    lines += [
        say(
            "message.attachment",
            lang,
            number=one.number,
            filename=clean(one.filename) or "-",
            content_type=clean(one.content_type),
            size=size(one.size),
            part=clean(one.part),
        )
        for one in message.attachments
    ]
    if message.preview:
        lines += ["", *(clean(line) for line in message.preview.splitlines())]
    return lines
