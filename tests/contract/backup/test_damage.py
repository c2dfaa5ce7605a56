"""A repository with a flipped bit in each kind of file: found, named, left out, mended (traps D3, D6)."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mairust_core.app import Site
from mairust_core.errors import Conflict, Damaged, Forbidden, MaiRustError, NewerSite, NotFound
from mairust_core.restore import restore_site
from mairust_core.transfer.repository import Repository
from mairust_core.transfer.repository.packs import Kind
from mairust_core.transfer.repository.sealing import Keys
from mairust_core.transfer.repository.snapshots import Snapshot, name_of
from mairust_core.transfer.repository.taking import Taken
from mairust_core.transfer.repository.verifying import verify
from tests.contract.backup.conftest import EmptySettings
from tests.support.invariants import check_site
from tests.support.sites import ANN, BOB, Contents, back_up, contents_of, deliver, mail_of
from tests.support.stores import message


def flip(path: Path, at: int = -1) -> None:
    """Flip one bit in the middle of a file, or at a place in it."""
    data = bytearray(path.read_bytes())
    data[at if at >= 0 else len(data) // 2] ^= 4
    path.write_bytes(data)


def again(repository: Repository) -> Repository:
    """The same repository, opened anew."""
    return Repository.open(repository.path)


def flip_object(repository: Repository, id_: str) -> None:
    """Flip one bit inside the frame of an object."""
    pack, entry = repository.index.find(bytes.fromhex(id_))
    flip(repository.pack_path(pack), entry.offset + entry.stored_bytes - 6)


def grown(site: Site, repository: Repository) -> tuple[Taken, dict[str, list[str]]]:
    """A backup of a site in which Ann has so much mail that her rows lie in several objects of each table."""
    while True:
        deliver(site, ANN, *(message() for _ in range(2000)))
        taken = back_up(site, repository)
        tables = {name: list[str]() for name in ("account", "mailbox", "message", "placement", "thread_key")}
        fresh = again(repository)
        (ann,) = (one for one in fresh.read_snapshot(taken.snapshot).accounts if one.address == ANN)
        for id_ in ann.objects:
            last = json.loads(fresh.read_object(id_).splitlines()[-1])["table"]
            if last in tables:
                tables[last].append(id_)
        if len(tables["message"]) > 1 < len(tables["placement"]):
            return taken, tables


def some_mail(site: Site, address: str) -> str:
    """The id of a mail that only this account has."""
    (data,) = [mail_of(site)[id_] for id_ in deliver(site, address, message("the one that will be damaged"))]
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("kind", ["packs/*/*", "index/*", "snapshots/*"])
def test_verify_names_the_damaged_file(embedded: Site, repository: Repository, kind: str) -> None:
    """By its name; the rest of the repository is looked at all the same."""
    back_up(embedded, repository)
    assert verify(again(repository), read_data=True).damaged == ()
    path = max(repository.path.glob(kind), key=lambda one: one.stat().st_size)
    flip(path)
    found = verify(again(repository), read_data=True)
    assert path.name.partition(".json")[0].partition(".zst")[0] in {one.name for one in found.damaged}


@pytest.mark.parametrize("kind", ["packs/*/*", "index/*", "snapshots/*"])
def test_verify_names_the_file_that_cannot_be_read(embedded: Site, repository: Repository, kind: str) -> None:
    """The operating system refuses, and everything else is looked at; the index only costs time."""
    deliver(embedded, ANN, message())
    taken = back_up(embedded, repository)
    (path, *_) = sorted(repository.path.glob(kind))
    path.unlink()
    path.mkdir()  # what even root cannot read
    found = verify(again(repository), read_data=True)
    name = path.name.split(".json")[0].split(".zst")[0]
    why = {one.name: one.why for one in found.damaged}
    assert name in why
    assert kind == "packs/*/*" or "is a directory" in why[name]
    assert found.snapshots == 1
    if kind == "index/*":
        assert set(why) == {name}
        assert again(repository).read_snapshot(taken.snapshot).messages


def test_verify_names_the_damaged_mail(embedded: Site, repository: Repository) -> None:
    """By its SHA-256, with the pack it lies in; without reading data it cannot know."""
    sha256 = some_mail(embedded, ANN)
    back_up(embedded, repository)
    flip_object(again(repository), sha256)
    assert verify(again(repository)).damaged == ()
    found = verify(again(repository), read_data=True)
    assert {one.kind for one in found.damaged} == {"pack", "mail"}
    assert sha256 in {one.name for one in found.damaged}


def test_verify_finds_what_is_missing(embedded: Site, repository: Repository) -> None:
    """A pack that is gone, and each object that a snapshot needs of it."""
    taken = back_up(embedded, repository)
    pack = max(repository.path.glob("packs/*/*"), key=lambda one: one.stat().st_size)
    pack.unlink()
    found = verify(again(repository))
    assert ("pack", pack.name.removesuffix(".zst")) in {(one.kind, one.name) for one in found.damaged}
    assert any(taken.snapshot in one.why for one in found.damaged)


def test_verify_reads_a_part(embedded: Site, repository: Repository) -> None:
    """At least one pack, and no more than asked for."""
    for _ in range(4):
        deliver(embedded, ANN, message())
        back_up(embedded, repository)
    packs = len(repository.pack_names())
    assert verify(again(repository), read_data=True, part=0.5).packs_read == round(packs / 2)
    assert verify(again(repository), read_data=True, part=0.01).packs_read == 1


def test_a_damaged_config_is_told(embedded: Site, repository: Repository) -> None:
    """Whether it is JSON still, or not."""
    config = repository.path / "config"
    whole = config.read_bytes()
    for damaged in (whole.replace(b'"id": "', b'"id": "0', 1), whole[:40], b""):
        config.write_bytes(damaged)
        with pytest.raises(Damaged):
            again(repository)
    config.unlink()
    with pytest.raises(NotFound):
        again(repository)
    back = Repository.create(repository.path)
    assert back.config.id != repository.config.id, "nothing was in it"


@pytest.mark.parametrize("left", [None, b"", b"{}", b"[1]"])
def test_a_plain_repository_is_read_without_its_config_and_the_next_run_writes_it(
    embedded: Site, repository: Repository, empty: EmptySettings, left: bytes | None
) -> None:
    """Nothing in it is needed to read the rest; `verify` names it until then."""
    taken = back_up(embedded, repository)
    config = repository.path / "config"
    config.unlink()
    if left is not None:
        config.write_bytes(left)
    assert [(one.kind, one.name) for one in verify(again(repository)).damaged] == [("file", "config")]
    done = restore_site(empty(), again(repository), taken.snapshot, os_user="tester")
    assert done.messages == taken.messages
    with pytest.raises(Conflict):
        Repository.create(repository.path, Keys(passphrase="secret"))
    made = Repository.create(repository.path)
    assert back_up(embedded, made).objects_new <= 1
    assert verify(again(repository), read_data=True).damaged == ()


def test_an_encrypted_repository_without_its_config_is_no_plain_one(embedded: Site, tmp_path: Path) -> None:
    """It is there, it is damaged, and nothing is written into it."""
    sealed = Repository.create(tmp_path / "sealed", Keys(passphrase="secret"))
    back_up(embedded, sealed)
    (sealed.path / "config").unlink()
    for open_ in (Repository.open, Repository.create):
        with pytest.raises(Damaged, match="config"):
            open_(sealed.path)
    assert not (sealed.path / "config").exists()


def test_a_run_without_the_passphrase_is_refused(tmp_path: Path) -> None:
    """It could read nothing that is there, and would write everything once more."""
    Repository.create(tmp_path / "sealed", Keys(passphrase="secret"))
    with pytest.raises(Forbidden, match="--passphrase-file"):
        Repository.create(tmp_path / "sealed", cache=tmp_path / "cache")
    assert Repository.create(tmp_path / "sealed", Keys(passphrase="secret")).sealing.readable


def test_a_directory_with_something_else_is_refused(tmp_path: Path) -> None:
    """Nothing is written into it."""
    (tmp_path / "holiday.jpg").touch()
    with pytest.raises(Conflict):
        Repository.create(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["holiday.jpg"]
    with pytest.raises(Conflict):
        Repository.create(tmp_path / "holiday.jpg")


def test_a_newer_format_is_refused(embedded: Site, repository: Repository, empty: EmptySettings) -> None:
    """In the configuration, and in a snapshot."""
    taken = back_up(embedded, repository)
    path = repository.snapshot_path(taken.snapshot)
    text = path.read_text().replace('"format":1', '"format":2', 1).encode()
    name = f"{taken.snapshot.partition('-')[0]}-{hashlib.sha256(text).hexdigest()[:12]}"
    repository.snapshot_path(name).write_bytes(text)
    with pytest.raises(NewerSite):
        restore_site(empty(), again(repository), name, os_user="tester")
    told = json.loads((repository.path / "config").read_text())
    told.pop("sha256")
    told["format"] = 2
    claimed = hashlib.sha256(json.dumps(told, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    (repository.path / "config").write_text(json.dumps({**told, "sha256": claimed}))
    with pytest.raises(NewerSite):
        again(repository)


def test_a_damaged_mail_stops_a_restore_and_is_named(
    embedded: Site, repository: Repository, empty: EmptySettings
) -> None:
    """All that is damaged is named at once; nothing is there then, and a run that skips it finds room."""
    ids = [some_mail(embedded, ANN), some_mail(embedded, BOB)]
    taken = back_up(embedded, repository)
    for id_ in ids:
        flip_object(again(repository), id_)
    settings = empty()
    with pytest.raises(Damaged) as refused:
        restore_site(settings, again(repository), taken.snapshot, os_user="tester")
    assert all(id_ in str(refused.value) for id_ in ids)
    done = restore_site(settings, again(repository), taken.snapshot, os_user="tester", skip_damaged=True)
    assert sorted(done.damaged) == sorted(ids)
    assert (done.messages, done.left_out) == (taken.messages - 2, 2)
    assert check_site(settings) == []
    before = Contents.of(embedded.storage)
    lost = {bytes.fromhex(id_) for id_ in ids}
    assert contents_of(settings).mail == [row for row in before.mail if row[5] not in lost]


def test_rows_that_are_damaged_cost_no_more_than_themselves(
    embedded: Site, repository: Repository, empty: EmptySettings
) -> None:
    """Messages whose place is lost are found in INBOX; those whose row is lost are gone, and counted out."""
    taken, tables = grown(embedded, repository)
    for id_ in (tables["placement"][0], tables["message"][1]):
        flip_object(again(repository), id_)
    settings = empty()
    done = restore_site(settings, again(repository), taken.snapshot, os_user="tester", skip_damaged=True)
    assert set(done.damaged) == {tables["placement"][0], tables["message"][1]}
    assert 0 < done.messages < taken.messages
    assert check_site(settings) == []


def test_mail_without_its_place_is_found_where_there_is_no_inbox(
    embedded: Site, repository: Repository, empty: EmptySettings
) -> None:
    """In another mailbox; in none nobody would see it."""
    _, tables = grown(embedded, repository)
    with embedded.storage.write() as tx:
        tx.exec_driver_sql("UPDATE mailbox SET name = 'Archive' WHERE name = 'INBOX'")
    taken = back_up(embedded, repository)
    flip_object(again(repository), tables["placement"][0])
    settings = empty()
    done = restore_site(settings, again(repository), taken.snapshot, os_user="tester", skip_damaged=True)
    assert (done.damaged, done.messages) == (tuple(tables["placement"][:1]), taken.messages)
    assert check_site(settings) == []


def test_a_damaged_account_leaves_the_others(
    embedded: Site, repository: Repository, empty: EmptySettings
) -> None:
    """Nothing of it is there, not its address either."""
    taken = back_up(embedded, repository)
    snapshot = repository.read_snapshot(taken.snapshot)
    (bob,) = (one for one in snapshot.accounts if one.address == BOB)
    flip_object(again(repository), bob.objects[0])
    settings = empty()
    done = restore_site(settings, again(repository), taken.snapshot, os_user="tester", skip_damaged=True)
    assert done.accounts == 1
    assert done.lost_accounts == (BOB,)
    assert done.damaged_rows == {bob.objects[0]: BOB}
    assert check_site(settings) == []
    assert {row[0] for row in contents_of(settings).mail} == {ANN}


def test_what_no_site_can_do_without_is_never_skipped(
    embedded: Site, repository: Repository, empty: EmptySettings
) -> None:
    """A log may be missing, domains may not."""
    taken = back_up(embedded, repository)
    tables = {one.table: one.objects for one in repository.read_snapshot(taken.snapshot).tables}
    flip_object(again(repository), tables["audit"][0])
    done = restore_site(empty(), again(repository), taken.snapshot, os_user="tester", skip_damaged=True)
    assert done.damaged == tables["audit"][:1]  # where a table is cut, its rows decide
    flip_object(again(repository), tables["domain"][0])
    with pytest.raises(Damaged, match="no site can do without"):
        restore_site(empty(), again(repository), taken.snapshot, os_user="tester", skip_damaged=True)


def crafted(repository: Repository, snapshot: Snapshot) -> str:
    """Put a snapshot into a repository that no run wrote."""
    data = snapshot.to_bytes()
    name = name_of(snapshot.at, hashlib.sha256(data).hexdigest())
    repository.snapshot_path(name).write_bytes(data)
    return name


@pytest.mark.parametrize("table", ["domain", "address"])
@pytest.mark.parametrize("skip_damaged", [False, True])
def test_a_snapshot_that_lacks_a_table_is_refused(
    site: Site, repository: Repository, empty: EmptySettings, table: str, skip_damaged: bool
) -> None:
    """By name, with a way out; nothing is there then."""
    taken = back_up(site, repository)
    snapshot = repository.read_snapshot(taken.snapshot)
    kept = tuple(one for one in snapshot.tables if one.table != table)
    name = crafted(repository, replace(snapshot, tables=kept))
    settings = empty(site.storage.name)
    with pytest.raises(Damaged, match=f"{name} contradicts itself"):
        restore_site(settings, again(repository), name, os_user="tester", skip_damaged=skip_damaged)
    done = restore_site(settings, again(repository), taken.snapshot, os_user="tester")
    assert done.messages == taken.messages


@pytest.mark.parametrize("kind", ["packs/*/*", "index/*"])
def test_what_was_deleted_comes_back_with_the_next_run(
    embedded: Site, repository: Repository, kind: str
) -> None:
    """How damage is mended: the site has it still. Then all is as before, and runs are short again."""
    first = back_up(embedded, repository)
    for path in repository.path.glob(kind):
        path.unlink()
    repaired = back_up(embedded, repository)
    repository.snapshot_path(first.snapshot).unlink()  # what the audit said then, only it had
    assert verify(again(repository), read_data=True).damaged == ()
    assert repaired.messages > 0
    assert back_up(embedded, repository).objects_new == 0


def test_a_damaged_index_costs_time_only(embedded: Site, repository: Repository) -> None:
    """The packs say the same."""
    back_up(embedded, repository)
    ids = again(repository).index.ids
    flip(next(repository.path.glob("index/*")))
    assert again(repository).index.ids == ids
    assert back_up(embedded, repository).objects_new == 0


def test_a_damaged_snapshot_does_not_stop_the_next(embedded: Site, repository: Repository) -> None:
    """It is built on an older one, or on none."""
    taken = back_up(embedded, repository)
    flip(repository.snapshot_path(taken.snapshot))
    assert back_up(embedded, repository).messages == taken.messages


def test_trap_d6_mail_that_the_site_cannot_read_is_named_and_left_out(
    embedded: Site, repository: Repository, empty: EmptySettings
) -> None:
    """The rest is backed up and restored; when it can be read again, the next run has it."""
    sha256 = some_mail(embedded, ANN)
    segment = next((embedded.settings.blobs.path / "segments").iterdir())
    data = bytearray(segment.read_bytes())
    data[-10] ^= 1  # the last mail in it is the one
    whole, _ = segment.read_bytes(), segment.write_bytes(data)
    taken = back_up(embedded, repository)
    assert taken.damaged == (sha256,)
    settings = empty()
    done = restore_site(settings, again(repository), taken.snapshot, os_user="tester")
    assert (done.messages, done.left_out) == (taken.messages - 1, 1)
    assert check_site(settings) == []
    segment.write_bytes(whole)
    assert back_up(embedded, repository).damaged == ()


@pytest.mark.parametrize("kind", [*Kind])
def test_every_kind_of_object_is_in_a_backup(embedded: Site, repository: Repository, kind: Kind) -> None:
    """So that the tests above damage all there are."""
    back_up(embedded, repository)
    assert any(kind in directory.kinds for directory in again(repository).index.packs.values())


Break = Callable[[Repository], None]


def _no_repository(repository: Repository) -> None:
    shutil.rmtree(repository.path)


def _no_snapshot(repository: Repository) -> None:
    for path in repository.path.glob("snapshots/*"):
        path.unlink()


@pytest.mark.parametrize("broken", [_no_repository, _no_snapshot])
def test_nothing_to_restore_is_said_so(embedded: Site, repository: Repository, broken: Break) -> None:
    """Not found, whatever is missing."""
    back_up(embedded, repository)
    broken(repository)
    with pytest.raises(MaiRustError) as refused:
        again(repository).find_snapshot("")
    assert isinstance(refused.value, NotFound)
