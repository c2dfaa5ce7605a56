"""What is found of jobs that nobody does, and of a change of the master key that nobody ended."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from mairust_core.app import Site, opened
from mairust_core.config import load_settings
from mairust_core.ids import now_ms
from mairust_core.model.finding import Level
from mairust_core.model.job import NewJob
from mairust_core.running import Running, presence
from tests.integration.doctor.conftest import Examine
from tests.support.jobs import change, enqueue, kill

HOUR_MS = 3_600_000


@pytest.fixture
def site(data_dir: Path) -> Iterator[Site]:
    """The site, open."""
    with opened(load_settings(data_dir=data_dir, env={})) as site:
        yield site


def test_jobs_that_are_dead_or_held(site: Site, found: Examine) -> None:
    """Each with its number; one that is done, or waits for its time, is nothing to tell."""
    ids = [enqueue(site, NewJob(kind="x")) for _ in range(5)]
    assert not {"jobs.dead", "jobs.held"} & set(found())
    for dead in ids[:2]:
        kill(site, dead)
    for held in ids[2:]:
        change(site.storage, held, state="held")
    assert found()["jobs.dead"].what.startswith("2 jobs")
    assert found()["jobs.held"].what.startswith("3 jobs")
    for one in ids:
        change(site.storage, one, state="done", finished_ms=1)
    assert not {"jobs.dead", "jobs.held"} & set(found())


@pytest.mark.parametrize(("up_ms", "due_ms", "late"), [
    (HOUR_MS - 60_000, HOUR_MS * 9, False),
    (HOUR_MS + 60_000, HOUR_MS - 60_000, False),
    (HOUR_MS + 60_000, HOUR_MS + 60_000, True),
])  # fmt: skip
def test_a_job_that_nobody_begins(
    data_dir: Path, site: Site, found: Examine, up_ms: int, due_ms: int, late: bool
) -> None:
    """An hour after it was due, if a server has run for as long."""
    (data_dir / "run").mkdir()
    enqueue(site, NewJob(kind="x", run_at_ms=now_ms() - due_ms))
    enqueue(site, NewJob(kind="x", run_at_ms=now_ms() + HOUR_MS))
    with presence(data_dir) as here:
        here.say(Running(pid=1, version="x", started_ms=now_ms() - up_ms, workers=1))
        one = found().get("jobs.overdue")
    assert (one is not None) is late
    assert one is None or one.what.startswith("1 jobs are due, the longest waiting one since 61 minutes")
    assert "jobs.overdue" not in found(), "no server runs: that is another finding"


def test_a_rotation_that_nobody_ended(site: Site, found: Examine) -> None:
    """It was prepared only; the command that the finding names completes it."""
    with site.storage.write() as tx:
        site.secrets.put(tx, "x", b"secret")
    site.prepare_master_key()
    one = found()["master_key.rotation"]
    assert (one.level, one.mend) == (Level.WARNING, "mairust secrets rotate-master")
    assert "holds 2 master keys" in one.what
    site.rotate_master_key()
    assert not {id_ for id_ in found() if id_.startswith("master_key")}


def test_a_master_key_that_is_not_the_one_in_force(data_dir: Path, site: Site, found: Examine) -> None:
    """A file from before the last rotation, as a second machine has it; and one that holds no key."""
    file = data_dir / "master.key"
    with site.storage.write() as tx:
        site.secrets.put(tx, "x", b"secret")
    good = file.read_bytes()
    file.write_bytes(base64.b64encode(bytes(32)) + b"\n")
    assert found()["master_key.unknown"].level is Level.ERROR
    file.write_bytes(b"no key\n")
    assert found()["master_key.unusable"].level is Level.ERROR
    file.write_bytes(good)
    assert not {id_ for id_ in found() if id_.startswith("master_key")}
