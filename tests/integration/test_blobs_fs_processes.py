"""Several processes on one directory, and processes that die (rules C2, C3, C5, trap D2)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mairust_core.blobs.fileops import FileOps
from mairust_core.blobs.fs import FsBlobStore
from mairust_core.model.blob import Bytes, Locator
from mairust_core.observe.faults import STEPS
from tests.support import forks

ROOT = Path(__file__).parents[2]
OUR_STEPS = [step.name for step in STEPS if step.name.startswith(("segment.", "file."))]
Acknowledged = list[tuple[Locator, bytes]]


def start(directory: Path, batches: int, *more: int, crash_at: str = "") -> subprocess.Popen[str]:
    """A writer in a process of its own."""
    command = [
        sys.executable,
        "-m",
        "tests.support.blob_writer",
        str(directory),
        str(batches),
        *map(str, more),
    ]
    environment = {**os.environ, "MAIRUST_CRASH_AT": crash_at}
    return forks.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> Acknowledged:
    """What it acknowledged until its end; a line cut by the end counts as none."""
    out, _ = process.communicate(timeout=60)
    lines = [line for line in out.splitlines(keepends=True) if line.endswith("\n")]
    return [(Locator(where), bytes.fromhex(sha)) for line in lines for where, sha in json.loads(line)]


def check(directory: Path, acknowledged: Acknowledged) -> FsBlobStore:
    """A fresh store on the directory, with which all of it is readable and writing goes on."""
    store = FsBlobStore(directory)
    for locator, sha256 in acknowledged:
        store.get(locator, sha256)
    content = Bytes.of(b"after")
    [locator] = store.put_many([content])
    assert store.get(locator, content.sha256) == b"after"
    return store


@pytest.mark.parametrize("nth", [1, 3])
@pytest.mark.parametrize("step", OUR_STEPS)
def test_rule_c3_killed_at_a_crash_point_everything_acknowledged_is_there(
    tmp_path: Path, step: str, nth: int
) -> None:
    """SIGKILL at every step: what `put_many` returned is readable, leftovers are found, writing goes on."""
    process = start(tmp_path, 5, crash_at=f"{step}:{nth}")
    acknowledged = finish(process)
    assert process.returncode == -signal.SIGKILL
    assert len(acknowledged) == (nth - 1) * 5
    store = check(tmp_path, acknowledged)
    store.discard_abandoned(-1)
    assert list((tmp_path / "tmp").iterdir()) == []
    published = {locator for locator, _ in acknowledged if locator.startswith("f:")}
    assert published <= set(store.locators_of_files(-1))
    store.close()
    store.seal_abandoned()
    assert list((tmp_path / "segments").glob("*.seg")) == []


def test_rule_c2_processes_at_once_write_segments_of_their_own(tmp_path: Path) -> None:
    """Three writers that roll after every batch: no record overlaps another, all are readable."""
    acknowledged = [finish(process) for process in [start(tmp_path, 8) for _ in range(3)]]
    check(tmp_path, [pair for one in acknowledged for pair in one]).close()
    locators = [locator for one in acknowledged for locator, _ in one]
    assert len(set(locators)) == len(locators) == 3 * 8 * 5
    store = FsBlobStore(tmp_path)
    store.seal_abandoned()
    records = [record.locator for name in store.sealed(-1) for record in store.records(name)]
    assert {locator for locator in locators if locator.startswith("s:")} <= set(records)


def test_rule_c2_a_living_process_keeps_its_lease_a_killed_one_loses_it(tmp_path: Path) -> None:
    """Its segment cannot be leased or sealed while it lives, even stopped; after a kill it can."""
    process = start(tmp_path, 10_000, 1 << 30)
    assert process.stdout is not None
    first = json.loads(process.stdout.readline())[0][0].split(":")[1]
    process.send_signal(signal.SIGSTOP)
    other = FsBlobStore(tmp_path)
    assert other.seal_abandoned() == []
    assert other.put_many([Bytes.of(b"x")])[0].split(":")[1] != first
    process.kill()
    acknowledged = finish(process)
    assert other.seal_abandoned() == [first]
    other.close()
    check(tmp_path, acknowledged).close()


def test_rule_c2_a_forked_child_leases_its_own_segment(tmp_path: Path) -> None:
    """A fork inherits the descriptor but not the lease; the parent goes on in its segment."""
    script = """
import os, sys
from pathlib import Path
from mairust_core.blobs.fs import FsBlobStore
from mairust_core.model.blob import Bytes
store = FsBlobStore(Path(sys.argv[1]))
put = lambda text: print(store.put_many([Bytes.of(text)])[0].split(":")[1], flush=True)
put(b"before")
if os.fork() == 0:
    put(b"child")
    store.close()
    os._exit(0)
os.wait()
put(b"parent")
"""
    out = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split()
    before, child, parent = out
    assert before == parent != child


class Interrupted(FileOps):
    """Lets something happen between the making of a segment and its lease."""

    def __init__(self, meanwhile: Callable[[], object]) -> None:
        self._meanwhile = [meanwhile]

    def open(self, path: Path, flags: int) -> int:
        fd = super().open(path, flags)
        if flags & os.O_EXCL and path.suffix == ".seg" and self._meanwhile:
            self._meanwhile.pop()()
        return fd


@pytest.mark.parametrize("sealed", [False, True])
def test_rule_c3_a_new_segment_that_another_process_leases_first_is_not_written_over(
    tmp_path: Path, sealed: bool
) -> None:
    """It wrote there and let go, or it was sealed: both mails are there, whoever wrote first."""
    first, second = Bytes.of(b"the other's mail"), Bytes.of(b"a mail that is somewhat longer")
    other, found = FsBlobStore(tmp_path), []

    def meanwhile() -> None:
        found.extend(other.put_many([first]))
        other.close()
        if sealed:
            assert other.seal_abandoned() != []

    store = FsBlobStore(tmp_path, ops=Interrupted(meanwhile))
    found += store.put_many([second])
    assert [store.get(at, one.sha256) for at, one in zip(found, (first, second), strict=True)] == [
        b"the other's mail",
        b"a mail that is somewhat longer",
    ]
    store.close()
