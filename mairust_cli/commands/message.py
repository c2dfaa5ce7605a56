"""`mairust message`."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, BinaryIO

import typer

from mairust_cli.listing import All, Cursor, Limit, pages
from mairust_cli.output import Column, Columns
from mairust_cli.session import Session
from mairust_cli.text import clean, moment, size
from mairust_cli.tree import COMMANDS, Command, noun
from mairust_cli.words import AccountOption
from mairust_core.errors import Usage
from mairust_core.model.mailbox import INBOX
from mairust_core.model.message import Message, Party, Summary
from mairust_core.operations import BytesIn
from mairust_core.services.messages import Messages

app = noun(COMMANDS["message"])

CHUNK_BYTES = 1 << 18
STDIN = "-"


def _parties(parties: tuple[Party, ...]) -> str:
    return ", ".join(party.name or party.address for party in parties)


COLUMNS: Columns[Summary] = (
    Column("Id", lambda message: str(int(message.id))),
    Column("Received", lambda message: moment(message.received_at)),
    Column("Mailbox", lambda message: message.mailbox),
    Column("Flags", lambda message: " ".join((*message.flags, *message.tags))),
    Column("Size", lambda message: size(message.size), right=True),
    Column("From", lambda message: _parties(message.from_)),
    Column("Subject", lambda message: message.subject),
)


@app.command("append", cls=Command)
def append(
    ctx: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE", help="The message; - reads it from stdin.")],
    account: AccountOption,
    mailbox: Annotated[
        str, typer.Option("--mailbox", metavar="NAME", help="Where to put it.", show_default=True)
    ] = INBOX,
) -> None:
    """Put a message into a mailbox, byte for byte, without trace headers.

    When it ends, the message is as durable as one that SMTP answered with 250.

    Exit status: 0 stored; 1 the mailbox is full; 2 no such file, or too large; 4 no such account or mailbox.

    Examples:
      mairust message append mail.eml --account ann@example.org
      cat mail.eml | mairust message append - --account ann@example.org --mailbox INBOX
    """
    session = Session.of(ctx)
    with _opened(session, file) as content:
        summary = session.operations(Messages).append(account, content, mailbox=mailbox)
    session.output.change(summary, COLUMNS)


@app.command("list", cls=Command)
def list_(
    ctx: typer.Context,
    account: AccountOption,
    mailbox: Annotated[
        str | None, typer.Option("--mailbox", metavar="NAME", help="Only the messages of this mailbox.")
    ] = None,
    limit: Limit = None,
    cursor: Cursor = None,
    all_: All = False,
) -> None:
    """List an account's messages, or those of one mailbox, newest first.

    Exit status: 0 listed; 4 there is no such account or mailbox.

    Examples:
      mairust message list --account ann@example.org
      mairust message list --account ann@example.org --mailbox INBOX --all --json
    """
    session = Session.of(ctx)
    messages = session.operations(Messages)
    found = pages(
        lambda after, count: messages.browse(account, mailbox=mailbox or "", cursor=after, limit=count),
        limit,
        cursor,
        all_,
    )
    session.output.page(found, COLUMNS)


@app.command("show", cls=Command)
def show(
    ctx: typer.Context,
    id_: Annotated[str, typer.Argument(metavar="ID", help="As `message list` shows it.")],
    raw: Annotated[
        bool, typer.Option("--raw", help="Its bytes with trace headers, as mail programs get them.")
    ] = False,
    original: Annotated[bool, typer.Option("--original", help="Exactly the bytes that came.")] = False,
) -> None:
    """Show one message: header fields and attachments, or its bytes.

    Bytes go to stdout untouched.

    Exit status: 0 shown; 1 the stored bytes are damaged; 2 both bytes and --json; 4 there is no such message.

    Examples:
      mairust message show ID
      mairust message show ID --original > mail.eml
    """
    session = Session.of(ctx)
    messages = session.operations(Messages)
    if raw and original:
        raise Usage("raw_or_original")
    if session.output.json and (raw or original):
        raise Usage("raw_is_no_json", option="--raw" if raw else "--original")
    if raw or original:
        session.output.raw(messages.raw(id_, original=original).chunks)
        return
    message = messages.show(id_)
    if session.output.json:
        session.output.document(message)
    else:
        session.output.lines(_shown(message))


def _shown(message: Message) -> list[str]:
    """Where the message is, its header fields, what is attached, and how its text begins."""
    lines = [f"{clean(name)}: {clean(value)}" for name, value in message.headers]
    lines += ["", f"Mailbox:     {clean(message.mailbox)} of {clean(message.account)}, UID {message.uid}"]
    lines.append(f"Received:    {moment(message.received_at)}, {size(message.size)}")
    if message.flags or message.tags:
        lines.append(f"Flags:       {clean(' '.join((*message.flags, *message.tags)))}")
    lines += [
        f"Attachment {one.number}: {clean(one.filename) or '-'} ({clean(one.content_type)}, {size(one.size)})"
        for one in message.attachments
    ]
    if message.preview:
        lines += ["", *(clean(line) for line in message.preview.splitlines())]
    return lines


@contextmanager
def _opened(session: Session, file: str) -> Iterator[BytesIn]:
    """The content of the file, or of stdin."""
    if file == STDIN:
        yield BytesIn(chunks=_chunks(session.input_bytes))
        return
    try:
        source = open(file, "rb")  # noqa: SIM115 - closed below; only opening it may fail so
    except OSError as error:
        raise Usage("unreadable_file", path=file, why=error.strerror) from error
    with source:
        status = os.fstat(source.fileno())
        size_bytes = status.st_size if stat.S_ISREG(status.st_mode) else None
        yield BytesIn(chunks=_chunks(source), size_bytes=size_bytes)


def _chunks(source: BinaryIO) -> Iterator[bytes]:
    while chunk := source.read(CHUNK_BYTES):
        yield chunk
