"""Ids and the leases of process numbers, on both databases (rule A4)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mairust_core.errors import TooMany
from mairust_core.ids import EPOCH_MS, PROCESSES, IdSource, first_id, now_ms
from mairust_core.store import process_numbers
from mairust_core.store.process_numbers import LEASE_MS
from tests.support import forks
from tests.support.stores import Kit

ROOT = Path(__file__).parents[3]
HOLDER = """
import sys
from mairust_core.store import open_storage, process_numbers
storage = open_storage(sys.argv[1])
ids = process_numbers.lease(storage)
print(ids.process, flush=True)
sys.stdin.readline()
print(*(int(ids.next()) for _ in range(500)), flush=True)
if sys.argv[2] == "return":
    process_numbers.give_back(storage, ids)
storage.close()
"""


class Clock:
    """A clock that a test sets."""

    def __init__(self, ms: int) -> None:
        self.ms = ms

    def __call__(self) -> int:
        return self.ms


def test_rule_a4_a_number_returned_is_free_once_its_last_millisecond_has_passed(kit: Kit) -> None:
    """Before that the next process gets another number; ids never meet."""
    clock = Clock(now_ms() + 10_000)
    first = process_numbers.lease(kit.storage, clock)
    last = max(first.next() for _ in range(5000))  # more than one millisecond holds: it runs ahead
    process_numbers.give_back(kit.storage, first)
    assert first.last_ms > clock.ms
    assert process_numbers.lease(kit.storage, clock).process != first.process
    clock.ms = first.last_ms + 1
    again = process_numbers.lease(kit.storage, clock)
    assert again.process == first.process
    assert again.next() > last


def test_rule_a4_a_number_left_behind_is_free_after_an_hour(kit: Kit) -> None:
    """Not a millisecond earlier."""
    clock = Clock(now_ms())
    first = process_numbers.lease(kit.storage, clock)
    clock.ms += LEASE_MS
    assert process_numbers.lease(kit.storage, clock).process != first.process
    clock.ms += 1
    assert process_numbers.lease(kit.storage, clock).process == first.process


def test_rule_a4_a_lease_that_is_renewed_does_not_end(kit: Kit) -> None:
    """However long the process lives."""
    clock = Clock(now_ms())
    first = process_numbers.lease(kit.storage, clock)
    for _ in range(3):
        clock.ms += LEASE_MS
        process_numbers.renew(kit.storage, first)
    clock.ms += LEASE_MS
    assert process_numbers.lease(kit.storage, clock).process != first.process


def test_rule_a4_a_clock_that_went_back_frees_nothing(kit: Kit) -> None:
    """A returned number waits until its last millisecond has passed, a leased one until its hour has."""
    clock = Clock(now_ms())
    first = process_numbers.lease(kit.storage, clock)
    first.next()
    process_numbers.give_back(kit.storage, first)
    clock.ms -= 100_000
    second = process_numbers.lease(kit.storage, clock)
    third = process_numbers.lease(kit.storage, clock)
    assert len({first.process, second.process, third.process}) == 3


def test_rule_a4_who_lost_the_number_takes_a_new_one(kit: Kit) -> None:
    """A process that slept over its lease renews: it goes on under another number, upwards."""
    clock = Clock(now_ms())
    sleeper = process_numbers.lease(kit.storage, clock)
    before = sleeper.next()
    clock.ms += LEASE_MS + 1
    kit.run(
        "UPDATE process_number SET holder = 'another', leased_ms = ? WHERE number = ?",
        clock.ms,
        sleeper.process,
    )
    taken = sleeper.process
    process_numbers.renew(kit.storage, sleeper)
    assert sleeper.process != taken
    assert sleeper.next() > before
    process_numbers.give_back(kit.storage, sleeper)
    assert kit.rows("SELECT holder FROM process_number WHERE number = ?", taken) == [("another",)]


def test_rule_a4_when_all_numbers_are_used_it_says_so(kit: Kit) -> None:
    """And the first that is free again is taken."""
    now = now_ms()
    with kit.storage.write() as tx:
        kit.storage.execute_many(
            tx,
            "INSERT INTO process_number (number, last_ms, leased_ms, holder) VALUES (?, 0, ?, 'x')"
            " ON CONFLICT (number) DO NOTHING",
            [(number, now) for number in range(PROCESSES)],
        )
    with pytest.raises(TooMany):
        process_numbers.lease(kit.storage)
    kit.run("UPDATE process_number SET leased_ms = NULL WHERE number = 700")
    assert process_numbers.lease(kit.storage).process == 700


@pytest.mark.parametrize("ending", ["return", "leave"])
def test_rule_a4_processes_at_once_never_share_a_number(kit: Kit, ending: str) -> None:
    """Four real processes lease at the same moment; their ids are all different."""
    command = [sys.executable, "-c", HOLDER, kit.settings.database.url, ending]
    pipe = subprocess.PIPE
    running = [
        forks.Popen[str](command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe, text=True) for _ in range(4)
    ]
    try:
        numbers = [int(process.stdout.readline()) for process in running if process.stdout]
        ids = [
            int(text) for process in running for text in process.communicate("go\n", timeout=60)[0].split()
        ]
    finally:
        for process in running:
            process.kill()
            process.communicate()
    assert len(set(numbers)) == 4
    assert kit.ids.process not in numbers
    assert len(set(ids)) == len(ids) == 2000


def test_rule_a4_time_never_goes_back_inside_a_process() -> None:
    """Ids ascend while the clock jumps about; a used-up millisecond borrows from the next."""
    clock = Clock(EPOCH_MS + 1_000_000)
    source = IdSource(5, clock=clock)
    found = []
    for step in (0, 5, -1000, 3, -1, 10_000, -20_000):
        clock.ms += step
        found += [source.next() for _ in range(3000)]
    assert found == sorted(set(found))
    assert {(one >> 12) & 1023 for one in found} == {5}


def test_rule_a4_a_new_holder_begins_after_the_last_one() -> None:
    """Also when its clock is behind."""
    old = IdSource(9, clock=Clock(EPOCH_MS + 5000))
    last = old.next()
    new = IdSource(9, old.last_ms, clock=Clock(EPOCH_MS + 4000))
    assert new.next() > last


def test_a_process_number_has_ten_bits() -> None:
    """Others are refused."""
    for number in (-1, PROCESSES):
        with pytest.raises(ValueError, match="process number"):
            IdSource(number)


def test_rule_a4_the_least_id_of_a_time_divides_ids_by_age() -> None:
    """Earlier ids are less than it, later ones are not; times no id can have are the ends."""
    at_ms = 1_790_000_000_000
    before = IdSource(PROCESSES - 1, clock=Clock(at_ms - 1)).next()
    assert before < first_id(at_ms) == IdSource(0, clock=Clock(at_ms)).next()
    assert (first_id(-1), first_id(10**15)) == (0, (1 << 63) - 1)
