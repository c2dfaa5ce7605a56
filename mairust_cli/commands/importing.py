"""`mairust import`."""

from __future__ import annotations

import os
import pwd
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from mairust_cli.moving import IMPORTED, SOME_FAILED, Account, Report, cache_directory, report, shown
from mairust_cli.session import Session
from mairust_cli.tree import COMMANDS, Command, noun
from mairust_core.errors import Invalid, NotFound, Usage
from mairust_core.i18n import say
from mairust_core.model.copies import MovedIn, Tally, target_name
from mairust_core.transfer.accounts import pairs
from mairust_core.transfer.cache import HashCache
from mairust_core.transfer.dates import received_date
from mairust_core.transfer.importing import ImportRun, Wishes
from mairust_core.transfer.looks import require_maildir, require_mbox
from mairust_core.transfer.maildir.tree import Maildir
from mairust_core.transfer.mbox.dialects import Dialect
from mairust_core.transfer.mbox.tree import Mboxes
from mairust_core.transfer.names import Mapping
from mairust_core.transfer.source import Fate, Reason, Source
from mairust_core.transfer.telling import Told

app = noun(COMMANDS["import"])

STDIN = "-"

_Account = Annotated[
    str | None, typer.Option("--account", metavar="ADDRESS", help="The account that gets the mail.")
]
_AccountsFrom = Annotated[
    str | None,
    typer.Option(
        "--accounts-from",
        metavar="FILE|PATTERN",
        help="Many accounts: lines of PATH, ADDRESS, or a pattern below PATH such as %d/%n/Maildir.",
    ),
]
_Map = Annotated[
    list[str] | None,
    typer.Option("--map", metavar="OLD=NEW", help="Call a folder, and those below it, otherwise."),
]
_Prefix = Annotated[
    str, typer.Option("--prefix", metavar="NAME", help="Put all folders below a mailbox.", show_default=False)
]
_Dates = Annotated[
    str,
    typer.Option(
        "--dates", metavar="source|received", help="Date of receipt: the source's, or the Received field's."
    ),
]
_Again = Annotated[bool, typer.Option("--again", help="Import also what was imported before.")]
_Verify = Annotated[bool, typer.Option("--verify", help="Read every file, also those that seem unchanged.")]
_DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]
_Report = Annotated[
    str | None,
    typer.Option(
        "--report",
        metavar="FILE",
        help="Write what was skipped, failed, renamed, changed or left alone, and why, as lines of JSON.",
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """What one command was asked to do, whatever the form of the source."""

    path: str
    account: str | None
    accounts_from: str | None
    wishes: Wishes
    report: str | None
    open: Callable[[str], Source]


def _wishes(mapping: Mapping, *, dates: str, again: bool, verify: bool, dry_run: bool) -> Wishes:
    if dates not in {"source", "received"}:
        raise Invalid("dates", "not_choice", value=repr(dates[:40]), known="source, received")
    return Wishes(
        mapping=mapping,
        again=again,
        verify=verify,
        dry_run=dry_run,
        received=received_date if dates == "received" else None,
    )


@app.command("maildir", cls=Command)
def maildir(
    ctx: typer.Context,
    path: Annotated[str, typer.Argument(metavar="PATH", help="The Maildir.")],
    account: _Account = None,
    mailbox: Annotated[
        str,
        typer.Option(
            "--mailbox",
            metavar="NAME",
            help="What becomes of the Maildir itself; its folders go below.",
            show_default=False,
        ),
    ] = "",
    accounts_from: _AccountsFrom = None,
    map_: _Map = None,
    prefix: _Prefix = "",
    dates: _Dates = "source",
    again: _Again = False,
    verify: _Verify = False,
    dry_run: _DryRun = False,
    report: _Report = None,
) -> None:
    """Import a Maildir with all its folders, flags, keywords, dates and subscriptions.

    Maildir++ and nested folders are read, and what Dovecot and Courier keep beside them. Nothing is changed
    there. With --mailbox Old the Maildir itself goes to Old, not to INBOX, and its folder Sent to Old/Sent.
    Running it again adds what is new; what was imported before and then moved or deleted does not come back.
    With --server the Maildir is read here and sent there.

    Exit status: 0 done; 2 it is no Maildir; 3 some messages failed; 4 no such account or path; 75 broken off,
    the next run goes on.

    Examples:
      mairust import maildir Maildir --account ann@example.org
      mairust import maildir Maildir --account ann@example.org --map Sent="Sent Items" --json
      mairust import maildir Maildir --account ann@example.org --mailbox Old/2025
      mairust import maildir . --accounts-from accounts.csv --dry-run --report left-out.jsonl
    """

    def opened(one: str) -> Source:
        require_maildir(Path(one))
        return Maildir(Path(os.path.realpath(one)))

    mapping = Mapping(map_ or (), prefix, mailbox=target_name(mailbox) if mailbox else "")
    wishes = _wishes(mapping, dates=dates, again=again, verify=verify, dry_run=dry_run)
    job = _Job(
        path=path, account=account, accounts_from=accounts_from, wishes=wishes, report=report, open=opened
    )
    _run(Session.of(ctx), job)


@app.command("mbox", cls=Command)
def mbox(
    ctx: typer.Context,
    path: Annotated[
        str, typer.Argument(metavar="PATH", help="The file, a directory of them, or - for stdin.")
    ],
    account: _Account = None,
    mailbox: Annotated[
        str, typer.Option("--mailbox", metavar="NAME", help="Where all goes.", show_default=False)
    ] = "",
    dialect: Annotated[
        str | None,
        typer.Option("--dialect", metavar="|".join(Dialect), help="How lines are kept that begin with From."),
    ] = None,
    accounts_from: _AccountsFrom = None,
    map_: _Map = None,
    prefix: _Prefix = "",
    dates: _Dates = "source",
    again: _Again = False,
    verify: _Verify = False,
    dry_run: _DryRun = False,
    report: _Report = None,
) -> None:
    """Import an mbox, or a directory of mboxes.

    They may be packed by gzip, bzip2, xz or zstd. A file goes to INBOX, files of a directory to mailboxes
    of their names, unless --mailbox says where. Flags are taken from Status fields, or from the list that
    `export` wrote beside the file. Running it again adds what is new. Quoted `>From ` lines stay as they are,
    except with --dialect mboxrd, by which every line that begins with `From ` begins a message.

    Exit status: 0 done; 2 it is no mbox; 3 some messages failed; 4 no such account or path; 75 broken off,
    the next run goes on.

    Examples:
      mairust import mbox mail.mbox --account ann@example.org
      mairust import mbox mail.mbox --account ann@example.org --mailbox Archive/2026 --json
      cat mail.mbox | mairust import mbox - --account ann@example.org
    """
    session = Session.of(ctx)
    if mailbox:
        mailbox = target_name(mailbox)
    if dialect is not None and dialect not in {one.value for one in Dialect}:
        raise Invalid("dialect", "not_choice", value=repr(dialect[:40]), known=", ".join(Dialect))

    def opened(one: str) -> Source:
        wanted = None if dialect is None else Dialect(dialect)
        if one == STDIN:
            return Mboxes(one, mailbox=mailbox, dialect=wanted, stream=session.input_bytes)
        require_mbox(Path(one))
        # a pipe such as <(zcat x.gz) has no name but the one it was given
        place = one if Path(one).is_fifo() else os.path.realpath(one)
        return Mboxes(place, mailbox=mailbox, dialect=wanted)

    mapping = Mapping(map_ or (), prefix)
    wishes = _wishes(mapping, dates=dates, again=again, verify=verify, dry_run=dry_run)
    job = _Job(
        path=path, account=account, accounts_from=accounts_from, wishes=wishes, report=report, open=opened
    )
    _run(session, job)


def _run(session: Session, job: _Job) -> None:
    if (job.account is None) == (job.accounts_from is None):
        raise Usage("whose_mail")
    if job.account is not None:
        sources = [(job.path, job.account)]
        job.open(job.path)  # what is wrong with it is said before anything else
    else:
        found = pairs(Path(job.path), job.accounts_from or "")
        sources = [(str(path), address) for path, address in found]
    began_s, tally, was_root = time.monotonic(), Tally(), os.geteuid() == 0
    with report(session.output, job.report) as told:
        for path, address in sources:
            told.account = address
            _one(session, job, path, tally, told)
    done = MovedIn(
        imported=tally.done, skipped=tally.skipped, failed=tally.failed, bytes=tally.size_bytes,
        seconds=round(time.monotonic() - began_s, 3),
    )  # fmt: skip
    session.output.change(done, IMPORTED)
    if told.denied and was_root and os.geteuid() != 0:
        session.output.warn(say("import.became", session.output.lang, user=_user()))
    if tally.failed:
        raise typer.Exit(SOME_FAILED)


def _user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def _one(session: Session, job: _Job, path: str, tally: Tally, told: Report) -> None:
    """One source into one account; of many, one that does not work is told, and the others go on."""
    try:
        source = job.open(path)
        target = Account(session, told.account, again=job.wishes.again)
        cache = HashCache(cache_directory(session), source.path)
        with shown(session.output, told.account, tally, source.expected) as show:
            ImportRun(target, job.wishes, cache, tell=told.tell, progress=show, tally=tally).run(source)
    except (NotFound, Usage) as error:
        if job.account is not None:
            raise
        tally.failed += 1
        told.tell(Told(path=path, mailbox="", outcome=Fate.FAILED, reason=Reason.refused(error)))
