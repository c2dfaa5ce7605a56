"""Known trouble refuses mail before a byte is written (rule J3, trap S12)."""

from __future__ import annotations

import pytest

from mairust_core.disk import FREE_BYTES
from mairust_core.errors import DiskFull, StorageDown
from mairust_core.receive.health import Health

GIB = 1 << 30


def make(free: int = 100 * GIB, total: int = 200 * GIB) -> Health:
    """Health over a disk with that much room and a database that answers."""
    return Health(lambda: (free, total), lambda: None)


@pytest.mark.parametrize(
    ("free", "total", "refused"),
    [
        (FREE_BYTES, 200 * GIB, False),
        (FREE_BYTES - 1, 200 * GIB, True),
        (GIB // 2, 10 * GIB, False),
        (GIB // 2 - 1, 10 * GIB, True),
        (0, 0, False),
    ],
)
def test_rule_j3_below_the_reserve_mail_is_put_off(free: int, total: int, refused: bool) -> None:
    """The smaller of 5 % and 1 GiB is kept free."""
    assert (make(free, total).refusal() == DiskFull.reply) is refused


def test_trap_s12_a_database_that_is_down_refuses_until_it_answers_again() -> None:
    """A probe that fails changes nothing; one that succeeds lets mail in."""
    up: list[bool] = []

    def probe() -> None:
        if not up:
            raise StorageDown("error", url="x", why="gone")

    health = Health(lambda: (GIB, GIB), probe)
    assert health.refusal() is None
    health.database_failed()
    health.probe_database()
    assert health.refusal() == StorageDown.reply
    up.append(True)
    health.probe_database()
    assert health.refusal() is None


def test_a_blob_store_out_of_reach_puts_mail_off_and_raises_nothing() -> None:
    """A listener asks before every mail and must always get an answer."""

    def free_bytes() -> tuple[int, int]:
        raise StorageDown("blobs", directory="x", why="stale handle")

    assert Health(free_bytes, lambda: None).refusal() == DiskFull.reply


def test_the_disk_is_not_asked_for_every_mail() -> None:
    """Once a second is enough."""
    asked: list[int] = []

    def free_bytes() -> tuple[int, int]:
        asked.append(1)
        return GIB, GIB

    health = Health(free_bytes, lambda: None)
    for _ in range(100):
        health.refusal()
    assert len(asked) < 50


def test_a_blob_store_that_stays_out_of_reach_is_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    """It is looked at every second, and may be away for hours; when it was back it is told of again."""
    there = [True]

    def free_bytes() -> tuple[int, int]:
        if not there[-1]:
            raise StorageDown("unmounted", directory="x")
        return GIB, GIB

    health = Health(free_bytes, lambda: None, check_s=0.0)
    for now in (False, False, False, True, False, False):
        there.append(now)
        assert (health.refusal() is None) is now
    assert caplog.text.count("out of reach") == 2
