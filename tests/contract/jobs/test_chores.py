"""What a site does by itself waits for an outage to end, and is not given up for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mairust_core.app import Site
from mairust_core.chores import KINDS
from mairust_core.model.job import NewJob
from tests.contract.jobs.conftest import Start, until
from tests.contract.jobs.test_runner import shown
from tests.support.jobs import change, enqueue
from tests.support.stores import Kit

BY_NAME = {one.name: one for one in KINDS}


def nothing(_: Path) -> None:
    """Leave the place empty."""


@pytest.mark.parametrize("name", ["index", "gc"])
@pytest.mark.parametrize("instead", [Path.mkdir, nothing], ids=["empty", "missing"])
def test_a_job_waits_for_blobs_that_are_out_of_reach(
    kit: Kit, jobs_site: Site, start: Start, instead: Callable[[Path], object], name: str
) -> None:
    """Its attempt is not counted, however often it is tried; when they are back it is done."""
    kit.domain("d.example")
    kit.store(kit.mail(kit.account("ann@d.example")))
    assert jobs_site.blobs
    job = enqueue(jobs_site, NewJob(kind=name))

    def told() -> tuple[str, int, str]:
        found = shown(jobs_site, job)
        return found.state, found.attempts, found.last_error or ""

    blobs = kit.settings.blobs.path
    away = blobs.rename(blobs.with_name("away"))
    instead(blobs)
    with start.running(BY_NAME[name]):
        until(lambda: told()[2] != "", "the job's try")
    assert told()[:2] == ("ready", 0)
    if blobs.exists():
        blobs.rename(blobs.with_name("instead"))
    away.rename(blobs)
    change(kit.storage, job, run_at_ms=0)
    with start.running(BY_NAME[name]):
        until(lambda: told()[0] == "done", "the job's end")
