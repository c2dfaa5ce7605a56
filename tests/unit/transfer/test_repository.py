"""Repositories: one writer, only what is lacking, valid whatever happens, tidy after a prune."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from mairust_core.errors import DiskFull, IncompleteStream, Locked, NotFound, StorageDown, Usage
from mairust_core.model.backup import Wanted
from mairust_core.operations import BytesOut
from mairust_core.transfer.repository import Repository
from mairust_core.transfer.repository.files import failure
from mairust_core.transfer.repository.pruning import Keep, execute, plan
from mairust_core.transfer.repository.repository import MAX_INDEX_FILES
from mairust_core.transfer.repository.taking import take
from mairust_core.transfer.repository.verifying import verify
from tests.support.repositories import START, FakeSite, Onlooker, fill, mail_in, run


def files(path: Path, pattern: str) -> list[Path]:
    """Files of a repository."""
    return sorted(path.glob(pattern))


def prune(path: Path, keep: Keep) -> int:
    """Prune; the bytes freed."""
    repository = Repository.open(path)
    with repository.writing(deleting=True) as writer:
        return execute(writer, plan(repository, keep))


def test_every_file_is_named_by_its_hash(tmp_path: Path) -> None:
    """`sha256sum` is enough to find a flipped bit."""
    fill(tmp_path / "r", 2)
    named = [*files(tmp_path / "r", "packs/*/*"), *files(tmp_path / "r", "index/*")]
    assert named
    for path in named:
        assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name.partition(".")[0]
    for path in files(tmp_path / "r", "snapshots/*"):
        assert path.stem.partition("-")[2] == hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "r").rglob("*"))


def test_only_what_is_lacking_is_fetched(tmp_path: Path) -> None:
    """Of a day later: the changed account's rows and its new mail."""
    site, (first, second) = fill(tmp_path / "r", 2)
    assert site.finished[0].objects_new == 7
    assert site.finished[1].objects_new == 2
    repository = Repository.open(tmp_path / "r")
    assert mail_in(repository, first)["ann@x"][1].startswith(b"of day 0")
    assert mail_in(repository, second)["ann@x"][1].startswith(b"of day 1")
    assert mail_in(repository, second)["bob@x"] == [b"stays"]


def test_a_site_may_send_less_than_it_is_asked_for(tmp_path: Path) -> None:
    """Then it is asked again."""
    site = FakeSite(mail={"ann@x": [b"%d" % number for number in range(50)]}, per_pack=7)
    taken = run(tmp_path / "r", site)
    assert taken.objects_new == 53
    assert max(site.asked) == 50


def test_a_site_that_sends_nothing_is_not_asked_for_ever(tmp_path: Path) -> None:
    """The run ends, the repository is as it was."""
    site = FakeSite(mail={"ann@x": [b"one"]}, per_pack=0)
    with pytest.raises(IncompleteStream):
        run(tmp_path / "r", site)
    assert Repository.open(tmp_path / "r").snapshot_names() == []
    assert [one.snapshot for one in site.finished] == [""]


def test_mail_that_cannot_be_had_is_noted(tmp_path: Path) -> None:
    """And asked for again the next time, of every account."""

    class Forgetful(FakeSite):
        def pack(self, id: str, wanted: Wanted) -> BytesOut:
            self._objects.pop(hashlib.sha256(b"lost").digest(), None)
            return super().pack(id, wanted)

    mail = {"ann@x": [b"lost", b"found"]}
    taken = run(tmp_path / "r", Forgetful(mail=mail))
    assert taken.damaged == (hashlib.sha256(b"lost").hexdigest(),)
    again = run(tmp_path / "r", FakeSite(mail=mail, at=START + timedelta(days=1)))
    assert (again.damaged, again.objects_new) == ((), 1)


def test_a_clock_that_goes_back_does_not_reorder_snapshots(tmp_path: Path) -> None:
    """The newest is the last that was taken."""
    _, names = fill(tmp_path / "r", 2)
    site = FakeSite(mail={"ann@x": [b"late"]}, at=START - timedelta(days=900))
    late = run(tmp_path / "r", site).snapshot
    assert Repository.open(tmp_path / "r").find_snapshot("") == late
    assert sorted([*names, late]) == [*names, late]


def test_a_second_run_is_locked_out(tmp_path: Path) -> None:
    """At once, and by nothing that a killed run leaves behind."""
    fill(tmp_path / "r", 1)
    repository = Repository.open(tmp_path / "r")
    with repository.writing():
        with pytest.raises(Locked):
            run(tmp_path / "r", FakeSite())
        with repository.reading():
            assert verify(repository).damaged == ()
    with repository.reading(), pytest.raises(Locked), repository.writing(deleting=True):
        pass
    run(tmp_path / "r", FakeSite())


def test_leftovers_of_a_killed_run_are_cleared(tmp_path: Path) -> None:
    """And packs that no index names are used."""
    site, _ = fill(tmp_path / "r", 1)
    for path in [*files(tmp_path / "r", "index/*"), *files(tmp_path / "r", "snapshots/*")]:
        path.unlink()
    (tmp_path / "r" / "tmp" / "half").write_bytes(b"a pack that was never finished")
    taken = run(tmp_path / "r", site)
    assert taken.objects_new == 0
    assert files(tmp_path / "r", "tmp/*") == []
    assert verify(Repository.open(tmp_path / "r"), read_data=True).damaged == ()


def test_many_index_files_become_one(tmp_path: Path) -> None:
    """So that a run a day does not make every run slower."""
    site, _ = fill(tmp_path / "r", MAX_INDEX_FILES + 2)
    assert len(files(tmp_path / "r", "index/*")) <= 3
    assert run(tmp_path / "r", site).objects_new == 0


@pytest.mark.parametrize(
    ("keep", "kept"),
    [
        (Keep(last=1), [29]),
        (Keep(last=3), [27, 28, 29]),
        (Keep(daily=2), [28, 29]),
        (Keep(weekly=3), [20, 27, 29]),
        (Keep(last=1, daily=3, weekly=4), [13, 20, 27, 28, 29]),
        (Keep(last=100), list(range(30))),
    ],
    ids=repr,
)
def test_what_a_prune_keeps(tmp_path: Path, keep: Keep, kept: list[int]) -> None:
    """Thirty days from a Monday on: the newest of each day and week."""
    names = [f"{START + timedelta(days=day):%Y%m%dT%H%M%S}.000Z-{day:012x}" for day in range(30)]
    assert keep.chosen(names) == {names[day] for day in kept}


def test_several_snapshots_of_a_day_are_one(tmp_path: Path) -> None:
    """The newest stands for it."""
    names = [f"{START + timedelta(hours=hour):%Y%m%dT%H%M%S}.000Z-{hour:012x}" for hour in range(0, 48, 6)]
    assert keep_daily(names, 2) == {names[3], names[7]}


def keep_daily(names: list[str], count: int) -> set[str]:
    """What is kept of each day."""
    return Keep(daily=count).chosen(names)


def test_nothing_is_kept_only_on_purpose() -> None:
    """A prune without a wish would delete everything."""
    with pytest.raises(Usage):
        Keep()


def test_a_prune_frees_what_nobody_needs(tmp_path: Path) -> None:
    """What is kept is whole, and the next run writes little."""
    site, names = fill(tmp_path / "r", 12)
    before = sum(path.stat().st_size for path in files(tmp_path / "r", "**/*") if path.is_file())
    kept = {name: mail_in(Repository.open(tmp_path / "r"), name) for name in names[-2:]}
    freed = prune(tmp_path / "r", Keep(last=2))
    after = sum(path.stat().st_size for path in files(tmp_path / "r", "**/*") if path.is_file())
    assert before - after == freed > 0
    repository = Repository.open(tmp_path / "r")
    assert repository.snapshot_names() == names[-2:]
    assert {name: mail_in(repository, name) for name in names[-2:]} == kept
    assert verify(repository, read_data=True).damaged == ()
    assert run(tmp_path / "r", site).objects_new == 0
    assert prune(tmp_path / "r", Keep(last=10)) == 0


def test_sparse_packs_are_written_anew(tmp_path: Path) -> None:
    """What is needed of them moves; the rest of them goes."""
    site = FakeSite(mail={"ann@x": [os.urandom(3000) for _ in range(20)]})
    run(tmp_path / "r", site)
    site.mail = {"ann@x": site.mail["ann@x"][:2]}
    site.at += timedelta(days=1)
    last = run(tmp_path / "r", site).snapshot
    (old,) = [path for path in files(tmp_path / "r", "packs/*/*") if path.stat().st_size > 50_000]
    prune(tmp_path / "r", Keep(last=1))
    assert not old.exists()
    assert max(path.stat().st_size for path in files(tmp_path / "r", "packs/*/*")) < 10_000
    repository = Repository.open(tmp_path / "r")
    assert mail_in(repository, last) == site.mail
    assert verify(repository, read_data=True).damaged == ()


def test_who_looks_on_hears_of_everything(tmp_path: Path) -> None:
    """Each run tells how much there is to do, and comes to its end, also when little is new."""
    site = FakeSite(mail={"ann@x": [os.urandom(3000) for _ in range(20)], "bob@x": [b"x"]}, per_pack=3)
    repository = Repository.create(tmp_path / "r")
    looked_on = [Onlooker() for _ in range(6)]
    take(repository, site, watch=looked_on[0])
    assert (looked_on[0].expected, looked_on[0].size_bytes > 60_000) == (21, True)
    site.mail["ann@x"] = [*site.mail["ann@x"][:2], b"new"]
    site.at += timedelta(days=1)
    take(Repository.open(tmp_path / "r"), site, watch=looked_on[1])
    assert looked_on[1].expected == 3, "Bob did not change"
    repository = Repository.open(tmp_path / "r")
    verify(repository, watch=looked_on[2])
    assert looked_on[2].expected == 2
    verify(repository, read_data=True, watch=looked_on[3])
    packs = sum(path.stat().st_size for path in files(tmp_path / "r", "packs/*/*"))
    assert looked_on[3].expected == packs
    with repository.writing(deleting=True) as writer:
        execute(writer, plan(repository, Keep(last=1), looked_on[4]), looked_on[5])
    assert looked_on[4].expected == 1
    assert 0 < looked_on[5].expected < packs
    assert all(one.done == one.expected for one in looked_on)


def test_a_plan_changes_nothing(tmp_path: Path) -> None:
    """That is what `--dry-run` prints."""
    fill(tmp_path / "r", 5)
    before = {path: path.stat().st_mtime_ns for path in files(tmp_path / "r", "**/*") if path.is_file()}
    planned = plan(Repository.open(tmp_path / "r"), Keep(last=1))
    assert len(planned.removed) == 4
    assert planned.bytes_dead > 0
    assert {
        path: path.stat().st_mtime_ns for path in files(tmp_path / "r", "**/*") if path.is_file()
    } == before


def test_snapshots_are_found_by_part_of_their_id(tmp_path: Path) -> None:
    """By time or by hash; the newest without one; never one of several."""
    _, names = fill(tmp_path / "r", 3)
    repository = Repository.open(tmp_path / "r")
    assert repository.find_snapshot("") == names[-1]
    assert repository.find_snapshot(names[0][:10]) == names[0]
    assert repository.find_snapshot(names[1].partition("-")[2]) == names[1]
    with pytest.raises(Usage):
        repository.find_snapshot("2026")
    with pytest.raises(NotFound):
        repository.find_snapshot("1999")


def test_a_repository_on_a_read_only_disk_can_be_read(tmp_path: Path) -> None:
    """Nobody can change it, so no lock is needed."""
    fill(tmp_path / "r", 1)
    (tmp_path / "r" / "readers.lock").unlink()
    (tmp_path / "r").chmod(0o500)
    try:
        repository = Repository.open(tmp_path / "r")
        with repository.reading():
            assert verify(repository, read_data=True).damaged == ()
    finally:
        (tmp_path / "r").chmod(0o700)


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """What is logged."""
    with caplog.at_level(logging.WARNING, "mairust.backup"):
        yield caplog


def test_what_is_left_out_of_the_index_is_logged(tmp_path: Path, quiet: pytest.LogCaptureFixture) -> None:
    """A pack that cannot be read at all, and an index that is damaged."""
    fill(tmp_path / "r", 1)
    (pack, *_) = files(tmp_path / "r", "packs/*/*")
    pack.write_bytes(b"short")
    (index,) = files(tmp_path / "r", "index/*")
    index.write_bytes(b"short")
    assert Repository.open(tmp_path / "r").index.packs.keys() != set()
    assert [one for one in quiet.messages if "left out" in one]


def test_a_full_disk_is_told_from_a_broken_one(tmp_path: Path) -> None:
    """Both can be tried again; one of them needs room."""
    assert isinstance(failure(OSError(28, "No space left on device"), tmp_path), DiskFull)
    assert isinstance(failure(OSError(5, "Input/output error"), tmp_path), StorageDown)
