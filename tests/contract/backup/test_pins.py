"""While a backup runs, no mail's bytes are deleted; when it ends, or dies, they are (rules C2, I3)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from mairust_core import store
from mairust_core.app import Site
from mairust_core.backup.spool import writing_to
from mairust_core.errors import DiskFull, NotFound, StorageDown, Temporary
from mairust_core.ids import now_ms
from mairust_core.model.backup import BackedUp, BackupRun, NewBackup, Offer, Wanted
from mairust_core.operations import BytesOut
from mairust_core.receive.collection import Ages, Collection
from mairust_core.services.backups import Backups
from mairust_core.store import backups
from mairust_core.transfer.repository import Repository
from mairust_core.transfer.repository.taking import take
from mairust_core.transfer.repository.verifying import verify
from tests.support.sites import ANN, BOB, TESTER, back_up, deliver, mail_of
from tests.support.stores import message

AT_ONCE = Ages(condemned_s=-1, leftover_s=-1, sealed_s=-1)
NOTHING = BackedUp(repository="r", snapshot="s", messages=1, objects_new=2, bytes_new=3)


def collect(site: Site, later_ms: int = 0) -> int:
    """One run of collection, as if so much time had passed; how many blobs it deleted."""
    collection = Collection(
        site.storage, site.blobs, AT_ONCE, clock=lambda: now_ms() + later_ms, rest=lambda _: None
    )
    return collection.run().blobs


def remove_bob(site: Site) -> None:
    """Take Bob's account away: collection purges its mail."""
    with site.storage.write() as tx:
        store.aliases.remove(tx, TESTER, "sales@example.org")
        store.accounts.remove(tx, TESTER, BOB)


@dataclass(frozen=True, kw_only=True)
class Meddling:
    """A site on which something happens after the offer and before its mail is fetched."""

    backups: Backups
    meddle: object

    def begin(self, new: NewBackup) -> Offer:
        offer = self.backups.begin(new)
        assert callable(self.meddle)
        self.meddle()
        return offer

    def contents(self, id: str) -> BytesOut:
        return self.backups.contents(id)

    def pack(self, id: str, wanted: Wanted) -> BytesOut:
        return self.backups.pack(id, wanted)

    def finish(self, id: str, done: BackedUp) -> BackupRun:
        return self.backups.finish(id, done)


class Interrupted(Meddling):
    """Somebody presses Ctrl-C before the mail is fetched."""

    def contents(self, id: str) -> BytesOut:
        raise KeyboardInterrupt


def test_rule_c2_what_a_backup_has_offered_is_there_until_it_is_done(
    site: Site, repository: Repository
) -> None:
    """Mail of an account that is removed, purged and collected meanwhile is in the backup, whole."""
    mail = set(mail_of(site).values())
    deleted: list[int] = []

    def meddle() -> None:
        remove_bob(site)
        deleted.append(collect(site))

    taken = take(
        Repository.open(repository.path),
        Meddling(backups=site.service(Backups, TESTER), meddle=meddle),
    )
    assert deleted == [0]
    assert taken.damaged == ()
    assert verify(Repository.open(repository.path), read_data=True).damaged == ()
    again = Repository.open(repository.path)
    from hashlib import sha256

    assert all(sha256(data).digest() in again.index.ids for data in mail)
    assert collect(site) > 0


def test_rule_c2_compaction_moves_mail_from_under_a_backup(site: Site, repository: Repository) -> None:
    """It is read where it lies now."""
    deliver(site, BOB, *(message() for _ in range(60)))
    deliver(site, ANN, message())
    site.blobs.close()

    def meddle() -> None:
        remove_bob(site)
        collect(site)

    source = Meddling(backups=site.service(Backups, TESTER), meddle=meddle)
    assert take(Repository.open(repository.path), source).damaged == ()


def test_a_pin_ends_by_itself(site: Site, repository: Repository) -> None:
    """What a killed backup held is free ten minutes later; then nobody goes on with it."""
    operations = site.service(Backups, TESTER)
    offer = operations.begin(NewBackup())
    with site.storage.read() as tx:
        assert backups.pinned(tx, now_ms())
        assert not backups.pinned(tx, now_ms() + backups.LEASE_MS)
    remove_bob(site)
    assert collect(site) == 0
    assert collect(site, backups.LEASE_MS + 1000) > 0
    site.storage.engine.dispose()
    with site.storage.write() as tx:
        site.storage.execute_many(tx, "UPDATE backup SET pinned_until_ms = ?", [(now_ms() - 1,)])
    with pytest.raises(Temporary, match="stood still"):
        operations.pack(str(int(offer.id)), Wanted(objects=("0" * 64,)))


def test_fetching_keeps_the_pin(site: Site) -> None:
    """Each call holds it for ten minutes more."""
    operations = site.service(Backups, TESTER)
    offer = operations.begin(NewBackup())
    with site.storage.write() as tx:
        site.storage.execute_many(tx, "UPDATE backup SET pinned_until_ms = ?", [(now_ms() + 5000,)])
    operations.pack(str(int(offer.id)), Wanted(objects=("0" * 64,)))
    with site.storage.read() as tx:
        assert backups.pinned(tx, now_ms() + backups.LEASE_MS - 60_000)


def test_what_came_of_a_backup_is_kept(site: Site, repository: Repository) -> None:
    """For the list, and for whoever wants to know how old the last good one is."""
    with site.storage.read() as tx:
        assert backups.status(tx, now_ms()).last is None
    taken = back_up(site, repository)
    operations = site.service(Backups, TESTER)
    failed = operations.begin(NewBackup())
    with site.storage.read() as tx:
        last = backups.status(tx, now_ms()).last
    assert last is not None
    assert (last.snapshot, last.messages, last.repository) == (
        taken.snapshot,
        taken.messages,
        str(repository.path),
    )
    assert (last.pinned, last.by) == (False, "local:tester")
    assert last.finished_at is not None
    assert [one.id for one in operations.browse().items] == [failed.id, last.id]
    after = operations.browse(limit=1).next_cursor
    assert [one.id for one in operations.browse(cursor=after or "").items] == [last.id]
    assert operations.browse().items[0].pinned


def test_old_runs_are_forgotten(embedded: Site) -> None:
    """A hundred are enough."""
    for _ in range(backups.KEPT_RUNS + 3):
        with embedded.storage.write() as tx:
            backups.begin(embedded.storage, tx, TESTER, now_ms())
    assert len(embedded.service(Backups, TESTER).browse(limit=500).items) == backups.KEPT_RUNS


def test_a_backup_that_is_over_has_nothing_to_fetch(embedded: Site) -> None:
    """Its rows are gone from the disk; unknown ones never were there."""
    operations = embedded.service(Backups, TESTER)
    id_ = str(int(operations.begin(NewBackup()).id))
    spool = embedded.settings.data_dir / "backup" / id_
    assert spool.is_dir()
    operations.finish(id_, NOTHING)
    assert not spool.exists()
    with pytest.raises(NotFound):
        operations.contents(id_)
    with pytest.raises(Temporary):
        operations.pack(id_, Wanted(objects=("0" * 64,)))
    for call in (operations.contents, lambda unknown: operations.finish(unknown, NOTHING)):
        with pytest.raises(NotFound):
            call("4711")


def test_a_dead_backups_rows_are_swept_by_the_next(embedded: Site) -> None:
    """Its pin is over; those of one that runs stay."""
    operations = embedded.service(Backups, TESTER)
    dead, alive = (str(int(operations.begin(NewBackup()).id)) for _ in range(2))
    with embedded.storage.write() as tx:
        embedded.storage.execute_many(
            tx, "UPDATE backup SET pinned_until_ms = 1 WHERE id = ?", [(int(dead),)]
        )
    operations.begin(NewBackup())
    spools = {path.name for path in (embedded.settings.data_dir / "backup").iterdir()}
    assert dead not in spools
    assert alive in spools


def test_a_backup_that_fails_lets_go(embedded: Site, repository: Repository) -> None:
    """At once, not when its lease ends."""
    source = Interrupted(backups=embedded.service(Backups, TESTER), meddle=lambda: None)
    with pytest.raises(KeyboardInterrupt):
        take(Repository.open(repository.path), source)
    assert repository.snapshot_names() == []
    (run,) = embedded.service(Backups, TESTER).browse().items
    assert (run.pinned, run.snapshot) == (False, "")
    assert run.finished_at is not None


def test_a_data_directory_that_cannot_be_written_to_is_told(embedded: Site) -> None:
    """And the pin is not held for it."""
    (embedded.settings.data_dir / "backup").write_text("in the way")
    with pytest.raises(StorageDown, match="hands out"):
        embedded.service(Backups, TESTER).begin(NewBackup())
    with embedded.storage.read() as tx:
        assert not backups.pinned(tx, now_ms())


def test_a_full_data_directory_is_told_from_a_broken_one(tmp_path: Path) -> None:
    """Both can be tried again; one of them needs room."""
    for number, kind in ((28, DiskFull), (5, StorageDown)):
        with pytest.raises(kind), writing_to(tmp_path):
            raise OSError(number, os.strerror(number))


def test_rows_are_read_page_by_page(site: Site, repository: Repository) -> None:
    """A second run asks for the accounts and their mailboxes, not for each one's mail (no N+1)."""
    from sqlalchemy import event

    back_up(site, repository)
    statements: list[str] = []
    event.listen(site.storage.engine, "before_cursor_execute", lambda *told: statements.append(told[2]))
    before = len(statements)
    back_up(site, repository)
    assert len(statements) - before < 30
    assert not any("FROM placement" in one or 'FROM "placement"' in one for one in statements)
