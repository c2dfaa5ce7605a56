"""Jobs for tests: made, given up, counted."""

from __future__ import annotations

from collections.abc import Mapping

from mairust_core.app import Site
from mairust_core.model.job import NewJob
from mairust_core.store import StorageBackend, jobs


def enqueue(site: Site, new: NewJob) -> str:
    """Make a job; its id as commands take it."""
    ids = site.ids
    with site.storage.write() as tx:
        [made] = jobs.enqueue(site.storage, tx, ids, [new])
    assert made is not None
    return str(int(made))


def kill(site: Site, job_id: str) -> None:
    """Let a job be one that failed for the last time."""
    change(site.storage, job_id, state="dead", attempts=4, finished_ms=1, last_error="TimeoutError at x.py:1")


def change(storage: StorageBackend, job_id: str, **values: object) -> None:
    """Write columns of a job."""
    sets = ", ".join(f"{name} = ?" for name in values)
    with storage.write() as tx:
        storage.execute_many(tx, f"UPDATE job SET {sets} WHERE id = ?", [(*values.values(), int(job_id))])


def states(storage: StorageBackend) -> Mapping[str, int]:
    """How many jobs are in each state."""
    with storage.read() as tx:
        return dict(storage.fetch_all(tx, "SELECT state, count(*) FROM job GROUP BY state", ()))


def workers(storage: StorageBackend) -> set[str]:
    """What those are called who have or had jobs."""
    with storage.read() as tx:
        return {worker for (worker,) in storage.fetch_all(tx, "SELECT worker FROM job", ())}
