"""The process beside the first worker that runs the jobs: what it owns, and that mail goes on without it."""

from __future__ import annotations

import array
import fcntl
import os
import resource
import shutil
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from mairust_core.ids import now_ms
from mairust_core.model.job import NewJob
from mairust_core.serve.children import cores
from tests.e2e.test_committing import accepts, open_files, until
from tests.support.jobs import change, enqueue, states, workers
from tests.support.processes import children, gone
from tests.support.server import END_TIMEOUT_S, Server, Site, clean_environment, make_site


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A site with four accounts."""
    return make_site(tmp_path / "site")


@pytest.fixture
def server(site: Site) -> Iterator[Server]:
    """One worker on two cores or more."""
    assert cores() > 1, "these tests need two cores"
    with Server(site=site) as running:
        yield running


def works(site: Site) -> None:
    """Make a job, and wait until it is done."""
    with site.opened() as here:
        job = enqueue(here, NewJob(kind="jobs.purge"))
        until(lambda: states(here.storage).keys() == {"done"}, f"job {job}")


def jobs_pid(server: Server) -> int:
    """The process that runs the jobs, once it is there."""
    until(lambda: server.jobs_pids, "a process of jobs")
    [pid] = server.jobs_pids
    return pid


def address_space(pid: int) -> int:
    """How much of it a process has, in bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * resource.getpagesize()


def unread(pid: int) -> int:
    """Bytes in the pipes of a process that it has not read."""
    found = 0
    for link in Path(f"/proc/{pid}/fd").iterdir():
        if int(link.name) > 2 and os.readlink(link).startswith("pipe:"):
            with open(
                link, "rb", buffering=0, opener=lambda name, how: os.open(name, how | os.O_NONBLOCK)
            ) as pipe:
                waiting = array.array("i", [0])
                fcntl.ioctl(pipe, termios.FIONREAD, waiting)
                found += waiting[0]
    return found


def test_jobs_are_run_by_a_process_that_has_nothing_of_its_worker(server: Server, site: Site) -> None:
    """No socket, no lock of the server, of all pipes only the one that leads to it."""
    pid = jobs_pid(server)
    works(site)
    theirs = open_files(pid)
    assert [name for name in theirs if name.startswith("socket:") or "/run/" in name] == []
    assert len([name for name in theirs if name.startswith("pipe:")]) == 1
    [keeper] = server.keeper_pids
    assert [name for name in open_files(keeper) if not name.startswith("pipe:")] == []


def test_one_that_dies_is_followed_by_another_and_mail_does_not_notice(server: Server, site: Site) -> None:
    """SIGKILL, as of a job that took all memory."""
    first = jobs_pid(server)
    os.kill(first, signal.SIGKILL)
    assert accepts(server)
    until(lambda: set(server.jobs_pids) - {first}, "a successor")
    works(site)
    assert "the jobs process ended with -9, starting it again" in server.stderr()
    assert server.terminate() == 0


def test_without_the_keeper_the_worker_runs_jobs_itself(server: Server, site: Site) -> None:
    """SIGKILL to it is SIGKILL to the process of jobs, and the worker says what it does."""
    pid, [keeper] = jobs_pid(server), server.keeper_pids
    os.kill(keeper, signal.SIGKILL)
    until(lambda: gone(pid), "the end of the process of jobs")
    works(site)
    assert accepts(server)
    assert "the keeper of jobs ended with -9: this worker runs jobs until it is restarted" in server.stderr()
    assert server.terminate() == 0


def test_what_it_had_is_taken_from_it_when_it_dies(server: Server, site: Site) -> None:
    """Its successor knows of its end, and does not wait for its leases."""
    pid = jobs_pid(server)
    works(site)
    os.kill(pid, signal.SIGSTOP)
    with site.opened() as here:
        [its_name] = workers(here.storage)
        job = enqueue(here, NewJob(kind="jobs.purge"))
        tomorrow = now_ms() + 86_400_000
        change(here.storage, job, state="running", worker=its_name, fence=1, leased_until_ms=tomorrow)
        os.kill(pid, signal.SIGKILL)
        until(lambda: states(here.storage).keys() == {"done"}, f"job {job}")
    assert "1 jobs taken from a process that died" in server.stderr()


KEEPING = """
import sys
from mairust_core.serve.working import _keep
from mairust_core.store import process_numbers

def live(gone):
    with open(sys.argv[1], "a") as told:
        print(process_numbers.holder(), *gone, file=told)

_keep(0, live)
"""


def test_each_knows_all_that_died_before_it(tmp_path: Path) -> None:
    """The last of them may have died before it took what an earlier one had."""
    told = tmp_path / "told"
    told.touch()
    command = [sys.executable, "-c", KEEPING, str(told)]
    with subprocess.Popen(command, env=clean_environment(), stdin=subprocess.PIPE) as keeper:
        until(lambda: told.read_text().count("\n") >= 3, "three lives")
        assert keeper.stdin is not None
        keeper.stdin.close()
        assert keeper.wait(END_TIMEOUT_S) == 0
    lives = [line.split() for line in told.read_text().splitlines()]
    names = [one[0] for one in lives]
    assert [one[1:] for one in lives] == [names[:at] for at in range(len(names))]


def test_where_no_thread_can_be_started_the_worker_tries_again(server: Server, site: Site) -> None:
    """What killed the keeper may be what the worker lacks, too."""
    jobs_pid(server)
    [keeper] = server.keeper_pids
    assert accepts(server)
    soft, hard = resource.prlimit(server.pid, resource.RLIMIT_AS)
    resource.prlimit(server.pid, resource.RLIMIT_AS, (address_space(server.pid) + (1 << 20), hard))
    os.kill(keeper, signal.SIGKILL)
    until(lambda: "no further thread" in server.stderr(), "a word about threads")
    assert accepts(server)
    resource.prlimit(server.pid, resource.RLIMIT_AS, (soft, hard))
    works(site)
    assert server.terminate() == 0


def test_its_worker_rings_when_somebody_makes_a_job_over_the_api(site: Site) -> None:
    """Seen where it is frozen, and has not read what came."""
    with Server(site=site, http="127.0.0.1:0") as server:
        pid = jobs_pid(server)
        with site.opened() as here:
            job = enqueue(here, NewJob(kind="jobs.purge", run_at_ms=now_ms() + 86_400_000))
            os.kill(pid, signal.SIGSTOP)
            assert unread(pid) == 0
            url, token = f"http://{server.ready['http']}", site.directory / "admin.token"
            retry = site.command("job", "retry", job, "--server", url, "--token-file", token)
            assert retry.returncode == 0, retry.stderr
            assert unread(pid) == 1
            os.kill(pid, signal.SIGCONT)
            until(lambda: states(here.storage).keys() == {"done"}, f"job {job}")


def test_both_die_with_their_worker(server: Server) -> None:
    """And the next start has others."""
    both = [jobs_pid(server), *server.keeper_pids]
    os.kill(server.pid, signal.SIGKILL)
    until(lambda: all(map(gone, both)), "the end of both")
    server.restart()
    assert jobs_pid(server) not in both


def test_both_end_with_their_worker_when_all_hear_the_signal(server: Server) -> None:
    """As a terminal and systemd send it: nothing is left, and nobody calls it an error."""
    both = [jobs_pid(server), *server.keeper_pids]
    os.killpg(server.pid, signal.SIGTERM)
    assert server.wait() == 0
    assert all(map(gone, both))
    assert "ended with" not in server.stderr()


def test_one_that_is_frozen_does_not_keep_a_server_from_stopping(site: Site) -> None:
    """It is killed once the grace period is over, and the server says so."""
    with Server(site=site, env={"MAIRUST_NODE__GRACE_S": "0"}) as server:
        pid = jobs_pid(server)
        os.kill(pid, signal.SIGSTOP)
        assert server.terminate() == 0
        until(lambda: gone(pid), "its end")
        assert "the jobs keeper process did not end in time, killing it" in server.stderr()


def test_of_two_workers_the_first_alone_has_one(site: Site) -> None:
    """Jobs of a server are run once, however many take mail."""
    with Server(site=site, workers=2) as server:
        jobs_pid(server)
        first, second = server.worker_pids
        assert server.keeper_pids[0] in children(first)
        assert children(second) == [server.committing_pids[1]]
        works(site)
        assert server.terminate() == 0


def test_without_jobs_there_is_none(site: Site) -> None:
    """`jobs.workers = 0`: another node runs them."""
    with (site.directory / "mairust.toml").open("a") as config:
        config.write("\n[jobs]\nworkers = 0\n")
    with Server(site=site) as server:
        assert accepts(server)
        assert children(server.pid) == server.committing_pids


def test_on_one_core_a_thread_runs_jobs(site: Site) -> None:
    """Processes would only take turns there."""
    assert shutil.which("taskset"), "util-linux is not installed"
    with Server(site=site, wrapper=("taskset", "-c", str(min(os.sched_getaffinity(0))))) as server:
        works(site)
        assert children(server.pid) == []
        assert server.terminate() == 0
