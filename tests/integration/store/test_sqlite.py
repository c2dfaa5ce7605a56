"""What only SQLite has: the write lock, the checkpoint, two drivers, a full disk (rules D1, D2; trap S12)."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from mairust_core.app import opened
from mairust_core.errors import DiskFull, StorageDown
from mairust_core.model.delivery import Stored
from mairust_core.store.sqlite import CHECKPOINT_BYTES, LOG_BYTES, corruption_fixed, driver
from tests.support.stores import Kit, open_kit, settings_for

ROOT = Path(__file__).parents[3]
MIB = 1 << 20


@pytest.fixture
def kit(tmp_path: Path) -> Iterator[Kit]:
    """An open SQLite site with a domain."""
    with open_kit(settings_for(tmp_path / "site")) as made:
        made.domain()
        yield made


def is_locked(kit: Kit) -> bool:
    """Whether somebody holds the write lock."""
    fd = os.open(kit.settings.data_dir / "write.lock", os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def fill(kit: Kit, account: int, size_bytes: int) -> None:
    """Write about that much into the database itself."""
    with kit.storage.write() as tx:
        kit.storage.execute_many(
            tx,
            "INSERT INTO audit VALUES (?, 1, 0, 'a', 'b', ?, NULL)",
            [(kit.ids.next(), "x" * 10_000) for _ in range(size_bytes // 10_000)],
        )


def test_rule_d2_the_lock_is_held_from_begin_to_commit_and_during_the_checkpoint(kit: Kit) -> None:
    """Every statement that may write the file runs under it; afterwards it is free."""
    seen: dict[str, set[bool]] = {}
    held: list[bool] = []

    def trace(statement: str) -> None:
        words = statement.split("(")
        kind = statement if statement.startswith("PRAGMA") else words[0].split()[0]
        seen.setdefault(kind, set()).add(is_locked(kit))

    def connected(connection: Any, _: object) -> None:
        connection.set_trace_callback(trace)

    kit.storage.engine.dispose()
    event.listen(kit.storage.engine, "connect", connected)
    ann = kit.account("ann@example.org")
    for _ in range(3):
        fill(kit, ann, 8 * MIB)
    with kit.storage.write():
        held.append(is_locked(kit))
    held.append(is_locked(kit))
    assert held == [True, False]
    assert seen["INSERT"] == seen["COMMIT"] == {True}
    assert seen["PRAGMA wal_checkpoint(PASSIVE)"] == {True}


def test_rule_d2_the_lock_is_free_after_a_failed_transaction(kit: Kit) -> None:
    """Whatever went wrong inside."""
    with pytest.raises(StorageDown), kit.storage.write() as tx:
        kit.storage.execute_many(tx, "INSERT INTO nowhere VALUES (?)", [(1,)])
    assert not is_locked(kit)
    fill(kit, 0, 10_000)


def test_rule_d2_the_log_stays_bounded(kit: Kit) -> None:
    """A hundred megabytes later it is not much longer than what lies between two checkpoints."""
    log = Path(f"{kit.settings.database.sqlite_path}-wal")
    for _ in range(50):
        fill(kit, 0, 2 * MIB)
    assert log.stat().st_size < CHECKPOINT_BYTES + 8 * MIB


def test_rule_d2_a_reader_delays_the_checkpoint_and_nothing_else(kit: Kit) -> None:
    """While it reads the log grows; soon after it ended the log begins anew."""
    log = Path(f"{kit.settings.database.sqlite_path}-wal")
    with kit.storage.read() as tx:
        assert kit.storage.fetch_all(tx, "SELECT count(*) FROM audit", ()) == [(0,)]
        for _ in range(15):
            fill(kit, 0, 2 * MIB)
        assert kit.storage.fetch_all(tx, "SELECT count(*) FROM audit", ()) == [(0,)]
    grown = log.stat().st_size
    for _ in range(20):
        fill(kit, 0, 2 * MIB)
    assert log.stat().st_size <= grown + CHECKPOINT_BYTES


def test_only_who_writes_keeps_many_pages(kit: Kit) -> None:
    """Dozens of connections read: what each of them keeps is small, also after it wrote."""
    asked = "PRAGMA cache_size"
    for _ in range(2):
        with kit.storage.read() as one, kit.storage.read() as other:
            kept = [kit.storage.fetch_all(tx, asked, ()) for tx in (one, other)]
            assert kept == [[(-2000,)], [(-2000,)]]
        with kit.storage.write() as tx:
            assert kit.storage.fetch_all(tx, asked, ()) == [(-16_000,)]


def _grow_log(kit: Kit) -> Path:
    """Write half as much again as the log may keep, while somebody reads; the log."""
    with kit.storage.read() as tx:
        assert kit.storage.fetch_all(tx, "SELECT count(*) FROM audit", ()) == [(0,)]
        for _ in range(LOG_BYTES * 3 // 2 // (8 * MIB)):
            fill(kit, 0, 8 * MIB)
    log = Path(f"{kit.settings.database.sqlite_path}-wal")
    assert log.stat().st_size > LOG_BYTES
    return log


def test_a_log_that_begins_anew_is_cut(kit: Kit) -> None:
    """What a long reader made of it does not stay: two commits later it has its usual length."""
    log = _grow_log(kit)
    for _ in range(3):
        fill(kit, 0, 10_000)
    assert log.stat().st_size <= LOG_BYTES
    assert kit.problems() == []


def test_collection_cuts_a_long_log_when_nobody_reads(kit: Kit) -> None:
    """Not while somebody does, for whom it does not wait either: mail would wait for both."""
    log = _grow_log(kit)
    with opened(kit.settings) as site:
        with kit.storage.read() as tx:
            kit.storage.fetch_all(tx, "SELECT count(*) FROM audit", ())
            site.collect()
            assert log.stat().st_size > LOG_BYTES
            fill(kit, 0, 10_000)
        site.collect()
        assert log.stat().st_size < MIB
        assert not is_locked(kit)
    assert kit.problems() == []


@pytest.mark.parametrize(
    ("version", "fixed"),
    [
        ((3, 51, 3), True),
        ((3, 53, 0), True),
        ((4, 0, 0), True),
        ((3, 51, 2), False),
        ((3, 50, 7), True),
        ((3, 50, 6), False),
        ((3, 44, 6), True),
        ((3, 44, 5), False),
        ((3, 45, 1), False),
        ((3, 40, 1), False),
    ],
)
def test_rule_d1_which_versions_are_safe_is_known(version: tuple[int, ...], fixed: bool) -> None:
    """The WAL-reset fault was mended in three lines of versions."""
    assert corruption_fixed(version) is fixed


def test_rule_d1_the_bundled_driver_is_safe() -> None:
    """Where it has a wheel, it is the one in use unless the environment says otherwise."""
    assert corruption_fixed(driver().sqlite_version_info) or driver().__name__ == "sqlite3"


def test_rule_d1_the_standard_librarys_driver_passes_the_same_tests(tmp_path: Path) -> None:
    """Once, in a process of its own, with `MAIRUST_SQLITE=stdlib`."""
    suites = [
        f"tests/contract/store/{name}"
        for name in ("test_ingest.py", "test_backend.py", "test_collection.py", "test_jobs.py")
    ]
    options = ["-n", "0", "-q", "-p", "no:cacheprovider", "-k", "sqlite and not memory"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, f"--basetemp={tmp_path / 'stdlib'}", *suites],
        cwd=ROOT,
        env={**os.environ, "MAIRUST_SQLITE": "stdlib"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert " passed" in done.stdout


def test_trap_s12_a_full_database_refuses_for_now_and_goes_on_when_there_is_room(kit: Kit) -> None:
    """452, nothing half stored; the next write after room is back works without a restart."""
    ann = kit.account("ann@example.org")
    limit = [int(str(kit.rows("PRAGMA page_count")[0][0])) + 20]

    def connected(connection: Any, _: object) -> None:
        connection.execute(f"PRAGMA max_page_count={limit[0]}")

    kit.storage.engine.dispose()
    event.listen(kit.storage.engine, "connect", connected)
    batches = [[kit.mail(ann) for _ in range(20)] for _ in range(10)]
    outcomes = [one for batch in batches for one in kit.commit(*batch)]
    failed = [one for one in outcomes if not isinstance(one, Stored)]
    assert failed
    assert all(isinstance(one, DiskFull) and one.reply.code == 452 for one in failed)
    assert kit.rows("SELECT count(*) FROM message") == [(len(outcomes) - len(failed),)]
    limit[0] += 100_000
    kit.storage.engine.dispose()
    kit.store(*batches[-1])
    assert kit.problems() == []


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from mairust_core.model.delivery import Stored
from tests.support.stores import open_kit, settings_for
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with open_kit(settings_for(Path(sys.argv[1])), memory=True) as kit:
    kit.domain()
    ann = kit.account("ann@example.org")
    kit.store(kit.mail(ann))
    log = Path(f"{kit.settings.database.sqlite_path}-wal")
    soft = log.stat().st_size + 100_000
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, resource.RLIM_INFINITY))
    outcomes = [one for _ in range(20) for one in kit.commit(*(kit.mail(ann) for _ in range(10)))]
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    stored = sum(isinstance(one, Stored) for one in outcomes)
    codes = {one.reply.code for one in outcomes if not isinstance(one, Stored)}
    kit.store(*(kit.mail(ann) for _ in range(10)))
    print(stored, len(outcomes), *codes)
    print(kit.rows("SELECT count(*) FROM message")[0][0] == stored + 11, kit.problems())
"""


def test_trap_s12_a_write_the_kernel_refuses_loses_nothing_that_was_answered(tmp_path: Path) -> None:
    """The log cannot grow: 4xx from then on, all that was stored is there, and it works again with room."""
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path / "site")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    counts, whole = done.stdout.strip().splitlines()
    stored, total, *codes = map(int, counts.split())
    assert 0 < stored < total
    assert all(400 <= code < 500 for code in codes)
    assert whole == "True []"
