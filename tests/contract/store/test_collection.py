"""Collection gives back what nobody needs, and nothing else, on both databases (rules C2, J3; trap D2)."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from mairust_core import store
from mairust_core.blobs.fs import FsBlobStore
from mairust_core.config import Settings
from mairust_core.errors import Damaged, Locked
from mairust_core.ids import now_ms
from mairust_core.model.blob import MEMORY_LIMIT_BYTES, Bytes, Locator
from mairust_core.model.collected import Collected
from mairust_core.receive.collection import Ages, Collection, Stopped
from mairust_core.store import collecting
from tests.support.postgres import end_sessions_with_locks
from tests.support.stores import ADMIN, Kit, message, open_kit

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
AT_ONCE = Ages(condemned_s=-1, leftover_s=-1, sealed_s=-1)


@pytest.fixture
def kit(site_settings: Settings) -> Iterator[Kit]:
    """An open site with a domain, whose segments hold a mail or two."""
    with open_kit(site_settings, roll_bytes=1) as made:
        made.domain()
        yield made


def collect(kit: Kit, ages: Ages = AT_ONCE, *, now: int | None = None) -> Collected:
    """One run, without a rest."""
    clock = now_ms if now is None else lambda: now
    return Collection(kit.storage, kit.blobs, ages, clock=clock, rest=lambda _: None).run()


def remove(kit: Kit, address: str) -> None:
    """Remove an account."""
    with kit.storage.write() as tx:
        store.accounts.remove(tx, ADMIN, address)


def large() -> bytes:
    """A mail with a file of its own."""
    return message(body="x" * (MEMORY_LIMIT_BYTES + 1))


def test_what_is_needed_stays(kit: Kit) -> None:
    """A site where nothing was removed is the same after collection, small mail and large."""
    ann = kit.account("ann@example.org")
    kit.store(*(kit.mail(ann, trace=True, once=True) for _ in range(5)), kit.mail(ann, data=large()))
    before = kit.rows("SELECT sha256, location FROM blob ORDER BY sha256")
    done = collect(kit)
    assert done == Collected(
        accounts=0, messages=0, deleted=0, condemned=0, blobs=0, files=0, moved=0, segments=0, expired=0
    )
    assert kit.rows("SELECT sha256, location FROM blob ORDER BY sha256") == before
    assert kit.problems() == []


def test_rule_c2_a_removed_account_is_purged_row_by_row(kit: Kit) -> None:
    """Messages, also deleted ones, keys, mailboxes, account; what others share stays, the rest goes."""
    ann, bob = kit.account("ann@example.org"), kit.account("bob@example.org")
    shared = message("shared")
    kit.store(kit.mail(ann, bob, data=shared), *(kit.mail(ann, once=True) for _ in range(697)))
    kit.store(kit.mail(ann, data=large()))
    deleted = kit.store(*(kit.mail(ann) for _ in range(3)))
    with kit.storage.write() as tx:
        store.trash.put(tx, [store.placements.hold(tx, ADMIN, id_) for id_ in deleted])
    remove(kit, "ann@example.org")
    done = collect(kit)
    assert (done.accounts, done.messages, done.condemned, done.blobs) == (1, 702, 701, 701)
    for table in ("message", "placement", "trash", "thread_key", "pipe_delivery", "mailbox"):
        assert kit.rows(f"SELECT count(*) FROM {table} WHERE account_id = ?", ann) == [(0,)]
    assert kit.rows("SELECT address FROM account") == [("bob@example.org",)]
    assert kit.rows("SELECT subject FROM content") == [("shared",)]
    assert list((kit.settings.blobs.path / "files").glob("*/*")) == []
    assert kit.problems() == []
    with kit.storage.write() as tx:
        store.accounts.remove(tx, ADMIN, "bob@example.org")
    assert collect(kit).accounts == 1
    with kit.storage.write() as tx:
        store.domains.remove(tx, ADMIN, "example.org")


def test_rule_c2_bytes_go_an_hour_after_they_were_condemned(kit: Kit) -> None:
    """Not a millisecond earlier, and not when a mail with the same bytes came meanwhile."""
    ann, bob = kit.account("ann@example.org"), kit.account("bob@example.org")
    again, gone = message("again"), message("gone")
    kit.store(kit.mail(ann, data=again), kit.mail(ann, data=gone))
    remove(kit, "ann@example.org")
    start = now_ms()
    assert collect(kit, Ages(), now=start).condemned == 2
    assert collect(kit, Ages(), now=start + HOUR_MS).blobs == 0
    kit.store(kit.mail(bob, data=again))
    assert collect(kit, Ages(), now=start + HOUR_MS + 1).blobs == 1
    assert kit.rows("SELECT subject FROM content") == [("again",)]
    assert kit.problems() == []


def test_rule_c2_condemning_rechecks_under_the_lock(kit: Kit) -> None:
    """A content that found a message since it was looked at is not condemned, a living blob not deleted."""
    ann = kit.account("ann@example.org")
    one = kit.mail(ann)
    kit.store(one)
    key = (one.content.sha256, 1)
    with kit.storage.write() as tx:
        assert collecting.condemn(tx, [key], now_ms()) == 0
        assert collecting.delete_condemned(tx, [key], now_ms() + HOUR_MS) == []
    assert kit.problems() == []


def test_rule_c2_a_crashs_leftovers_are_swept_after_an_hour(kit: Kit) -> None:
    """A file that no row names and a temporary one; neither while they are young."""
    ann = kit.account("ann@example.org")
    kit.store(kit.mail(ann, data=large()))
    [orphan] = kit.blobs.put_many([Bytes.of(large())])
    leftover = kit.settings.blobs.path / "tmp" / "0".rjust(27, "0")
    leftover.write_bytes(b"half a mail")
    assert collect(kit, Ages()).files == 0
    assert collect(kit).files == 2
    assert not leftover.exists()
    with pytest.raises(Damaged):
        kit.blobs.get(orphan, b"")
    assert kit.problems() == []


def test_rule_j3_logs_have_their_time(kit: Kit) -> None:
    """Trace, audit and the pipe's memory go when it is over, the rest stays."""
    ann = kit.account("ann@example.org")
    kit.store(*(kit.mail(ann, trace=True, once=True, received_ms=now_ms()) for _ in range(3)))
    kit.run("INSERT INTO audit VALUES (1, 1, ?, 'a', 'b', 'c', NULL)", now_ms())
    assert collect(kit, now=now_ms()).expired == 0
    assert collect(kit, now=now_ms() + DAY_MS + 1000).expired == 3
    assert collect(kit, now=now_ms() + 15 * DAY_MS).expired == 3
    assert collect(kit, now=now_ms() + 366 * DAY_MS).expired == 1
    assert kit.rows("SELECT count(*) FROM trace") == [(0,)]
    assert kit.problems() == []


def test_more_rows_than_one_step_takes_all_expire(kit: Kit) -> None:
    """Step by step until none is left."""
    rows = [(number, 1, 1, "a", "b", "c") for number in range(1234)]
    with kit.storage.write() as tx:
        kit.storage.execute_many(tx, "INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, NULL)", rows)
    assert collect(kit).expired == 1234


def test_rule_c2_a_mostly_dead_segment_is_compacted_and_then_deleted(kit: Kit) -> None:
    """What lives in it is copied and found again; the next run deletes the file."""
    ann, bob = kit.account("ann@example.org"), kit.account("bob@example.org")
    kit.store(*(kit.mail(ann) for _ in range(9)), kit.mail(bob))  # one segment: they roll between batches
    [(before,)] = kit.rows("SELECT DISTINCT substr(location, 3, 27) FROM blob")
    remove(kit, "ann@example.org")
    kit.store(kit.mail(bob))
    first = collect(kit)
    assert (first.blobs, first.moved, first.segments) == (9, 1, 0)
    assert kit.problems() == []
    assert (before,) not in kit.rows("SELECT substr(location, 3, 27) FROM blob")
    assert (kit.settings.blobs.path / "segments" / f"{before}.sealed").exists()
    assert collect(kit).segments == 1
    assert not (kit.settings.blobs.path / "segments" / f"{before}.sealed").exists()
    assert kit.problems() == []


def test_rule_c2_a_segment_half_alive_is_left(kit: Kit) -> None:
    """Copying it would cost more than it gives."""
    ann, bob = kit.account("ann@example.org"), kit.account("bob@example.org")
    kit.store(*(kit.mail(ann) for _ in range(3)), *(kit.mail(bob) for _ in range(4)))
    kit.store(kit.mail(bob))
    remove(kit, "ann@example.org")
    assert collect(kit).moved == 0


def test_rule_c2_young_and_unsealed_segments_are_not_touched(kit: Kit) -> None:
    """Their writer may still be about to commit."""
    ann = kit.account("ann@example.org")
    kit.store(*(kit.mail(ann) for _ in range(3)))
    remove(kit, "ann@example.org")
    assert collect(kit).segments == 0  # unsealed
    kit.blobs.put_many([Bytes.of(b"rolls")])
    assert collect(kit, Ages(condemned_s=-1, leftover_s=-1)).segments == 0  # sealed just now
    assert collect(kit).segments == 1


def test_trap_d6_a_damaged_record_keeps_its_segment_and_stops_nothing(kit: Kit) -> None:
    """It cannot be copied; its neighbours are, and the file stays for whoever can mend it."""
    ann, bob = kit.account("ann@example.org"), kit.account("bob@example.org")
    kept = kit.mail(bob)
    kit.store(*(kit.mail(ann) for _ in range(9)), kept, kit.mail(bob))
    kit.store(kit.mail(bob))
    [(location,)] = kit.rows("SELECT location FROM blob WHERE sha256 = ?", kept.content.sha256)
    _, name, offset, length = str(location).split(":")
    path = kit.settings.blobs.path / "segments" / f"{name}.sealed"
    data = bytearray(path.read_bytes())
    data[int(offset) + int(length) - 3] ^= 255
    path.write_bytes(data)
    remove(kit, "ann@example.org")
    assert collect(kit).moved == 1
    assert collect(kit).segments == 0
    assert path.exists()
    assert kit.rows("SELECT location FROM blob WHERE sha256 = ?", kept.content.sha256) == [(location,)]
    assert len(kit.problems()) == 1


def test_only_one_collects_at_a_time(kit: Kit) -> None:
    """A second one is told so and does nothing."""
    with kit.storage.alone("gc"), pytest.raises(Locked):
        collect(kit)
    assert collect(kit).accounts == 0


@pytest.mark.parametrize("site_settings", ["postgresql"], indirect=True)
def test_a_collection_whose_lock_the_database_lost_leaves_the_rest_to_another(kit: Kit) -> None:
    """At the next step, before it deletes what it has seen."""
    kit.store(kit.mail(kit.account("ann@example.org")))
    remove(kit, "ann@example.org")
    others = list[Collected]()

    def rest(_: float) -> None:
        if not others:
            end_sessions_with_locks(kit.settings.database.url)
            others.append(collect(kit))

    with pytest.raises(Locked):
        Collection(kit.storage, kit.blobs, AT_ONCE, rest=rest).run()
    assert (len(others), others[0].accounts) == (1, 1)
    assert kit.problems() == []


def test_rule_c2_a_row_that_changed_meanwhile_keeps_its_new_place(kit: Kit) -> None:
    """Two compactors: the one who comes second copied for nothing."""
    ann = kit.account("ann@example.org")
    one = kit.mail(ann)
    kit.store(one)
    [(location,)] = kit.rows("SELECT location FROM blob")
    place = collecting.Place(key=(one.content.sha256, 1), location=Locator(str(location)), live=True)
    copies = kit.blobs.put_many([one.content, one.content])
    for copy in copies:
        with kit.storage.write() as tx:
            collecting.relocate(kit.storage, tx, [(place, copy)])
    assert kit.rows("SELECT location FROM blob") == [(copies[0],)]
    assert kit.problems() == []


def test_steps_stay_small_when_the_database_is_slow(kit: Kit) -> None:
    """Rule D2: collection rests after each step for as long as that took, at most 50 ms."""
    ann = kit.account("ann@example.org")
    kit.store(*(kit.mail(ann) for _ in range(300)))
    remove(kit, "ann@example.org")
    rests: list[float] = []
    Collection(kit.storage, kit.blobs, AT_ONCE, rest=rests.append).run()
    assert len(rests) >= 6
    assert all(0 <= rest <= 0.05 for rest in rests)


def test_a_store_without_segments_is_collected_too(site_settings: Settings) -> None:
    """Of the memory store only rows and bytes go."""
    with open_kit(site_settings, memory=True) as kit:
        kit.domain()
        ann = kit.account("ann@example.org")
        kit.store(*(kit.mail(ann) for _ in range(5)))
        remove(kit, "ann@example.org")
        done = collect(kit)
        assert (done.blobs, done.moved, done.segments) == (5, 0, 0)
        assert not isinstance(kit.blobs, FsBlobStore)
        assert kit.blobs.free_bytes()[0] == kit.blobs.free_bytes()[1]


def test_a_run_ends_between_two_steps_when_the_process_is_to_stop(kit: Kit) -> None:
    """What it did stays done, the next run does the rest."""
    ann = kit.account("ann@example.org")
    kit.store(*(kit.mail(ann) for _ in range(300)))
    remove(kit, "ann@example.org")
    stopping = threading.Event()
    with pytest.raises(Stopped):
        Collection(kit.storage, kit.blobs, AT_ONCE, rest=lambda _: stopping.set(), stopping=stopping).run()
    [(left,)] = kit.rows("SELECT count(*) FROM message")
    assert left in range(1, 300)
    assert collect(kit).messages == left
