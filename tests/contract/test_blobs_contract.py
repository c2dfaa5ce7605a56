"""What every blob store promises, run on each of them."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mairust_core.blobs import BlobStore
from mairust_core.blobs.collect import Budget
from mairust_core.blobs.fs import FsBlobStore
from mairust_core.blobs.locators import InSegment, place_of
from mairust_core.blobs.memory import MemoryBlobStore
from mairust_core.errors import Damaged, TooMany
from mairust_core.model.blob import MEMORY_LIMIT_BYTES, Bytes, Content, Locator
from tests.support.extensions.acme_mairust.blobs import DirectoryBlobs

BUDGET_BYTES = 3 * MEMORY_LIMIT_BYTES
SIZES = [0, 1, 10_000, MEMORY_LIMIT_BYTES - 1, MEMORY_LIMIT_BYTES, MEMORY_LIMIT_BYTES + 1, 25 << 20]


@dataclass
class Kit:
    """A store and what a test needs to know about it."""

    store: BlobStore
    budget: Budget
    damage: Callable[[Locator], None]


@pytest.fixture(params=["memory", "fs", "extension"])
def kit(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Kit]:
    """Each store in turn, empty, and a way to flip one byte of what it stored."""
    budget = Budget(BUDGET_BYTES)
    if request.param == "memory":
        memory = MemoryBlobStore(budget=budget)
        yield Kit(memory, budget, lambda locator: _damage_memory(memory, locator))
    elif request.param == "extension":
        foreign = DirectoryBlobs(tmp_path / "blobs", budget)
        yield Kit(foreign, budget, lambda locator: _flip(foreign.path(locator), -10))
    else:
        store = FsBlobStore(tmp_path / "blobs", budget=budget)
        yield Kit(store, budget, lambda locator: _damage_file(tmp_path / "blobs", locator))
        store.close()


def _damage_memory(store: MemoryBlobStore, locator: Locator) -> None:
    sha256, data = store.blobs[locator]
    store.blobs[locator] = (sha256, data[:-1] + bytes([data[-1] ^ 1]))


def _damage_file(directory: Path, locator: Locator) -> None:
    place = place_of(locator)
    assert place is not None
    [path] = directory.glob(f"*/**/{place.name}*")
    last = place.offset + place.length if isinstance(place, InSegment) else path.stat().st_size
    _flip(path, last - 10)


def _flip(path: Path, at: int) -> None:
    at %= path.stat().st_size
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1]))


def noise(size: int) -> bytes:
    """Bytes of which the second half compresses."""
    return os.urandom(size // 2) + b"a" * (size - size // 2)


@pytest.mark.parametrize("size", SIZES)
def test_get_returns_what_was_put(kit: Kit, size: int) -> None:
    """Every size comes back byte for byte, whole and as a range."""
    content = Bytes.of(noise(size))
    [locator] = kit.store.put_many([content])
    assert kit.store.get(locator, content.sha256) == content.data
    assert b"".join(kit.store.open_range(locator, 0, size)) == content.data


@pytest.mark.parametrize("size", SIZES)
def test_collected_content_is_stored_like_any_other(kit: Kit, size: int) -> None:
    """What came in chunks cut anywhere has the right hash and length, can be scanned, and comes back."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance, whole = random.Random(seed), Bytes.of(noise(size))
    budget = Budget(32 << 20)
    store = kit.store
    if isinstance(store, MemoryBlobStore):
        store = MemoryBlobStore(budget=budget)  # it keeps all of a mail in memory
    elif isinstance(store, DirectoryBlobs):
        store = DirectoryBlobs(store.directory, budget)  # likewise
    collector, at = store.collector(), 0
    while at < size:
        step = chance.randrange(1, 200_000)
        collector.write(whole.data[at : at + step])
        at += step
    content = collector.finish()
    assert (content.sha256, content.size_bytes) == (whole.sha256, size)
    assert content.view()[:] == whole.data
    [locator] = store.put_many([content])
    content.close()
    assert store.get(locator, whole.sha256) == whole.data


def test_locators_come_in_the_order_given(kit: Kit) -> None:
    """Small and large blobs may be mixed: the n-th locator is the n-th content's."""
    contents = [Bytes.of(noise(size)) for size in (10, MEMORY_LIMIT_BYTES + 5, 0, MEMORY_LIMIT_BYTES + 9, 7)]
    locators = kit.store.put_many(contents)
    for locator, content in zip(locators, contents, strict=True):
        assert kit.store.get(locator, content.sha256) == content.data


def test_nothing_put_is_nothing_stored(kit: Kit) -> None:
    """An empty batch is fine."""
    assert kit.store.put_many([]) == []


@pytest.mark.parametrize("size", [10, MEMORY_LIMIT_BYTES + 1])
def test_rule_c1_locators_are_never_reused(kit: Kit, size: int) -> None:
    """Equal bytes get a new locator each time, also after a delete."""
    content = Bytes.of(noise(size))
    seen = kit.store.put_many([content, content]) + kit.store.put_many([content])
    kit.store.delete_many(seen)
    seen += kit.store.put_many([content])
    assert len(set(seen)) == 4


@pytest.mark.parametrize("size", [1000, MEMORY_LIMIT_BYTES + 1])
def test_trap_d6_a_damaged_byte_is_reported_and_harms_no_other(kit: Kit, size: int) -> None:
    """Damage raises `Damaged` with hash and locator; the neighbours stay readable."""
    contents = [Bytes.of(os.urandom(size)) for _ in range(3)]
    first, broken, last = kit.store.put_many(contents)
    kit.damage(broken)
    with pytest.raises(Damaged) as caught:
        kit.store.get(broken, contents[1].sha256)
    assert caught.value.detail == "blob"
    assert broken in str(caught.value)
    assert contents[1].sha256.hex() in str(caught.value)
    assert kit.store.get(first, contents[0].sha256) == contents[0].data
    assert kit.store.get(last, contents[2].sha256) == contents[2].data


@pytest.mark.parametrize("size", [1000, MEMORY_LIMIT_BYTES + 1])
def test_a_range_to_the_end_is_verified(kit: Kit, size: int) -> None:
    """Reading a damaged blob to its end by ranges raises, it never ends as if all were well."""
    [locator] = kit.store.put_many([Bytes.of(os.urandom(size))])
    kit.damage(locator)
    with pytest.raises(Damaged):
        list(kit.store.open_range(locator, 0, size))


def test_get_with_another_hash_is_damaged(kit: Kit) -> None:
    """The caller's hash decides, not the stored one."""
    [locator] = kit.store.put_many([Bytes.of(b"one")])
    with pytest.raises(Damaged):
        kit.store.get(locator, Bytes.of(b"two").sha256)


@pytest.mark.parametrize(
    "locator",
    ["", "m:1", "s:0:0", "f:../../etc/passwd", "s:" + "0" * 27 + ":0:64", "f:00:" + "0" * 27, "b:1", "s:\0"],
)
def test_an_unknown_locator_is_missing(kit: Kit, locator: str) -> None:
    """Locators of nobody, or of another driver, are missing blobs, never paths."""
    with pytest.raises(Damaged) as caught:
        kit.store.get(Locator(locator), bytes(32))
    assert caught.value.detail == "missing"
    with pytest.raises(Damaged, match="missing"):
        kit.store.open_range(Locator(locator), 0, 10)
    kit.store.delete_many([Locator(locator)])


def test_delete_is_idempotent(kit: Kit) -> None:
    """A deleted large blob is missing, deleting again is fine, others stay."""
    gone, stays = (Bytes.of(noise(MEMORY_LIMIT_BYTES + 1)) for _ in range(2))
    small = Bytes.of(b"small")
    locators = kit.store.put_many([gone, stays, small])
    kit.store.delete_many([locators[0]])
    kit.store.delete_many([locators[0]])
    with pytest.raises(Damaged, match="missing"):
        kit.store.get(locators[0], gone.sha256)
    assert kit.store.get(locators[1], stays.sha256) == stays.data
    assert kit.store.get(locators[2], small.sha256) == small.data


@pytest.mark.parametrize("size", [0, 1, 5000, 2 * MEMORY_LIMIT_BYTES])
def test_ranges_are_slices(kit: Kit, size: int) -> None:
    """Any range gives the bytes a slice gives, in pieces that are never empty and never large."""
    content = Bytes.of(noise(size))
    [locator] = kit.store.put_many([content])
    edges = sorted({0, 1, size // 2, max(size - 1, 0), size, size + 10})
    for start, stop in [(start, stop) for start in edges for stop in edges]:
        pieces = list(kit.store.open_range(locator, start, stop))
        assert b"".join(pieces) == content.data[start:stop]
        assert all(0 < len(piece) <= 256 << 10 for piece in pieces)


def test_a_range_left_early_leaves_no_file_open(kit: Kit) -> None:
    """Who stops reading in the middle, or never begins, costs no descriptor."""
    [locator] = kit.store.put_many([Bytes.of(noise(2 * MEMORY_LIMIT_BYTES))])
    before = len(os.listdir("/proc/self/fd"))
    next(kit.store.open_range(locator, 0, 2 * MEMORY_LIMIT_BYTES))
    kit.store.open_range(locator, 0, 2 * MEMORY_LIMIT_BYTES)
    assert len(os.listdir("/proc/self/fd")) == before


def test_the_same_content_may_be_put_again(kit: Kit) -> None:
    """A batch that failed in the database is put again: each call stores, and stands for itself."""
    collector = kit.store.collector()
    collector.write(noise(2 * MEMORY_LIMIT_BYTES))
    content = collector.finish()
    [first] = kit.store.put_many([content])
    [second] = kit.store.put_many([content])
    kit.store.delete_many([first])
    data = content.view()[:]
    content.close()
    assert kit.store.get(second, content.sha256) == data


def test_bytes_in_flight_are_counted_until_close(kit: Kit) -> None:
    """A collected mail counts until its content is closed, once, whatever is closed twice."""
    collector = kit.store.collector()
    collector.write(b"12345")
    content: Content = collector.finish()
    collector.discard()
    assert kit.budget.in_flight_bytes == 5
    content.close()
    content.close()
    assert kit.budget.in_flight_bytes == 0


def test_bytes_in_flight_are_bounded(kit: Kit) -> None:
    """Beyond the budget `TooMany` (a 452); after a discard there is room again."""
    contents = []
    for _ in range(3):
        collector = kit.store.collector()
        collector.write(bytes(MEMORY_LIMIT_BYTES - 10))
        contents.append(collector.finish())
    late = kit.store.collector()
    late.write(b"x" * 30)
    with pytest.raises(TooMany) as caught:
        late.write(b"x")
    assert caught.value.reply.code == 452
    with pytest.raises(TooMany):
        kit.store.collector()
    late.discard()
    late.discard()
    for content in contents:
        content.close()
    assert kit.budget.in_flight_bytes == 0
    kit.store.collector().discard()


def test_free_bytes_are_free_of_total(kit: Kit) -> None:
    """Room left is never more than room in all."""
    free, total = kit.store.free_bytes()
    assert 0 < free <= total


def test_close_twice_is_harmless(kit: Kit) -> None:
    """Closing is idempotent, and what was stored stays."""
    content = Bytes.of(b"kept")
    [locator] = kit.store.put_many([content])
    kit.store.close()
    kit.store.close()
    assert kit.store.get(locator, content.sha256) == b"kept"
