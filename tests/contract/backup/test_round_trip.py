"""A site, backed up and restored, is the same site (rules I2, I3; trap D3)."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from mairust_core.app import Site, opened
from mairust_core.errors import Conflict, Damaged, Forbidden, NewerSite
from mairust_core.first_run import ADMIN_TOKEN, create_site
from mairust_core.model.principal import Scope
from mairust_core.restore import restore_site
from mairust_core.restore.rehearsal import rehearse
from mairust_core.store import restoring
from mairust_core.store.tables import trace
from mairust_core.transfer.repository import Repository
from tests.contract.backup.conftest import EmptySettings
from tests.support.invariants import check_site
from tests.support.repositories import Onlooker
from tests.support.sites import ANN, BOB, LARGE, Contents, back_up, contents_of, deliver, mail_of, make_site
from tests.support.stores import message


@pytest.mark.parametrize("target", ["sqlite", "postgresql"])
def test_rule_i2_a_restored_site_is_the_same_on_either_database(
    site: Site, repository: Repository, empty: EmptySettings, target: str
) -> None:
    """Every row and octet; UIDs and UIDVALIDITY stay, the counters behind them begin far beyond."""
    before, mail = Contents.of(site.storage), mail_of(site)
    counters = _counters(site)
    taken = back_up(site, repository)
    settings = empty(target)
    done = restore_site(settings, repository, taken.snapshot, os_user="tester")
    assert (done.messages, done.left_out, done.damaged) == (taken.messages, 0, ())
    assert check_site(settings) == []
    restored = contents_of(settings)
    assert restored.mail == before.mail
    assert restored.facts == before.facts
    assert restored.other[:3] == before.other[:3]
    assert restored.other[3][: len(before.other[3])] == before.other[3]
    assert restored.other[4:] == before.other[4:]
    with opened(settings) as there:
        assert mail_of(there) == mail
        for key, (uidnext, modseq) in _counters(there).items():
            assert uidnext == counters[key][0] + restoring.UIDNEXT_MORE
            assert modseq == counters[key][1] + restoring.MODSEQ_MORE
        deliver(there, ANN, message())
    assert check_site(settings) == []


def _counters(site: Site) -> dict[tuple[str, str], tuple[int, int]]:
    sql = "SELECT a.address, b.name, b.uidnext, a.modseq FROM mailbox b JOIN account a ON a.id = b.account_id"
    with site.storage.read() as tx:
        return {row[:2]: (row[2], row[3]) for row in site.storage.fetch_all(tx, sql, ())}


@pytest.mark.parametrize("target", ["sqlite", "postgresql"])
def test_an_id_that_only_sqlite_takes_stops_no_restore(
    embedded: Site, repository: Repository, empty: EmptySettings, target: str
) -> None:
    """A trace from before message ids were measured in octets comes back, without the id."""
    odd = "".join(chr(0x10000 + 37 * number) for number in range(990))
    rows = [
        (number, 1, number, True, "smtp", None, "x", "eve@x.example", "[]", id_, "250 2.0.0 stored", "[]")
        for number, id_ in ((1, odd), (2, "<usual@x.example>"))
    ]
    with embedded.storage.write() as tx:
        embedded.storage.insert_rows(tx, trace, rows)
    taken = back_up(embedded, repository)
    settings = empty(target)
    restore_site(settings, repository, taken.snapshot, os_user="tester")
    with opened(settings) as there, there.storage.read() as tx:
        sql = "SELECT message_id FROM trace ORDER BY id"
        ids = [row[0] for row in there.storage.fetch_all(tx, sql, ())]
    assert ids == ["", "<usual@x.example>"]


def test_a_large_mail_and_a_strange_one_come_through(site: Site, repository: Repository) -> None:
    """What is in the repository is what came, to the octet."""
    back_up(site, repository)
    again = Repository.open(repository.path)
    for data in mail_of(site).values():
        assert again.read_object(hashlib.sha256(data).hexdigest()) == data
    assert max(map(len, mail_of(site).values())) > LARGE


def test_what_did_not_change_is_not_written_again(site: Site, repository: Repository) -> None:
    """A second run writes a snapshot and nothing else; a third, with a mail more, little besides."""
    first = back_up(site, repository)
    second = back_up(site, repository)
    assert second.objects_new == 0
    assert second.bytes_new == repository.snapshot_path(second.snapshot).stat().st_size < first.bytes_new / 5
    deliver(site, BOB, message())
    third = back_up(site, repository)
    assert third.objects_new == 2, "Bob's rows and the mail"
    assert third.messages == second.messages + 1


def test_a_changed_flag_is_in_the_next_backup(
    site: Site, repository: Repository, empty: EmptySettings
) -> None:
    """As every change it takes a MODSEQ, and so the account is read anew (rule A2)."""
    back_up(site, repository)
    with site.storage.write() as tx:
        site.storage.execute_many(tx, "UPDATE placement SET flags = ?", [(9,)])
        site.storage.execute_many(tx, "UPDATE account SET modseq = modseq + ?", [(1,)])
        site.storage.execute_many(tx, "UPDATE mailbox SET unseen = ?", [(0,)])
    taken = back_up(site, repository)
    settings = empty()
    restore_site(settings, repository, taken.snapshot, os_user="tester")
    assert {row[13] for row in contents_of(settings).mail} == {9}


def test_an_older_snapshot_stays_what_it_was(
    embedded: Site, repository: Repository, empty: EmptySettings
) -> None:
    """Whatever is backed up later, and whatever the site deletes meanwhile."""
    before = Contents.of(embedded.storage)
    first = back_up(embedded, repository)
    deliver(embedded, ANN, message())
    back_up(embedded, repository)
    settings = empty()
    restore_site(settings, Repository.open(repository.path), first.snapshot, os_user="tester")
    assert contents_of(settings).mail == before.mail


def test_many_small_chunks_make_the_same_site(
    embedded: Site, repository: Repository, empty: EmptySettings
) -> None:
    """An account beyond one object: its rows lie in several, cut where their keys say."""
    objects: tuple[str, ...] = ()
    while len(objects) < 12:
        deliver(embedded, ANN, *(message() for _ in range(1500)))
        before = Contents.of(embedded.storage)
        taken = back_up(embedded, repository)
        snapshot = repository.read_snapshot(taken.snapshot)
        (objects,) = (one.objects for one in snapshot.accounts if one.address == ANN)
    deliver(embedded, ANN, message())
    assert back_up(embedded, repository).objects_new <= 8, "mail, and a chunk or two of each table"
    settings = empty()
    restore_site(settings, Repository.open(repository.path), taken.snapshot, os_user="tester")
    restored = contents_of(settings)
    assert (restored.mail, restored.facts) == (before.mail, before.facts)
    assert check_site(settings) == []


def test_a_restored_site_has_a_new_key_for_its_administrator(
    embedded: Site, repository: Repository, empty: EmptySettings
) -> None:
    """Also where `init` had left one, which is worth nothing any more; the old site's keys work on."""
    taken = back_up(embedded, repository)
    settings = empty()
    create_site(settings, "tester")
    stale = (settings.data_dir / ADMIN_TOKEN).read_text()
    done = restore_site(settings, repository, taken.snapshot, os_user="tester")
    token = (settings.data_dir / ADMIN_TOKEN).read_text()
    assert Path(done.admin_token_file).read_text() == token != stale
    with opened(settings) as site, site.storage.read() as tx:
        from mairust_core import store

        credential = store.tokens.credential(tx, token.split("_")[1])
        assert credential is not None
        assert Scope.ADMIN in credential.principal.scopes
        assert store.tokens.credential(tx, stale.split("_")[1]) is None
        assert [row[1] for row in Contents.of(site.storage).other[2]] == ["of a robot"]


def test_a_site_that_is_not_empty_is_left_alone(
    embedded: Site, repository: Repository, empty: EmptySettings
) -> None:
    """One domain is enough."""
    taken = back_up(embedded, repository)
    settings = empty()
    make_site(settings)
    before = contents_of(settings)
    with pytest.raises(Conflict):
        restore_site(settings, repository, taken.snapshot, os_user="tester")
    assert contents_of(settings) == before


def test_a_later_schema_is_refused(embedded: Site, repository: Repository, empty: EmptySettings) -> None:
    """Who cannot know what a table means does not guess."""
    from dataclasses import replace

    taken = back_up(embedded, repository)
    snapshot = repository.read_snapshot(taken.snapshot)
    with repository.writing() as writer:
        name = writer.add_snapshot(replace(snapshot, schema="9999"))
    settings = empty()
    with pytest.raises(NewerSite):
        restore_site(settings, repository, name, os_user="tester")
    assert not settings.data_dir.exists()


def test_rule_i3_the_master_key_is_never_in_a_plain_backup(
    embedded: Site, repository: Repository, empty: EmptySettings, tmp_path: Path
) -> None:
    """It comes from a file, which must be the right one; without it there is a new one."""
    key = embedded.settings.secrets.master_key_file
    taken = back_up(embedded, repository, keys=key.read_bytes())
    for path in repository.path.rglob("*"):
        if path.is_file():
            assert key.read_bytes().strip() not in path.read_bytes()
    snapshot = repository.read_snapshot(taken.snapshot)
    assert all(key.read_bytes().strip() not in repository.read_object(one) for one in snapshot.objects())
    other = empty()
    create_site(other, "tester")
    with pytest.raises(Forbidden):
        restore_site(
            empty(), repository, taken.snapshot, os_user="tester", master_key=other.secrets.master_key_file
        )
    with_key = empty()
    restore_site(with_key, repository, taken.snapshot, os_user="tester", master_key=key)
    assert with_key.secrets.master_key_file.read_bytes() == key.read_bytes()
    without = empty()
    restore_site(without, repository, taken.snapshot, os_user="tester")
    assert without.secrets.master_key_file.read_bytes() != key.read_bytes()


def test_a_rehearsal_finds_no_difference_and_leaves_nothing(
    site: Site, repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a reader of its own, and in scratch."""
    taken = back_up(site, repository)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    watch = Onlooker()
    found = rehearse(repository, taken.snapshot, "tester", watch)
    assert found.differences == ()
    assert (found.messages, found.accounts) == (taken.messages, 2)
    assert watch.done == watch.expected == 2 * taken.messages + len(set(mail_of(site).values()))
    assert list(scratch.iterdir()) == []


def test_a_rehearsal_of_something_damaged_names_it(embedded: Site, repository: Repository) -> None:
    """As the restore would."""
    taken = back_up(embedded, repository)
    largest = max(repository.path.glob("packs/*/*"), key=lambda path: path.stat().st_size)
    data = bytearray(largest.read_bytes())
    data[200] ^= 1
    largest.write_bytes(data)
    with pytest.raises(Damaged):
        rehearse(Repository.open(repository.path), taken.snapshot, "tester")
