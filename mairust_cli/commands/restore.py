"""`mairust restore`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mairust_cli.output import Column, Columns
from mairust_cli.repositories import Identity, Passphrase, keys_of, opened, working
from mairust_cli.session import Session, os_user
from mairust_cli.text import clean, moment
from mairust_cli.tree import Command, single
from mairust_core.errors import Usage
from mairust_core.i18n import say
from mairust_core.operations import BytesIn
from mairust_core.services.backups import Backups

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from mairust_core.model.trust import TrustKey
    from mairust_core.restore import Restored
    from mairust_core.transfer.repository import Repository
    from mairust_core.transfer.repository.picking import Pick

app = single()

FAILED, SOME_FAILED = 1, 3

RESTORED: Columns[Restored] = (
    Column("Snapshot", lambda done: done.snapshot),
    Column("Accounts", lambda done: str(done.accounts)),
    Column("Messages", lambda done: str(done.messages)),
    Column("Admin API key", lambda done: done.admin_token_file or "-"),
    Column("Settings of then", lambda done: done.settings_file or "-"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PutBack:
    """What was added to a running site; `failed` names each message that was not, and why."""

    snapshot: str
    accounts: int
    messages: int
    failed: tuple[str, ...]
    damaged: tuple[str, ...]


PUT_BACK: Columns[PutBack] = (
    Column("Snapshot", lambda done: done.snapshot),
    Column("Accounts", lambda done: str(done.accounts)),
    Column("Messages", lambda done: str(done.messages)),
)


@app.command(cls=Command)
def restore(
    ctx: typer.Context,
    src: Annotated[str, typer.Argument(metavar="SRC", help="The directory of the repository.")],
    snapshot: Annotated[
        str, typer.Option("--snapshot", metavar="ID", help="As `backup list` shows it; the newest.")
    ] = "",
    account: Annotated[
        str | None, typer.Option("--account", metavar="ADDRESS", help="Only this account's mail.")
    ] = None,
    mailbox: Annotated[
        str | None, typer.Option("--mailbox", metavar="NAME", help="Only this mailbox of the account.")
    ] = None,
    message: Annotated[str | None, typer.Option("--message", metavar="ID", help="Only this message.")] = None,
    rehearse: Annotated[
        bool, typer.Option("--rehearse", help="Restore into scratch, compare everything, leave nothing.")
    ] = False,
    master_key: Annotated[
        str | None,
        typer.Option("--master-key", metavar="FILE", help="The master key of the site that was backed up."),
    ] = None,
    skip_damaged: Annotated[
        bool, typer.Option("--skip-damaged", help="Restore what is whole, and name the rest.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask on a terminal.")] = False,
    passphrase_file: Passphrase = None,
    identity: Identity = None,
) -> None:
    """Bring back a site, or mail into one, from a backup.

    Without --account and --message a whole site is made where there is none, or an empty one, in the database
    that the configuration names: mailboxes keep their UIDs and UIDVALIDITY. Its settings are yours to choose;
    those of then are left in DATA_DIR/restored.toml. A plain backup needs --master-key for secrets, else new
    ones are issued and the tables listed. With --account or --message mail is appended to the running site,
    with new UIDs, each time it is done; with --server, to that one. A whole site is restored on its own
    machine: with --server, or MAIRUST_SERVER, that is refused.

    Exit status: 0 done; 1 something is damaged, and named, and nothing was restored; 3 done, but for what is
    damaged or did not go in; 4 no such repository, snapshot, account or message; 5 the site is not empty; 77
    wrong key; 78 a newer version wrote the backup.

    Examples:
      mairust restore ./backup --rehearse
      mairust restore ./backup --account ann@example.org --mailbox INBOX
    """
    session = Session.of(ctx)
    if (mailbox is not None and account is None) or (rehearse and (account or message)):
        raise Usage("restore_what")
    if rehearse and skip_damaged:
        raise Usage("rehearse_damaged")
    repository = opened(session, src, keys_of(passphrase_file, None, identity))
    with repository.reading():
        name = repository.find_snapshot(snapshot)
        if rehearse:
            _rehearse(session, repository, name)
        elif account or message:
            from mairust_core.transfer.repository.picking import Pick

            session.agree("restore_mail", yes, snapshot=name)
            pick = Pick(account=account, mailbox=mailbox, message=message, skip_damaged=skip_damaged)
            _put_back(session, repository, name, pick)
        else:
            if session.server_url:
                raise Usage("restore_remote", url=session.server_url, path=src)
            session.agree("restore_site", yes, snapshot=name, path=session.settings().data_dir)
            key = None if master_key is None else Path(master_key)
            _restore_site(session, repository, name, key, skip_damaged)


def _restore_site(
    session: Session, repository: Repository, name: str, master_key: Path | None, skip_damaged: bool
) -> None:
    from mairust_core.restore import restore_site

    with working(session, "restore") as watch:
        done = restore_site(
            session.settings(),
            repository,
            name,
            os_user=os_user(),
            master_key=master_key,
            skip_damaged=skip_damaged,
            watch=watch,
        )
    for table in done.reissued:
        session.output.note(say("restore.reissued", session.output.lang, table=table))
    for id_ in _without_rows(session, done.damaged, done.damaged_rows):
        session.output.warn(say("restore.damaged_object", session.output.lang, object=id_))
    for address in done.lost_accounts:
        session.output.warn(say("restore.lost_account", session.output.lang, address=clean(address)))
    _tell_revocations(session, done.trusted)
    session.output.change(done, RESTORED)
    if done.damaged or done.left_out:
        raise typer.Exit(SOME_FAILED)


def _without_rows(session: Session, damaged: Iterable[str], rows: Mapping[str, str]) -> Iterator[str]:
    """Tell whose rows are damaged; the other objects that are."""
    for id_ in damaged:
        if id_ in rows:
            address = clean(rows[id_])
            session.output.warn(say("restore.damaged_rows", session.output.lang, object=id_, address=address))
        else:
            yield id_


def _tell_revocations(session: Session, trusted: Sequence[TrustKey]) -> None:
    """What a root took back since the backup is not known: the newest list is to be imported."""
    lang = session.output.lang
    for key in trusted:
        name, issued = clean(key.name), moment(key.issued_at)
        if key.serial is None:
            text = say("restore.no_revocations", lang, name=name, id=key.id)
        else:
            text = say("restore.revocations", lang, name=name, id=key.id, serial=key.serial, issued=issued)
        session.output.note(text)


def _put_back(session: Session, repository: Repository, name: str, pick: Pick) -> None:
    from mairust_core.transfer.repository.picking import Picker

    picker = Picker(repository, repository.read_snapshot(name), pick)
    backups = session.operations(Backups)
    accounts: set[str] = set()
    messages, failed = 0, []
    with working(session, "restore") as watch:
        watch.expect(picker.expected() or 0)
        for pack in picker.packs():
            added = backups.put_back(BytesIn(chunks=[pack], size_bytes=len(pack)))
            accounts.add(added.address)
            messages += sum(one.id is not None for one in added.messages)
            failed += [f"{one.sha256}: {one.error}" for one in added.messages if one.id is None]
            watch.advance(len(added.messages), size_bytes=len(pack))
    for text in failed:
        session.output.warn(text)
    for id_ in _without_rows(session, picker.damaged, picker.damaged_rows):
        session.output.warn(say("restore.damaged_mail", session.output.lang, object=id_))
    done = PutBack(
        snapshot=name,
        accounts=len(accounts),
        messages=messages,
        failed=tuple(failed),
        damaged=tuple(picker.damaged),
    )
    session.output.change(done, PUT_BACK)
    if failed or picker.damaged:
        raise typer.Exit(SOME_FAILED)


def _rehearse(session: Session, repository: Repository, name: str) -> None:
    from mairust_core.restore.rehearsal import rehearse

    with working(session, "rehearse") as watch:
        found = rehearse(repository, name, os_user(), watch)
    _tell_revocations(session, found.trusted)
    if session.output.json:
        session.output.document(found)
    else:
        for difference in found.differences:
            session.output.warn(difference)
        text = say(
            "restore.differs" if found.differences else "restore.alike",
            session.output.lang,
            messages=found.messages,
            accounts=found.accounts,
            count=len(found.differences),
        )
        session.output.lines([text])
    if found.differences:
        raise typer.Exit(FAILED)
