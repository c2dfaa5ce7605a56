"""`mairust export`."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from mairust_cli.moving import EXPORTED, SOME_FAILED, report, shown
from mairust_cli.session import Session
from mairust_cli.tree import COMMANDS, Command, noun
from mairust_cli.words import AccountOption
from mairust_core.errors import Invalid, NotFound
from mairust_core.model.copies import Folders, MovedOut, Tally
from mairust_core.services.exporting import Exports
from mairust_core.transfer.exporting import ExportRun, Writer, require_free, require_no_file
from mairust_core.transfer.maildir.writing import Layout, MaildirWriter
from mairust_core.transfer.mbox.writing import MboxWriter

app = noun(COMMANDS["export"])

_Mailbox = Annotated[
    str, typer.Option("--mailbox", metavar="NAME", help="Only this mailbox.", show_default=False)
]
_Report = Annotated[
    str | None,
    typer.Option(
        "--report", metavar="FILE", help="Write what was left out or is hidden, and why, as lines of JSON."
    ),
]


@app.command("maildir", cls=Command)
def maildir(
    ctx: typer.Context,
    path: Annotated[str, typer.Argument(metavar="PATH", help="A new or empty directory.")],
    account: AccountOption,
    mailbox: _Mailbox = "",
    layout: Annotated[
        str,
        typer.Option("--layout", metavar="maildir++|nested", help="Folders as .A.B, or as directories A/B."),
    ] = Layout.PLUS_PLUS.value,
    report: _Report = None,
) -> None:
    """Export an account as a Maildir, byte for byte.

    With flags, keywords, dates and subscriptions. Dovecot reads it as it is: with the layout maildir++ as
    `maildir:PATH`, with nested as `maildir:PATH:LAYOUT=fs`. Imported again it gives the same mailboxes.

    Exit status: 0 done; 2 the path cannot be written to; 3 some messages are damaged and were left out; 4 no
    such account or mailbox; 5 the directory is not empty; 75 no room, or the server went away.

    Examples:
      mairust export maildir exported --account ann@example.org
      mairust export maildir exported --account ann@example.org --mailbox INBOX --json
    """
    if layout not in {one.value for one in Layout}:
        raise Invalid("layout", "not_choice", value=repr(layout[:40]), known=", ".join(Layout))
    session = Session.of(ctx)
    folders = _folders(session, account, mailbox)
    require_free(Path(path))
    writer = MaildirWriter(Path(path), Layout(layout))
    job = _Job(account=account, mailbox=mailbox, path=Path(path), writer=writer, report=report)
    _run(session, job, folders)


@app.command("mbox", cls=Command)
def mbox(
    ctx: typer.Context,
    path: Annotated[
        str, typer.Argument(metavar="PATH", help="A new directory, or with --mailbox a new file.")
    ],
    account: AccountOption,
    mailbox: _Mailbox = "",
    report: _Report = None,
) -> None:
    """Export an account as a directory of mboxes, or one mailbox as an mbox.

    The dialect is mboxrd, whose way back is exact. Messages are not changed, so flags and exact dates lie
    beside each file, in NAME.mbox.flags, where `import` finds them.

    Exit status: 0 done; 2 the path cannot be written to; 3 some messages are damaged and were left out; 4 no
    such account or mailbox; 5 something is there already; 75 no room, or the server went away.

    Examples:
      mairust export mbox exported --account ann@example.org
      mairust export mbox inbox.mbox --account ann@example.org --mailbox INBOX
    """
    session = Session.of(ctx)
    folders = _folders(session, account, mailbox)
    if mailbox:
        require_no_file(Path(path))
    else:
        require_free(Path(path))
    writer = MboxWriter(Path(path), single=bool(mailbox))
    job = _Job(account=account, mailbox=mailbox, path=Path(path), writer=writer, report=report)
    _run(session, job, folders)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """What one command was asked to do, whatever the form of the files."""

    account: str
    mailbox: str
    path: Path
    writer: Writer
    report: str | None


def _folders(session: Session, account: str, mailbox: str) -> Folders:
    """What there is to export; nothing is made for an account or a mailbox that is not there."""
    folders = session.operations(Exports).folders(account)
    if mailbox and mailbox not in folders.mailboxes:
        raise NotFound("mailbox", name=mailbox, address=account)
    return folders


def _run(session: Session, job: _Job, folders: Folders) -> None:
    began_s = time.monotonic()
    with (
        report(session.output, job.report) as told,
        shown(session.output, job.account, Tally(), lambda: None) as show,
    ):
        told.account = job.account
        run = ExportRun(job.path, job.writer, tell=told.tell, progress=show)
        items = session.operations(Exports).messages(job.account, mailbox=job.mailbox).items
        tally = run.run(folders, items, job.mailbox)
    done = MovedOut(
        exported=tally.done,
        failed=tally.failed,
        bytes=tally.size_bytes,
        seconds=round(time.monotonic() - began_s, 3),
    )
    session.output.change(done, EXPORTED)
    if tally.failed:
        raise typer.Exit(SOME_FAILED)
