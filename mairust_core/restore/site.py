"""The order of a restore: what may be restored, mail, rows, a new admin key, one COMMIT."""

from __future__ import annotations

import base64
import logging
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from mairust_core.backup.offering import SETTINGS, key_ids, read_keys
from mairust_core.blobs import BlobStore, drivers
from mairust_core.config import Settings
from mairust_core.disk import needing_room
from mairust_core.errors import Conflict, Damaged, Forbidden, NewerSite, Usage
from mairust_core.first_run import ADMIN_TOKEN, enter_data_dir, make_database, write_once
from mairust_core.model.blob import Locator
from mairust_core.model.ids import Id
from mairust_core.model.principal import Principal
from mairust_core.model.trust import TrustKey
from mairust_core.observe.faults import crash_point
from mairust_core.restore.mail import store_mail
from mairust_core.restore.rows import AccountRows, Rows, insert_site, wanted_mail
from mairust_core.restore.wanted import Wanted
from mairust_core.services.tokens import first_key
from mairust_core.store import StorageBackend, jobs, process_numbers, restoring, sites, storage_of, trust
from mairust_core.store.portable import SITE, by_name
from mairust_core.store.tables import SCHEMA_VERSION
from mairust_core.transfer.repository import Repository
from mairust_core.transfer.repository.snapshots import Snapshot
from mairust_core.transfer.repository.taking import MASTER_KEY
from mairust_core.transfer.repository.watching import NOBODY, Watcher

NAMED = 20
"""So many damaged objects an error names; the log names all."""
MAX_ROOTS = 500
RESTORED_SETTINGS = "restored.toml"

log = logging.getLogger("mairust.backup")


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What a restore brought back.

    `damaged` are objects that could not be read, those of accounts' rows also in `damaged_rows`, with the
    address; `lost_accounts` are addresses of which nothing is there, `left_out` counts the messages without
    their mail. `reissued` are tables of secrets that nothing opens here, so that new ones are needed.
    `trusted` are the root keys, each with the list of revocations that is in force again: a newer one may be
    out.
    """

    snapshot: str
    accounts: int
    messages: int
    left_out: int = 0
    damaged: tuple[str, ...] = ()
    damaged_rows: dict[str, str] = field(default_factory=dict)
    lost_accounts: tuple[str, ...] = ()
    reissued: tuple[str, ...] = ()
    admin_token_file: str = ""
    settings_file: str = ""
    trusted: tuple[TrustKey, ...] = ()


@dataclass(slots=True, kw_only=True)
class _Run:
    """One restore, and what was found on the way."""

    repository: Repository
    name: str
    snapshot: Snapshot
    skip_damaged: bool
    watch: Watcher
    by: Principal
    sealed: bool = True
    """Whether rows that need the master key stay out."""
    settings_file: str = ""
    damaged: dict[str, str] = field(default_factory=dict)
    left_out: int = 0
    lost: tuple[str, ...] = ()

    def damaged_rows(self) -> dict[str, str]:
        """Whose rows the damaged objects are, as far as they are any account's."""
        parts = self.snapshot.accounts
        owners = {object_: part.address for part in parts for object_ in part.objects}
        return {id_: owners[id_] for id_ in self.damaged if id_ in owners}


def restore_site(
    settings: Settings,
    repository: Repository,
    name: str,
    *,
    os_user: str,
    master_key: Path | None = None,
    skip_damaged: bool = False,
    watch: Watcher = NOBODY,
) -> Restored:
    """Make a site of a snapshot where there is none, or an empty one.

    Raises `Conflict` when there is something already, `NewerSite` for a snapshot of a later version,
    `Forbidden` for a wrong master key, `Damaged` naming what is damaged unless that is to be left out, and
    what database and disk raise. Then nothing is there, but for bytes that collection finds. `watch` hears of
    mail stored, then of the messages that it is.
    """
    snapshot = repository.read_snapshot(name)
    if snapshot.schema > SCHEMA_VERSION:
        raise NewerSite("snapshot", id=name, found=snapshot.schema, known=SCHEMA_VERSION)
    run = _Run(
        repository=repository,
        name=name,
        snapshot=snapshot,
        skip_damaged=skip_damaged,
        watch=watch,
        by=Principal.local(os_user),
    )
    with needing_room("restore", settings.data_dir):
        totals, trusted = _restore(run, settings, master_key)
    crash_point("restore.committed")
    return Restored(
        snapshot=name,
        accounts=totals[0],
        messages=totals[1],
        left_out=run.left_out,
        damaged=tuple(run.damaged),
        damaged_rows=run.damaged_rows(),
        lost_accounts=run.lost,
        reissued=_sealed_tables() if run.sealed else (),
        admin_token_file=str(settings.data_dir / ADMIN_TOKEN),
        settings_file=run.settings_file,
        trusted=trusted,
    )


def _restore(
    run: _Run, settings: Settings, master_key: Path | None
) -> tuple[tuple[int, int], tuple[TrustKey, ...]]:
    """How many accounts and messages there are then, and the root keys that are trusted."""
    keys = _keys(run.repository, run.snapshot, settings, master_key)
    run.sealed = keys is None
    enter_data_dir(settings)
    with closing(storage_of(settings)) as storage:
        created = make_database(settings, storage)
        with storage.read() as tx:
            if not restoring.is_empty(tx):
                raise Conflict("site_not_empty", path=settings.data_dir)
            name_of_site = sites.name(tx)
        drivers.claim(settings, name_of_site, _names_nothing, fresh=created)
        _write_keys(settings, keys)
        totals = _fill(run, settings, storage)
        with storage.read() as tx:
            return totals, tuple(trust.page(tx, run.by, "", MAX_ROOTS))


def _keys(repository: Repository, snapshot: Snapshot, settings: Settings, given: Path | None) -> bytes | None:
    """The master keys under which the snapshot's secrets are wrapped; None when nobody has them."""
    if given is not None:
        if not given.exists():
            raise Usage("unreadable_file", path=given, why="there is none")
        if not set(snapshot.master_keys) <= set(key_ids(given)):
            raise Forbidden("master_key", path=given)
        return _as_file(given)
    for file in snapshot.files:
        if file.name == MASTER_KEY:
            return repository.read_object(file.object)
    own = settings.secrets.master_key_file
    if snapshot.master_keys and set(snapshot.master_keys) <= set(key_ids(own)):
        return _as_file(own)
    return None


def _as_file(path: Path) -> bytes:
    return b"".join(base64.b64encode(key) + b"\n" for key in read_keys(path))


def _write_keys(settings: Settings, keys: bytes | None) -> None:
    """Put the snapshot's keys in place of those of an empty site; without them, new ones."""
    path = settings.secrets.master_key_file
    if keys is not None and path.exists() and path.read_bytes() != keys:
        path.replace(path.with_name(path.name + ".before-restore"))
    write_once(path, keys)


def _names_nothing() -> Sequence[Locator]:
    """The blobs of an empty site: none has to be found in a directory before the site may claim it."""
    return ()


def _fill(run: _Run, settings: Settings, storage: StorageBackend) -> tuple[int, int]:
    """Bring everything back; how many accounts and messages there are.

    Raises `Damaged` when rows of the snapshot contradict each other, and what `_in_one_transaction` raises.
    """
    try:
        return _in_one_transaction(run, settings, storage)
    except IntegrityError as error:
        raise Damaged("snapshot_contradicts", id=run.name, why=error.orig) from error


def _in_one_transaction(run: _Run, settings: Settings, storage: StorageBackend) -> tuple[int, int]:
    """Mail, rows and a new admin key, all or nothing but for bytes that collection finds.

    Raises `Conflict` when the site is no longer empty, `Damaged`, and what database and disk raise.
    """
    rows = Rows(run.repository, run.damaged)
    rows.check(object_ for part in run.snapshot.tables for object_ in part.objects)
    wanted = wanted_mail(run.repository, run.snapshot, rows)
    _judge(run)
    run.watch.expect(len(wanted) + run.snapshot.messages)
    with closing(_blobs(settings)) as blobs, _audit_id(storage) as entry_id, storage.write() as tx:
        if not restoring.is_empty(tx):
            raise Conflict("site_not_empty", path=settings.data_dir)
        restoring.prepare(storage, tx)
        _store_mail(run, storage, tx, blobs, wanted)
        crash_point("restore.mail")
        _insert_rows(run, storage, tx, rows)
        totals = restoring.totals(tx)
        key = first_key(tx, entry_id, run.by)
        # before the COMMIT, for a restore that ends right after it cannot be run again
        run.settings_file = _write_settings(run, settings)
        _write_anew(settings.data_dir / ADMIN_TOKEN, key.encode() + b"\n")
        crash_point("restore.rows")
    return totals


@contextmanager
def _audit_id(storage: StorageBackend) -> Iterator[Id]:
    """An id for the audit entry of the new key, under a process number of one's own (rule A4)."""
    ids = process_numbers.lease(storage)
    try:
        yield ids.next()
    finally:
        process_numbers.give_back(storage, ids)


def _write_anew(path: Path, data: bytes) -> None:
    path.unlink(missing_ok=True)
    write_once(path, data)


def _blobs(settings: Settings) -> BlobStore:
    return drivers.blobs_of(settings)


def _store_mail(run: _Run, storage: StorageBackend, tx: Connection, blobs: BlobStore, wanted: Wanted) -> None:
    for batch in store_mail(run.repository, blobs, wanted, run.damaged):
        run.watch.advance(len(batch.blobs), size_bytes=sum(row[3] for row in batch.blobs))
        if run.damaged and not run.skip_damaged:
            continue  # to the end, so that all of it is named
        restoring.insert_contents(storage, tx, batch.blobs, batch.contents)
        crash_point("restore.pack")
    _judge(run)


def _insert_rows(run: _Run, storage: StorageBackend, tx: Connection, rows: Rows) -> None:
    early = {"tenant", "domain"}  # what accounts refer to
    insert_site(storage, tx, run.snapshot, rows, tables=early)
    gone = {bytes.fromhex(id_) for id_ in (*run.snapshot.damaged, *run.damaged)}
    accounts = AccountRows(storage, tx, rows, gone)
    for part in run.snapshot.accounts:
        accounts.insert(part)
        run.watch.advance(part.messages)
    run.left_out, run.lost = accounts.left_out, tuple(accounts.lost)
    late = {one.name for one in SITE} - early - (set(_sealed_tables()) if run.sealed else set())
    insert_site(storage, tx, run.snapshot, rows, tables=late, accounts=accounts.accounts)
    _judge(run)
    if run.damaged or run.left_out:
        restoring.recount(tx)
    restoring.begin_history(tx)
    restoring.queue_index(tx)
    jobs.hold_all(tx)  # until `mairust job release` (rule I3)


def _sealed_tables() -> tuple[str, ...]:
    return tuple(one.name for one in by_name().values() if one.sealed)


def _judge(run: _Run) -> None:
    """Raise `Damaged` for what is damaged and may not be left out."""
    needed = {
        object_
        for part in run.snapshot.tables
        if (one := by_name().get(part.table)) is not None and one.needed
        for object_ in part.objects
    }
    fatal = [id_ for id_ in run.damaged if not run.skip_damaged or id_ in needed]
    if not fatal:
        return
    for id_ in fatal:
        log.error("object %s is damaged: %s", id_, run.damaged[id_])
    detail = "snapshot" if not run.skip_damaged else "snapshot_needed"
    named = ", ".join(fatal[:NAMED]) + (f" and {len(fatal) - NAMED} more" if len(fatal) > NAMED else "")
    raise Damaged(detail, count=len(fatal), names=named)


def _write_settings(run: _Run, settings: Settings) -> str:
    """Leave the settings of the lost site beside the new one's, for a person to compare."""
    for file in run.snapshot.files:
        if file.name == SETTINGS:
            path = settings.data_dir / RESTORED_SETTINGS
            with suppress(Damaged):
                _write_anew(path, run.repository.read_object(file.object))
                return str(path)
    return ""
