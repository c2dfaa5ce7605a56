"""The process beside each worker that commits its mail: what it owns, and how both end (rule C3)."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mairust_core.serve.children import cores
from tests.support.mailbox_client import Dialogue, Lost
from tests.support.processes import children, gone
from tests.support.server import Server, Site, make_site

MAIL = b"Subject: hello\r\n\r\nbody\r\n"
PATIENCE_S = 20.0
SEGMENT = ".seg"


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


def until(happens: Callable[[], object], what: str) -> None:
    """Wait until it does."""
    deadline = time.monotonic() + PATIENCE_S
    while not happens():
        assert time.monotonic() < deadline, f"{what} did not happen"
        time.sleep(0.02)


def accepts(server: Server) -> bool:
    """Whether a mail is answered 250."""
    with contextlib.suppress(Lost), Dialogue(server.smtp) as client:
        return client.send("bob@example.com", ["user0@example.org"], MAIL)["user0@example.org"].code == 250
    return False


def open_files(pid: int) -> set[str]:
    """What a process has open, its standard streams left out."""
    found = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            if int(link.name) > 2:
                found.add(os.readlink(link))
    return found


def test_mail_is_committed_by_a_process_that_owns_the_segment_and_nothing_of_its_worker(
    server: Server,
) -> None:
    """The worker writes no segment; its process has no socket, no lock of the server, no other pipe."""
    assert accepts(server)
    [pid] = server.committing_pids
    ours, theirs = open_files(server.pid), open_files(pid)
    assert [name for name in ours if name.endswith(SEGMENT)] == []
    assert len([name for name in theirs if name.endswith(SEGMENT)]) == 1
    assert [name for name in theirs if name.startswith("socket:") or "/run/" in name] == []
    assert len([name for name in theirs if name.startswith("pipe:")]) == 2


def test_on_one_core_there_is_no_process_beside_the_worker(site: Site) -> None:
    """Two would only take turns there; mail is committed all the same."""
    assert shutil.which("taskset"), "util-linux is not installed"
    with Server(site=site, wrapper=("taskset", "-c", str(min(os.sched_getaffinity(0))))) as server:
        assert accepts(server)
        assert children(server.pid) == []
        assert len([name for name in open_files(server.pid) if name.endswith(SEGMENT)]) == 1
        assert server.terminate() == 0


def test_signals_to_all_processes_at_once_let_an_open_mail_finish(server: Server) -> None:
    """As a terminal and systemd send them: the worker ends when it is ready, its process after it."""
    [pid] = server.committing_pids
    with Dialogue(server.smtp) as client:
        client.envelope("bob@example.com", ["user0@example.org"])
        assert client.command(b"DATA").code == 354
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            os.killpg(server.pid, number)
        client._write(MAIL + b".\r\n")
        assert client.answer().code == 250
        assert server.wait() == 0
    assert gone(pid)


def test_a_worker_dies_with_its_process_and_the_process_with_its_worker(server: Server) -> None:
    """SIGKILL to either is SIGKILL to both; the next start serves."""
    [pid] = server.committing_pids
    os.kill(pid, signal.SIGKILL)
    assert server.wait() == -signal.SIGKILL
    assert "the committing process ended with -9" in server.stderr()
    server.restart()
    [pid] = server.committing_pids
    os.kill(server.pid, signal.SIGKILL)
    until(lambda: gone(pid), "the end of the process")
    server.restart()
    assert accepts(server)


def test_of_two_workers_the_one_without_its_process_is_replaced(site: Site) -> None:
    """Each has its own; the other goes on meanwhile."""
    with Server(site=site, workers=2) as server:
        worker, first = server.worker_pids[0], server.committing_pids
        assert len(first) == 2
        os.kill(first[0], signal.SIGKILL)
        until(lambda: gone(worker), "the end of its worker")
        assert all(accepts(server) for _ in range(5))
        until(lambda: len(set(server.committing_pids) - {first[0]}) == 2, "a successor")
        assert first[1] in server.committing_pids
        assert server.terminate() == 0


def test_one_that_is_frozen_does_not_keep_a_server_from_stopping(site: Site) -> None:
    """It is killed once the grace period is over, and the server says so."""
    with Server(site=site, env={"MAIRUST_NODE__GRACE_S": "0"}) as server:
        [pid] = server.committing_pids
        os.kill(pid, signal.SIGSTOP)
        os.kill(server.pid, signal.SIGTERM)
        assert server.wait(PATIENCE_S) == 0
        assert gone(pid)
        assert "the committing process did not end in time, killing it" in server.stderr()
