"""A forked process is one like any other: what tests that kill and watch processes rely on."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.support import forks

TIMEOUT_S = 60.0
TELL = """
import json, os, sys
print(json.dumps({
    "argv": sys.argv, "cwd": os.getcwd(), "env": dict(os.environ), "stdin": sys.stdin.read(),
    "session": os.getsid(0) == os.getpid(), "fds": sum(
        "libffi" not in os.path.realpath(f"/proc/self/fd/{fd}")  # some versions keep themselves open
        for fd in os.listdir("/proc/self/fd")
    ),
}))
print("told", file=sys.stderr)
sys.exit(7)
"""
WAIT = "import sys; print('ready', flush=True); sys.stdin.read()"
STARTER = f"""
import subprocess, sys
from tests.support import forks
child = forks.Popen([sys.executable, "-c", {WAIT!r}], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
sys.stdin.read()
"""


def python(code: str, *arguments: str) -> list[str]:
    """A command that runs some code."""
    return [sys.executable, "-c", code, *arguments]


def test_it_has_what_it_was_given_and_nothing_else(tmp_path: Path) -> None:
    """Arguments, directory, environment, standard streams; and its exit code comes back."""
    done = forks.run(
        python(TELL, "a b", "\udcff"), input=b"in", env={"ONLY": "1"}, cwd=tmp_path, timeout=TIMEOUT_S
    )
    told = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (7, b"told\n")
    assert told == {
        "argv": ["-c", "a b", "\udcff"],
        "cwd": str(tmp_path),
        "env": {"ONLY": "1"},
        "stdin": "in",
        "session": False,
        "fds": 4,  # the fourth lists them
    }


def test_it_can_lead_a_session() -> None:
    """So that a group of processes is killed as one."""
    pipe = subprocess.PIPE
    with forks.Popen[str](
        python(TELL), stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True, start_new_session=True
    ) as process:
        out, _ = process.communicate(timeout=TIMEOUT_S)
    assert json.loads(out)["session"]


def test_a_module_runs_as_by_its_name(tmp_path: Path) -> None:
    """The crash point of its environment holds, whatever the forking process was told."""
    done = forks.run(
        [sys.executable, "-m", "tests.support.blob_writer", str(tmp_path), "1"],
        env={**os.environ, "MAIRUST_CRASH_AT": "segment.created"},
        cwd=forks.CHECKOUT,
        timeout=TIMEOUT_S,
    )
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, b"")


def test_an_uncaught_error_is_told_as_by_python() -> None:
    """On stderr, with exit code 1."""
    done = forks.run(python("raise ValueError('no')"), text=True, timeout=TIMEOUT_S)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, "ValueError: no")


def test_one_thread_waits_while_others_look() -> None:
    """The end is told once and known to all."""
    for _ in range(20):
        process = forks.Popen[bytes](python("pass"), stdin=subprocess.DEVNULL)
        seen: list[int | None] = []

        def look(process: subprocess.Popen[bytes] = process, seen: list[int | None] = seen) -> None:
            while (code := process.poll()) is None:
                pass
            seen.append(code)

        threads = [threading.Thread(target=look) for _ in range(3)]
        for thread in threads:
            thread.start()
        assert process.wait(TIMEOUT_S) == 0
        for thread in threads:
            thread.join()
        assert seen == [0, 0, 0]


def test_what_runs_too_long_is_killed() -> None:
    """As by `subprocess.run`."""
    with pytest.raises(subprocess.TimeoutExpired):
        forks.run(python("import time; time.sleep(60)"), timeout=0.05)


def test_it_dies_with_the_process_that_asked_for_it() -> None:
    """Killed by SIGKILL, too: no test leaves a process behind."""
    pipe = subprocess.PIPE
    with subprocess.Popen(python(STARTER), cwd=forks.CHECKOUT, stdin=pipe, stdout=pipe) as starter:
        assert starter.stdout is not None
        child = int(starter.stdout.readline())
        ended = os.pidfd_open(child)
        assert not select.select([ended], [], [], 0)[0]
        starter.kill()
        assert select.select([ended], [], [], TIMEOUT_S)[0], "it is still there"
        os.close(ended)
