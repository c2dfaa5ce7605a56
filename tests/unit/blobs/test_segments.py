"""Segments: what a walk finds after damage, who may append, when one is sealed, what compaction copies."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from mairust_core.blobs import Segmented, SegmentName
from mairust_core.blobs.fs import FsBlobStore
from mairust_core.blobs.locators import InSegment, place_of
from mairust_core.blobs.records import HEADER_BYTES, MAGIC
from mairust_core.model.blob import Bytes, Content, Locator


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FsBlobStore]:
    """An empty store in the test's directory."""
    store = FsBlobStore(tmp_path)
    yield store
    store.close()


def place(locator: Locator) -> InSegment:
    """Where a small blob lies."""
    found = place_of(locator)
    assert isinstance(found, InSegment)
    return found


def name_of(locator: Locator) -> SegmentName:
    """Its segment."""
    return SegmentName(place(locator).name)


def path_of(store: FsBlobStore, name: str) -> Path:
    """The file of a segment, sealed or not."""
    [path] = (store.directory / "segments").glob(f"{name}.*")
    return path


def found(store: FsBlobStore, name: str) -> list[Locator]:
    """The locators a walk over the segment yields."""
    return [record.locator for record in store.records(SegmentName(name))]


def noise(*sizes: int) -> list[Content]:
    """Contents that do not compress."""
    return [Bytes.of(os.urandom(size)) for size in sizes]


def test_a_walk_yields_every_record(store: FsBlobStore) -> None:
    """Locator, hash and sizes of all records, in order."""
    contents = [*noise(0, 50, 3000), Bytes.of(b"a" * 4000)]
    locators = store.put_many(contents)
    walked = list(store.records(name_of(locators[0])))
    assert [record.locator for record in walked] == locators
    assert [record.sha256 for record in walked] == [content.sha256 for content in contents]
    assert [record.size_bytes for record in walked] == [0, 50, 3000, 4000]
    assert (
        sum(record.stored_bytes for record in walked)
        == path_of(store, walked[0].locator[2:29]).stat().st_size
    )


def test_a_torn_tail_at_any_byte_ends_the_walk_and_the_segment(tmp_path: Path) -> None:
    """Cut anywhere inside the last record: the others are found and readable, nobody appends there."""
    first = FsBlobStore(tmp_path)
    contents = noise(200, 0, 90)
    locators = first.put_many(contents)
    first.close()
    name, last = name_of(locators[0]), place(locators[2])
    whole = path_of(first, name).read_bytes()
    for cut in range(last.offset + 1, last.offset + last.length):
        directory = tmp_path / f"cut{cut}"
        (directory / "segments").mkdir(parents=True)
        (directory / "segments" / f"{name}.seg").write_bytes(whole[:cut])
        store = FsBlobStore(directory)
        assert found(store, name) == locators[:2]
        [new] = store.put_many(contents[:1])
        assert name_of(new) != name
        assert path_of(store, name).suffix == ".sealed"
        assert path_of(store, name).read_bytes() == whole[:cut]
        for locator, content in zip(locators[:2], contents[:2], strict=True):
            assert store.get(locator, content.sha256) == content.view()[:]
        store.close()


@pytest.mark.parametrize("tail", [bytes(100), b"x" * 7, MAGIC, MAGIC * 30, bytes(1 << 20) + b"\r\n"])
def test_garbage_at_the_end_is_not_appended_to(tmp_path: Path, tail: bytes) -> None:
    """What a power cut leaves behind the last record is skipped, and the segment sealed."""
    first = FsBlobStore(tmp_path)
    locators = first.put_many(noise(10, 20))
    first.close()
    with path_of(first, name_of(locators[0])).open("ab") as file:
        file.write(tail)
    second = FsBlobStore(tmp_path)
    assert found(second, name_of(locators[0])) == locators
    assert name_of(second.put_many(noise(1))[0]) != name_of(locators[0])
    second.close()


def test_trap_d6_a_walk_goes_on_behind_a_damaged_header(store: FsBlobStore) -> None:
    """Random damage to one header costs that record alone."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    locators = store.put_many(noise(*(chance.randrange(5000) for _ in range(20))))
    victim = chance.choice(locators)
    with path_of(store, name_of(victim)).open("r+b") as file:
        file.seek(place(victim).offset + chance.randrange(HEADER_BYTES))
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 0x55]))
    assert found(store, name_of(victim)) == [locator for locator in locators if locator != victim]


def test_a_mail_that_contains_records_cannot_forge_any(store: FsBlobStore) -> None:
    """A segment sent as a mail, stored as it is, is not taken for records even when its header is damaged."""
    inner = store.put_many(noise(300, 400))
    segment = path_of(store, name_of(inner[0])).read_bytes()
    [outer, after] = store.put_many([Bytes.of(segment), *noise(10)])
    with path_of(store, name_of(outer)).open("r+b") as file:
        file.seek(place(outer).offset)
        file.write(b"\0")
    assert found(store, name_of(outer)) == [*inner, after]


def test_rule_c2_two_stores_never_share_a_segment(tmp_path: Path) -> None:
    """Of two stores open at once each appends to its own; both read all."""
    one, two = FsBlobStore(tmp_path), FsBlobStore(tmp_path)
    contents = noise(100, 100)
    [left], [right] = one.put_many(contents[:1]), two.put_many(contents[1:])
    assert name_of(left) != name_of(right)
    assert two.get(left, contents[0].sha256) == contents[0].view()[:]
    assert one.get(right, contents[1].sha256) == contents[1].view()[:]
    one.close()
    two.close()


def test_rule_c2_a_released_segment_is_leased_and_appended_to(tmp_path: Path) -> None:
    """Short-lived writers follow each other in one segment; nothing written before changes."""
    locators = []
    for round_ in range(3):
        store = FsBlobStore(tmp_path)
        locators += store.put_many([Bytes.of(b"%d" % round_)])
        store.close()
    assert len({name_of(locator) for locator in locators}) == 1
    assert [store.get(where, Bytes.of(b"%d" % n).sha256) for n, where in enumerate(locators)] == [
        b"0",
        b"1",
        b"2",
    ]


def test_rule_c2_a_full_segment_is_sealed_by_the_next_batch(tmp_path: Path) -> None:
    """Not before: the caller has committed its last batch when it brings the next one."""
    store = FsBlobStore(tmp_path, roll_bytes=1000)
    [first] = store.put_many(noise(2000))
    assert path_of(store, name_of(first)).suffix == ".seg"
    [second] = store.put_many(noise(10))
    assert path_of(store, name_of(first)).suffix == ".sealed"
    assert name_of(second) != name_of(first)
    store.close()


def test_rule_c2_sealed_lists_only_what_was_sealed_long_enough_ago(tmp_path: Path) -> None:
    """Age counts from the sealing; the segment written to is never among them."""
    store = FsBlobStore(tmp_path, roll_bytes=1)
    first, second, _ = (store.put_many(noise(10))[0] for _ in range(3))
    os.utime(path_of(store, name_of(first)), (0, 0))
    assert store.sealed(3600) == [name_of(first)]
    assert store.sealed(-1) == sorted([name_of(first), name_of(second)])
    store.close()


def test_rule_c2_the_hour_begins_with_the_sealing(tmp_path: Path) -> None:
    """A segment last written long ago and sealed just now is not old."""
    store = FsBlobStore(tmp_path)
    [locator] = store.put_many(noise(10))
    store.close()
    os.utime(path_of(store, name_of(locator)), (0, 0))
    assert store.seal_abandoned() == [name_of(locator)]
    assert store.sealed(3600) == []
    assert store.sealed(-1) == [name_of(locator)]


def test_seal_abandoned_leaves_living_writers_alone(tmp_path: Path) -> None:
    """What a process holds stays unsealed; what nobody holds is sealed, once."""
    one, two = FsBlobStore(tmp_path), FsBlobStore(tmp_path)
    [held], [left] = one.put_many(noise(10)), two.put_many(noise(10))
    two.close()
    assert one.seal_abandoned() == [name_of(left)]
    assert one.seal_abandoned() == []
    assert path_of(one, name_of(held)).suffix == ".seg"
    one.close()


def test_a_segment_sealed_while_its_lease_was_sought_is_not_taken(tmp_path: Path) -> None:
    """A lock on a file that is sealed by now counts for nothing: the next writer opens another one."""
    writer, sealer = FsBlobStore(tmp_path), FsBlobStore(tmp_path)
    [old] = writer.put_many(noise(10))
    writer.close()
    sealer.seal_abandoned()
    [new] = writer.put_many(noise(10))
    assert name_of(new) != name_of(old)
    writer.close()


def test_rule_c2_copy_live_copies_verified_records_and_unlink_drops_the_rest(tmp_path: Path) -> None:
    """Live records get new locators, a damaged one is left out, the old segment goes."""
    store = FsBlobStore(tmp_path, roll_bytes=1)
    segmented: Segmented = store
    contents = [*noise(10, 2000, 30), Bytes.of(b"a" * 9000)]
    locators = store.put_many(contents)
    name = name_of(locators[0])
    store.put_many(noise(1))
    with path_of(store, name).open("r+b") as file:
        file.seek(place(locators[2]).offset + HEADER_BYTES)
        file.write(b"\0" * 30)
    moved = segmented.copy_live(name, locators[1:])
    assert set(moved) == {locators[1], locators[3]}
    assert not set(moved.values()) & set(locators)
    segmented.unlink(name)
    segmented.unlink(name)
    assert found(store, name) == []
    for old in moved:
        content = contents[locators.index(old)]
        assert store.get(moved[old], content.sha256) == content.view()[:]
    store.close()


def test_copy_live_of_much_is_complete(tmp_path: Path) -> None:
    """More than one group of records: all of them arrive."""
    store = FsBlobStore(tmp_path, roll_bytes=1)
    contents = noise(*[900_000] * 11)
    locators = store.put_many(contents)
    moved = store.copy_live(name_of(locators[0]), locators)
    assert list(moved) == locators
    for old, content in zip(locators, contents, strict=True):
        assert store.get(moved[old], content.sha256) == content.view()[:]
    store.close()


def test_unlink_never_touches_an_unsealed_segment(store: FsBlobStore) -> None:
    """A segment somebody may append to cannot be deleted, whatever is asked."""
    content = Bytes.of(b"kept")
    [locator] = store.put_many([content])
    store.unlink(name_of(locator))
    store.unlink(SegmentName("../segments/" + name_of(locator)))
    assert store.get(locator, content.sha256) == b"kept"


def test_copy_live_refuses_locators_of_another_segment(store: FsBlobStore) -> None:
    """A mix-up is a bug of the caller's, not a missing record."""
    [locator] = store.put_many(noise(10))
    with pytest.raises(ValueError, match="does not lie in"):
        store.copy_live(SegmentName("0" * 27), [locator])
