"""Trap D4 and requirement B-8: workers that are killed or frozen lose no job, and none runs twice at a time.

Every handler writes its beginning and its end into a file that outlives its process; afterwards the runs of
each job are laid side by side. `MAIRUST_JOB_KILLS` (8) workers are killed on each database.
"""

from __future__ import annotations

import os
import random
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from mairust_core.ids import IdSource
from mairust_core.model.job import NewJob
from mairust_core.store import StorageBackend, jobs, leases, open_storage, process_numbers
from tests.support.invariants import check_site
from tests.support.job_process import Node, Run, overlaps, runs
from tests.support.jobs import states
from tests.support.processes import gone
from tests.support.server import Server, Site

KILLS = int(os.environ.get("MAIRUST_JOB_KILLS", "8"))
JOBS = 240
PATIENCE_S = 120.0
STEADFAST = 100
"""Attempts of jobs whose workers are killed all the time."""


class Queue:
    """The queue of a site and the nodes that serve it."""

    def __init__(self, site: Site, log: Path) -> None:
        self.settings = site.settings()
        self.log = log
        self.storage: StorageBackend = open_storage(self.settings.database.url)
        self.ids: IdSource = process_numbers.lease(self.storage)
        self.nodes: list[Node] = []
        self.deaths: dict[int, int] = {}

    def make(self, kind: str, count: int = 1, *, ms: int = 0, max_attempts: int = STEADFAST) -> None:
        """Make some jobs."""
        new = NewJob(kind=kind, payload={"ms": ms}, max_attempts=max_attempts)
        with self.storage.write() as tx:
            jobs.enqueue(self.storage, tx, self.ids, [new] * count)

    def node(self, *, threads: int = 2, lease_s: float = 2.0) -> Node:
        """Start a node."""
        self.nodes.append(Node(self.settings, self.log, threads=threads, lease_s=lease_s).go())
        return self.nodes[-1]

    def kill(self, node: Node) -> None:
        """Kill a node, and remember when it was gone."""
        self.nodes.remove(node)
        self.deaths[node.pid] = node.kill()

    def until(self, true: Callable[[], bool], what: str) -> None:
        """Wait until something is so."""
        deadline = time.monotonic() + PATIENCE_S
        while not true():
            assert time.monotonic() < deadline, f"{what} did not happen: {dict(states(self.storage))}"
            time.sleep(0.02)

    def done(self) -> int:
        """How many jobs are."""
        return states(self.storage).get("done", 0)

    def runs(self) -> dict[int, list[Run]]:
        """What happened to each job."""
        return runs(self.log)


@pytest.fixture
def queue(site: Site, tmp_path: Path) -> Iterator[Queue]:
    """The queue of a fresh site, on each database; its nodes are killed at the end."""
    made = Queue(site, tmp_path / "runs")
    with closing(made.storage):
        yield made
        for node in made.nodes:
            node.kill()
        assert check_site(made.settings) == []


def test_trap_d4_killed_workers_lose_no_job_and_none_runs_twice_at_a_time(
    queue: Queue, rng: random.Random
) -> None:
    """Two nodes; again and again one of them dies at a random moment and another comes."""
    queue.make("note", JOBS, ms=15)
    queue.make("empty", JOBS)
    queue.node()
    queue.node(threads=3)
    for _ in range(KILLS):
        _let_go_on(queue)
        time.sleep(rng.uniform(0, 0.1))
        queue.kill(rng.choice(queue.nodes))
        queue.node()
    queue.until(lambda: queue.done() == 2 * JOBS, "the end of all jobs")
    found = queue.runs()
    assert len(found) == 2 * JOBS
    assert any(len(mine) > 1 for mine in found.values())  # the kills did hit
    assert overlaps(found, queue.deaths) == []
    assert all(any(run.ended is not None for run in mine) for mine in found.values())


def _let_go_on(queue: Queue) -> None:
    before = queue.done()
    queue.until(lambda: queue.done() > before or before == 2 * JOBS, "progress")


def test_trap_d4_a_frozen_worker_finds_its_job_done_by_another(queue: Queue) -> None:
    """Stopped past its lease and continued, it ends its handler, and what it says of the job is refused."""
    frozen = queue.node(threads=1)
    queue.make("note", ms=1500)
    queue.until(lambda: len(queue.runs()) == 1, "the beginning")
    frozen.send(signal.SIGSTOP)
    other = queue.node(threads=1)
    queue.until(lambda: queue.done() == 1, "the end by the other")
    frozen.send(signal.SIGCONT)
    [mine] = queue.runs().values()
    assert [(run.pid, run.fence) for run in mine] == [(frozen.pid, 1), (other.pid, 2)]
    queue.until(lambda: all(run.ended for mine in queue.runs().values() for run in mine), "both ends")
    assert "its lease was lost" in frozen.stop()
    assert "its lease was lost" not in other.stop()
    assert states(queue.storage) == {"done": 1}


def test_trap_d4_a_job_that_kills_its_workers_is_dead_in_the_end(queue: Queue) -> None:
    """It does not go round for ever, and takes no other job with it."""
    queue.make("poison", max_attempts=1)
    queue.make("empty", 20)
    for _ in range(1 + leases.LEASES_LOST):
        node = queue.node(lease_s=0.5)
        node.process.wait(PATIENCE_S)
        queue.kill(node)
    queue.node(lease_s=0.5)
    queue.until(lambda: states(queue.storage) == {"dead": 1, "done": 20}, "the end")
    assert overlaps(queue.runs(), queue.deaths) == []


def test_a_node_that_ends_in_good_order_leaves_nothing_running(queue: Queue) -> None:
    """What it has begun is done, the rest is ready for others."""
    queue.make("note", 40, ms=30)
    node = queue.node()
    queue.until(lambda: queue.done() >= 4, "a beginning")
    node.stop()
    left = states(queue.storage)
    assert left["ready"] + left["done"] == 40
    assert all(run.ended for mine in queue.runs().values() for run in mine)
    queue.node()
    queue.until(lambda: queue.done() == 40, "the rest")
    assert overlaps(queue.runs(), queue.deaths) == []
    assert all(len(mine) == 1 for mine in queue.runs().values())


@pytest.mark.parametrize("workers", [1, 2])
def test_serve_runs_jobs_and_its_schedules(site: Site, workers: int) -> None:
    """Also after its workers were killed; and it ends in good time with none left running."""
    with closing(open_storage(site.settings().database.url)) as storage:
        ids = process_numbers.lease(storage)

        def collected() -> int:
            with storage.read() as tx:
                [(count,)] = storage.fetch_all(tx, "SELECT count(*) FROM job WHERE state = 'done'", ())
            return int(count)

        def make() -> None:
            with storage.write() as tx:
                jobs.enqueue(storage, tx, ids, [NewJob(kind="gc"), NewJob(kind="jobs.purge")])

        make()
        with Server(site=site, workers=workers) as server:
            _until(lambda: collected() >= 2, server)
            if workers > 1:
                killed = [*server.worker_pids, *server.keeper_pids, *server.jobs_pids]
                for pid in server.worker_pids:
                    os.kill(pid, signal.SIGKILL)
                _until(lambda: all(map(gone, killed)), server)  # else it may lease one more as it dies
                make()
                _until(lambda: collected() >= 4, server)
            assert server.terminate() == 0
        with storage.read() as tx:
            names = storage.fetch_all(tx, "SELECT name FROM schedule ORDER BY name", ())
            assert names == [("gc",), ("jobs.purge",), ("plugins.health",)]
        assert states(storage).get("running", 0) == 0
    assert re.search(r"collected: ", server.stderr())


def test_serve_without_job_workers_runs_none(site: Site) -> None:
    """`jobs.workers = 0`: they wait for a node that does."""
    with closing(open_storage(site.settings().database.url)) as storage:
        ids = process_numbers.lease(storage)
        with storage.write() as tx:
            jobs.enqueue(storage, tx, ids, [NewJob(kind="gc")])
        with Server(site=site, env={"MAIRUST_JOBS__WORKERS": "0"}) as server:
            assert server.terminate() == 0
        assert states(storage) == {"ready": 1}


def _until(true: Callable[[], bool], server: Server) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, server.stderr()
        time.sleep(0.05)
