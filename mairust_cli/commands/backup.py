"""`mairust backup`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mairust_cli.listing import All, Cursor, Limit, pages
from mairust_cli.output import Column, Columns
from mairust_cli.repositories import Identity, Passphrase, Recipient, keys_of, opened, working
from mairust_cli.session import Session
from mairust_cli.text import clean, moment, size
from mairust_cli.tree import COMMANDS, Command, DefaultGroup, noun
from mairust_cli.words import Yes
from mairust_core.errors import Damaged, Invalid, MaiRustError, NoSite, NotFound
from mairust_core.i18n import explain, say
from mairust_core.model.backup import MAX_NAME_LENGTH, MAX_SNAPSHOTS, Verification
from mairust_core.model.forms import Page
from mairust_core.operations.cursors import Listing
from mairust_core.services.backups import Backups
from mairust_core.services.pages import limited

if TYPE_CHECKING:
    from mairust_core.transfer.repository import Repository
    from mairust_core.transfer.repository.pruning import PrunePlan

app = noun(COMMANDS["backup"], DefaultGroup)

SOME_FAILED = 3

Dest = Annotated[str, typer.Argument(metavar="DEST", help="The directory of the repository.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Created:
    """What a backup did; `damaged` are mails that the site could not read."""

    snapshot: str
    messages: int
    objects_new: int
    bytes_new: int
    seconds: float
    damaged: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One snapshot of a repository."""

    snapshot: str
    at: datetime
    site: str
    accounts: int
    messages: int
    damaged: int


CREATED: Columns[Created] = (
    Column("Snapshot", lambda done: done.snapshot),
    Column("Messages", lambda done: str(done.messages)),
    Column("New objects", lambda done: str(done.objects_new)),
    Column("New bytes", lambda done: size(done.bytes_new)),
    Column("Seconds", lambda done: f"{done.seconds:.1f}"),
)
LISTED: Columns[Listed] = (
    Column("Snapshot", lambda one: one.snapshot),
    Column("Taken", lambda one: moment(one.at)),
    Column("Site", lambda one: one.site),
    Column("Accounts", lambda one: str(one.accounts), right=True),
    Column("Messages", lambda one: str(one.messages), right=True),
)


@app.command("create", cls=Command)
def create(
    ctx: typer.Context,
    dest: Dest,
    passphrase_file: Passphrase = None,
    recipient: Recipient = None,
    identity: Identity = None,
    full: Annotated[
        bool, typer.Option("--full", help="Read every account anew, also those that did not change.")
    ] = False,
) -> None:
    """Add a snapshot of the site to a repository, which is made when there is none.

    `mairust backup DEST` is short for it. Only what the repository lacks is written. The server may run, and
    mail may come in, meanwhile. The repository is encrypted when --passphrase-file or --recipient is given
    the first time; later runs need the passphrase, too. With --server the site is fetched from there.
    Nothing is printed where nobody looks on, unless something is wrong.

    Exit status: 0 done; 3 done, but some mail of the site is damaged and not in it; 5 DEST is something else;
    75 another backup runs, or the site or the disk is busy, full or away; 77 wrong passphrase or key.

    Examples:
      mairust backup create ./backup
      mairust backup create ./backup --json
    """
    session = Session.of(ctx)
    from mairust_core.transfer.repository import Repository
    from mairust_core.transfer.repository.taking import take

    source = session.operations(Backups)
    keys = keys_of(passphrase_file, recipient, identity)
    session.hear_log()
    repository = Repository.create(Path(dest).absolute(), keys, session.backup_cache())
    keys_file = _master_keys(session, repository)
    with working(session, "backup") as watch:
        taken = take(repository, source, full=full, keys=keys_file, watch=watch)
    done = Created(
        snapshot=taken.snapshot,
        messages=taken.messages,
        objects_new=taken.objects_new,
        bytes_new=taken.bytes_new,
        seconds=taken.seconds,
        damaged=taken.damaged,
    )
    if session.output.json or session.output.on_terminal:
        session.output.change(done, CREATED)
    if done.damaged:
        for sha256 in done.damaged:
            session.output.warn(say("backup.damaged_mail", session.output.lang, object=sha256))
        raise typer.Exit(SOME_FAILED)


def _master_keys(session: Session, repository: Repository) -> bytes:
    """The master keys for an encrypted repository: of a site that is here, for they never travel."""
    if not repository.config.recipients:
        return b""
    if session.server_url:
        session.output.note(say("backup.key_stays", session.output.lang))
        return b""
    try:
        return session.settings().secrets.master_key_file.read_bytes()
    except FileNotFoundError:
        return b""


@app.command("list", cls=Command)
def list_(
    ctx: typer.Context,
    dest: Dest,
    passphrase_file: Passphrase = None,
    identity: Identity = None,
    limit: Limit = None,
    cursor: Cursor = None,
    all_: All = False,
) -> None:
    """List the snapshots of a repository, the oldest first.

    Exit status: 0 listed; 1 some are damaged, and named; 4 there is no repository; 77 wrong passphrase or
    key.

    Examples:
      mairust backup list ./backup
      mairust backup list ./backup --json
    """
    session = Session.of(ctx)
    repository = opened(session, dest, keys_of(passphrase_file, None, identity))
    damaged: list[Damaged] = []
    with repository.reading():
        found = pages(lambda after, count: _part_of(repository, after, count, damaged), limit, cursor, all_)
    for error in damaged:
        session.output.warn(" ".join(explain(error, session.output.lang)))
    session.output.page(found, LISTED)
    if damaged:
        raise typer.Exit(Damaged.exit_code)


def _part_of(repository: Repository, after: str, count: int, damaged: list[Damaged]) -> Page[Listed]:
    """Some snapshots, those behind `after`; the damaged ones are noted."""
    listing = Listing("backup.list", {"repository": repository.config.id})
    last = listing.open(after) if after else ""
    names = [name for name in repository.snapshot_names() if name > last]
    items = []
    for name in names[: limited(count)]:
        try:
            items.append(_listed(repository, name))
        except Damaged as error:
            damaged.append(error)
    more = len(names) > count
    return Page(items=tuple(items), next_cursor=listing.seal(names[count - 1]) if more else None)


def _listed(repository: Repository, name: str) -> Listed:
    snapshot = repository.read_snapshot(name)
    return Listed(
        snapshot=name,
        at=snapshot.at,
        site=snapshot.site,
        accounts=len(snapshot.accounts),
        messages=snapshot.messages,
        damaged=len(snapshot.damaged),
    )


@app.command("verify", cls=Command)
def verify(
    ctx: typer.Context,
    dest: Dest,
    read_data: Annotated[
        bool, typer.Option("--read-data", help="Read every pack and hash every object in it.")
    ] = False,
    subset: Annotated[
        str | None,
        typer.Option("--subset", metavar="N%", help="With --read-data, only so many packs, by chance."),
    ] = None,
    passphrase_file: Passphrase = None,
    identity: Identity = None,
) -> None:
    """Check that a repository is whole, and name what is not.

    Without --read-data only small files are read, and whether the packs are there with the right length.
    `doctor` and `status` of the site that made it know the result, here or, with --server, there.

    Exit status: 0 all is well; 1 something is damaged; 4 there is no repository; 75 it is being pruned; 77
    wrong passphrase or key.

    Examples:
      mairust backup verify ./backup
      mairust backup verify ./backup --read-data --subset 10%
    """
    session = Session.of(ctx)
    from mairust_core.transfer.repository.verifying import verify as run

    keys = keys_of(passphrase_file, None, identity)
    try:
        repository = opened(session, dest, keys)
    except Damaged:
        _keep(session, Path(dest).absolute(), 0, 1)
        raise
    part = 1.0 if subset is None else _percentage(subset)
    read_data = read_data or subset is not None
    with repository.reading(), working(session, "verify", in_bytes=read_data) as watch:
        found = run(repository, read_data=read_data, part=part, watch=watch)
    _keep(session, repository.path, round(part * 100) if read_data else 0, len(found.damaged))
    if session.output.json:
        session.output.document(found)
    else:
        for one in found.damaged:
            session.output.warn(f"{one.kind} {one.name}: {one.why}")
        if session.output.on_terminal:
            read = found.packs_read
            text = say(
                "backup.verified_read" if read else "backup.verified",
                session.output.lang,
                snapshots=found.snapshots,
                objects=found.objects,
                packs=found.packs,
                read=read,
            )
            session.output.lines([text])
    if found.damaged:
        raise typer.Exit(Damaged.exit_code)


def _keep(session: Session, path: Path, percent: int, damaged: int) -> None:
    """Let the site know what was found, for `doctor` and `status`, if there is one and it is its backup."""
    from mairust_core.transfer.repository.snapshots import names_in

    names = tuple(names_in(path)[-MAX_SNAPSHOTS:])
    if not names:
        return
    try:
        found = Verification(
            snapshots=names, percent=percent, damaged=damaged, repository=str(path)[:MAX_NAME_LENGTH]
        )
        session.operations(Backups).verified(found)
    except (NoSite, NotFound):
        return  # a repository may be looked at anywhere
    except MaiRustError as error:
        session.output.note(say("backup.untold", session.output.lang, why=error))


def _percentage(text: str) -> float:
    number = text.removesuffix("%")
    if not number.isascii() or not number.isdigit() or not 1 <= int(number) <= 100:
        raise Invalid("subset", "not_a_part", value=repr(clean(text)[:40]))
    return int(number) / 100


@app.command("prune", cls=Command)
def prune(
    ctx: typer.Context,
    dest: Dest,
    keep_last: Annotated[
        int, typer.Option("--keep-last", metavar="N", min=0, help="Keep the N newest snapshots.")
    ] = 0,
    keep_daily: Annotated[
        int, typer.Option("--keep-daily", metavar="N", min=0, help="Keep the newest of each of N days.")
    ] = 0,
    keep_weekly: Annotated[
        int, typer.Option("--keep-weekly", metavar="N", min=0, help="Keep the newest of each of N weeks.")
    ] = 0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    yes: Yes = False,
    passphrase_file: Passphrase = None,
    identity: Identity = None,
) -> None:
    """Delete old snapshots, and what only they needed.

    Days and weeks are those of UTC in which there is a snapshot. What several of the options keep is kept
    once; at least one of them has to be given.

    Exit status: 0 done; 1 something is damaged, and nothing was deleted; 2 nothing to keep was named; 4 there
    is no repository; 75 it is in use; 77 wrong passphrase or key.

    Examples:
      mairust backup prune ./backup --keep-daily 7 --keep-weekly 4 --dry-run
      mairust backup prune ./backup --keep-last 3 --yes
    """
    session = Session.of(ctx)
    from mairust_core.transfer.repository.pruning import Keep as KeepRule
    from mairust_core.transfer.repository.pruning import execute, plan

    repository = opened(session, dest, keys_of(passphrase_file, None, identity))
    rule = KeepRule(last=keep_last, daily=keep_daily, weekly=keep_weekly)
    if not dry_run:
        session.confirm("prune_backup", yes, path=dest)
    with repository.writing(deleting=True) as writer:
        with working(session, "prune_plan") as watch:
            planned = plan(repository, rule, watch)
        with working(session, "prune", in_bytes=True) as watch:
            freed = 0 if dry_run else execute(writer, planned, watch)
    _tell_prune(session, planned, freed, dry_run)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """What was deleted, or with `dry_run` would be."""

    kept: tuple[str, ...]
    removed: tuple[str, ...]
    packs_deleted: int
    packs_rewritten: int
    bytes_freed: int
    dry_run: bool


def _tell_prune(session: Session, planned: PrunePlan, freed: int, dry_run: bool) -> None:
    done = Pruned(
        kept=planned.kept,
        removed=planned.removed,
        packs_deleted=len(planned.dead),
        packs_rewritten=len(planned.sparse),
        bytes_freed=planned.bytes_dead if dry_run else freed,
        dry_run=dry_run,
    )
    if session.output.json:
        session.output.document(done)
    elif session.output.on_terminal or dry_run:
        lang = session.output.lang
        lines = [
            say("backup.would_remove" if dry_run else "backup.removed", lang, snapshot=name)
            for name in done.removed
        ]
        counted = {"count": len(done.kept), "size": size(done.bytes_freed)}
        lines.append(say("backup.would_keep" if dry_run else "backup.kept", lang, **counted))
        session.output.lines(lines)
