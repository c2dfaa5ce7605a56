"""The order of system calls, and what holds when any of them fails (rules C3, C5, traps D1, S12)."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mairust_core.blobs.fileops import FileOps
from mairust_core.blobs.fs import FsBlobStore
from mairust_core.errors import Damaged, DiskFull, MaiRustError, StorageDown
from mairust_core.model.blob import MEMORY_LIMIT_BYTES, Bytes, Content, Locator
from tests.support.disk import FailingOps, RecordingOps, room_for

OPS = [
    "mkdir",
    "create",
    "open_unnamed",
    "write",
    "fdatasync",
    "fsync",
    "fsync_directory",
    "publish",
    "rename",
]
PATTERN = ("small", "large", "both", "small", "both", "small")
"""What the batches of an error test contain; with `roll_bytes=1` every small one rolls a segment."""


def ops_of(ops: RecordingOps, start: int = 0) -> list[str]:
    """The calls from `start` on, as words; of a path only its directory."""
    return [f"{call.op} {call.path.split('/')[0]}" for call in ops.calls[start:]]


def collected(store: FsBlobStore, data: bytes) -> Content:
    """A content as a listener brings it."""
    collector = store.collector()
    try:
        collector.write(data)
        return collector.finish()
    except MaiRustError:
        collector.discard()
        raise


def test_rule_c3_a_segment_is_synced_with_its_directory_before_the_first_return(tmp_path: Path) -> None:
    """write → fdatasync → fsync of the directory and its parent; afterwards write → fdatasync per batch."""
    ops = RecordingOps(tmp_path)
    store = FsBlobStore(tmp_path, ops=ops)
    start = len(ops.calls)
    store.put_many([Bytes.of(b"one"), Bytes.of(b"two")])
    leased = ["create segments", "open segments"]
    synced = ["write segments", "fdatasync segments", "fsync_directory segments", "fsync_directory ."]
    assert ops_of(ops, start) == [*leased, *synced]
    start = len(ops.calls)
    store.put_many([Bytes.of(b"three"), Bytes.of(b"four")])
    assert ops_of(ops, start) == ["write segments", "fdatasync segments"]
    store.close()


def test_rule_c3_a_leased_segment_is_synced_with_its_directory_too(tmp_path: Path) -> None:
    """Its first writer may have died before it synced the directory."""
    first = FsBlobStore(tmp_path)
    first.put_many([Bytes.of(b"one")])
    first.close()
    ops = RecordingOps(tmp_path)
    store = FsBlobStore(tmp_path, ops=ops)
    store.put_many([Bytes.of(b"two")])
    synced = ["open segments", "write segments", "fdatasync segments", "fsync_directory segments"]
    assert ops_of(ops) == [*synced, "fsync_directory ."]
    store.close()


def test_rule_c3_an_own_file_is_synced_before_and_after_it_gets_its_name(tmp_path: Path) -> None:
    """write → fsync → publish → fsync of the directory; a new shard's parent is synced first (trap D1)."""
    ops = RecordingOps(tmp_path)
    store = FsBlobStore(tmp_path, ops=ops)
    contents = [collected(store, os.urandom(MEMORY_LIMIT_BYTES + 1)) for _ in range(2)]
    start = len(ops.calls)
    store.put_many(contents)
    new_shard = ["mkdir files", "fsync_directory files", "fsync_directory ."]
    files = ["fsync tmp", "publish files"] * 2
    assert ops_of(ops, start) == [*new_shard, *files, "fsync_directory files"]
    shard = ops.calls[-1].path
    assert all(call.path.startswith(shard) for call in ops.calls if call.op == "publish")
    for content in contents:
        content.close()


def test_trap_d1_the_parents_of_new_directories_are_synced(tmp_path: Path) -> None:
    """A store that was just made survives a power cut as a directory."""
    ops = RecordingOps(tmp_path)
    FsBlobStore(tmp_path / "blobs", ops=ops)
    made = ["mkdir blobs"] * 4
    assert ops_of(ops) == [*made, "fsync_directory .", "fsync_directory blobs"]


def test_an_own_file_never_replaces_another(tmp_path: Path) -> None:
    """Publishing onto a name that exists fails and leaves both files as they were."""
    source, target = tmp_path / "a", tmp_path / "b"
    source.write_bytes(b"new")
    target.write_bytes(b"old")
    with pytest.raises(FileExistsError):
        FileOps().publish(source, target)
    assert (source.read_bytes(), target.read_bytes()) == (b"new", b"old")


WRITING = {"write", "fdatasync", "fsync"}


class Session:
    """Batches put through failing operations, and what of them was acknowledged."""

    def __init__(self, directory: Path, ops: FailingOps) -> None:
        self.ops = ops
        self.store = FsBlobStore(directory, ops=ops, roll_bytes=1)
        self.acknowledged: dict[Locator, bytes] = {}
        self.errors: list[MaiRustError] = []

    def put(self, kind: str) -> None:
        """One batch: remembered when `put_many` returns, its error when it raises."""
        contents: list[Content] = []
        try:
            if kind != "large":
                contents += [Bytes.of(os.urandom(3000)), Bytes.of(b"")]
            if kind != "small":
                contents.append(collected(self.store, os.urandom(MEMORY_LIMIT_BYTES + 1)))
            locators = self.store.put_many(contents)
        except (DiskFull, StorageDown) as error:
            self.errors.append(error)
            return
        finally:
            for content in contents:
                content.close()
        self.acknowledged |= zip(locators, (content.sha256 for content in contents), strict=True)

    def check(self) -> None:
        """Everything acknowledged is readable, by this store and by a new one."""
        other = FsBlobStore(self.store.directory)
        for locator, sha256 in self.acknowledged.items():
            self.store.get(locator, sha256)
            other.get(locator, sha256)

    def never_touched_again(self) -> bool:
        """Whether no file was written or synced after a write or sync of it had failed."""
        return not any(
            call.path == self.ops.calls[index].path and {call.op, self.ops.calls[index].op} <= WRITING
            for index in self.ops.failed
            for call in self.ops.calls[index + 1 :]
        )


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC])
@pytest.mark.parametrize("op", OPS)
def test_rule_c5_whatever_call_fails_nothing_acknowledged_is_lost(tmp_path: Path, op: str, code: int) -> None:
    """Each call of each kind fails once, in a session of its own: an error, and the next batch is stored."""
    nth, expected = 0, DiskFull if code == errno.ENOSPC else StorageDown
    while True:
        nth += 1
        directory = tmp_path / str(nth)
        directory.mkdir()
        ops = FailingOps(directory, op, nth, code)
        try:
            session = Session(directory, ops)
        except expected:
            continue  # the directories could not be made: nothing is stored, the next start tries again
        for kind in PATTERN:
            session.put(kind)
        session.check()
        assert session.never_touched_again()
        assert all(type(error) is expected for error in session.errors)
        # A full segment that cannot be sealed is no reason to refuse mail.
        assert len(session.errors) == (1 if ops.failed and op != "rename" else 0)
        assert list((directory / "tmp").iterdir()) == []
        session.store.close()
        if not ops.failed:
            break
    assert nth > 1


@pytest.mark.parametrize(
    ("op", "nth"), [("create", 2), ("write", 5), ("fsync", 2), ("publish", 2), ("fsync_directory", 4)]
)
def test_a_failed_batch_leaves_no_large_file(tmp_path: Path, op: str, nth: int) -> None:
    """When the second of two large blobs fails, neither takes room: not published, not half-made."""
    ops = FailingOps(tmp_path, op, nth, errno.ENOSPC)
    store = FsBlobStore(tmp_path, ops=ops)
    contents = [Bytes.of(os.urandom(MEMORY_LIMIT_BYTES + 1)) for _ in range(2)]
    with pytest.raises(DiskFull):
        store.put_many(contents)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    for locator, content in zip(store.put_many(contents), contents, strict=True):
        assert store.get(locator, content.sha256) == content.data


def test_rule_c3_a_segment_is_abandoned_after_a_failed_sync(tmp_path: Path) -> None:
    """It is sealed, keeps what was acknowledged, and gets no further byte; the next batch has a new one."""
    ops = FailingOps(tmp_path, "fdatasync", 2, errno.EIO)
    store = FsBlobStore(tmp_path, ops=ops)
    kept = Bytes.of(b"kept")
    [locator] = store.put_many([kept])
    with pytest.raises(StorageDown):
        store.put_many([Bytes.of(b"lost")])
    [after] = store.put_many([Bytes.of(b"after")])
    assert after.split(":")[1] != locator.split(":")[1]
    [sealed] = store.sealed(-1)
    assert sealed == locator.split(":")[1]
    assert store.get(locator, kept.sha256) == b"kept"
    store.close()


def test_rule_c3_a_segment_that_cannot_be_sealed_keeps_its_lease(tmp_path: Path) -> None:
    """When sync and rename both fail, no other process gets to append to it while this one lives."""
    ops = FailingOps(tmp_path, "fdatasync", 2, errno.EIO)
    store = FsBlobStore(tmp_path, ops=ops)
    [locator] = store.put_many([Bytes.of(b"kept")])
    (tmp_path / "segments" / f"{locator.split(':')[1]}.sealed").mkdir()  # no rename onto a directory
    with pytest.raises(StorageDown):
        store.put_many([Bytes.of(b"lost")])
    other = FsBlobStore(tmp_path)
    assert other.seal_abandoned() == []
    assert other.put_many([Bytes.of(b"x")])[0].split(":")[1] != locator.split(":")[1]
    store.close()
    other.close()


@pytest.mark.parametrize("op", ["create", "write", "fdatasync"])
def test_trap_s12_a_full_disk_is_452_and_service_resumes(tmp_path: Path, op: str) -> None:
    """Every attempt on a full disk is refused for now and leaves no file behind; the first after it works."""
    ops = FailingOps(tmp_path, op, 1, errno.ENOSPC, times=1000)
    session = Session(tmp_path, ops)
    for _ in range(10):
        session.put("small")
        session.put("both")
    assert len(session.errors) == 20
    assert {error.reply.code for error in session.errors} == {452}
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    ops.heal()
    session.put("both")
    assert len(session.acknowledged) == 3
    session.check()
    session.store.close()


def test_rule_c3_a_write_that_the_kernel_cuts_short_is_not_taken_for_a_whole_one(tmp_path: Path) -> None:
    """A segment may grow by half a blob: refused for now, and with room it reads back."""
    store = FsBlobStore(tmp_path)
    content = Bytes.of(os.urandom(3000))
    with room_for(1500), pytest.raises(StorageDown):
        store.put_many([content])
    [locator] = store.put_many([content])
    assert store.get(locator, content.sha256) == content.data
    store.close()


def test_a_blob_that_cannot_be_opened_is_not_reported_as_lost(tmp_path: Path) -> None:
    """An error of the system is temporary; only what is not there is missing."""
    store = FsBlobStore(tmp_path)
    name = "0" * 27
    (tmp_path / "segments" / f"{name}.seg").symlink_to(f"{name}.seg")  # ELOOP
    with pytest.raises(StorageDown):
        store.get(Locator(f"s:{name}:0:64"), bytes(32))


def test_trap_d6_a_bad_sector_is_damage(tmp_path: Path) -> None:
    """When the disk cannot read a blob (EIO), that blob is damaged and others are served."""
    store = FsBlobStore(tmp_path)
    content = Bytes.of(b"fine")
    [fine] = store.put_many([content])
    name = "0" * 27
    (tmp_path / "segments" / f"{name}.seg").symlink_to("/proc/self/mem")  # reading its first page is EIO
    with pytest.raises(Damaged, match="cannot read"):
        store.get(Locator(f"s:{name}:0:64"), bytes(32))
    assert store.get(fine, content.sha256) == b"fine"
    store.close()


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """The error says which directory, and why."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageDown, match="file/blobs"):
        FsBlobStore(tmp_path / "file" / "blobs")


@pytest.mark.parametrize("instead", [Path.mkdir, Path.touch, None], ids=["empty", "file", "nothing"])
def test_blobs_whose_disk_is_gone_are_out_of_reach_and_not_damaged(
    tmp_path: Path, instead: Callable[[Path], None] | None
) -> None:
    """Who hears of damage restores a backup, or goes on without the bytes: both wrong until they are back."""
    store = FsBlobStore(tmp_path / "blobs")
    small, large = Bytes.of(b"small"), Bytes.of(bytes(MEMORY_LIMIT_BYTES + 1))
    locators = store.put_many([small, large])
    away = store.directory.rename(tmp_path / "away")
    if instead is not None:
        instead(store.directory)
    for locator, content in zip(locators, (small, large), strict=True):
        with pytest.raises(StorageDown, match="no longer in"):
            store.get(locator, content.sha256)
        with pytest.raises(StorageDown, match="no longer in"):
            list(store.open_range(locator, 0, 10))
    assert isinstance(store.frames([(locators[0], small.sha256)])[0], StorageDown)
    store.directory.rename(tmp_path / "instead") if instead is not None else None
    away.rename(store.directory)
    assert [store.get(locators[0], small.sha256), store.get(locators[1], large.sha256)] == [
        small.data,
        large.data,
    ]
    store.close()
