"""Which server runs: told by a lock, so that it is true also after SIGKILL."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mairust_core.errors import BadConfig, Locked
from mairust_core.running import Running, presence, running_on, server_path

SAID = Running(pid=7, version="1.2", started_ms=1, workers=2, listeners={"smtp": "127.0.0.1:25"})
SERVE = """
import sys, time
from pathlib import Path
from mairust_core.running import Running, presence
with presence(Path(sys.argv[1])) as here:
    here.say(Running(pid=7, version="1.2", started_ms=1, workers=2, listeners={"smtp": "127.0.0.1:25"}))
    print("said", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A data directory."""
    (tmp_path / "run").mkdir()
    return tmp_path


def test_it_runs_from_its_word_to_its_end(data_dir: Path) -> None:
    """Before it is ready nobody runs yet; afterwards the file is empty."""
    assert running_on(data_dir) is None
    with presence(data_dir) as here:
        assert running_on(data_dir) is None
        here.say(SAID)
        assert running_on(data_dir) == SAID
        assert server_path(data_dir).stat().st_mode & 0o777 == 0o600
    assert running_on(data_dir) is None
    assert server_path(data_dir).read_bytes() == b""


def test_there_is_one_at_a_time(data_dir: Path) -> None:
    """A second one is refused and leaves the word of the first; when that has ended it is its turn."""
    with presence(data_dir) as here:
        here.say(SAID)
        with pytest.raises(Locked, match="A server runs already"), presence(data_dir):
            pass
        assert running_on(data_dir) == SAID
    with presence(data_dir) as here:
        here.say(SAID)
        assert running_on(data_dir) == SAID


def test_whoever_looks_keeps_no_server_from_starting(data_dir: Path) -> None:
    """They have the lock for a moment, again and again."""
    with presence(data_dir):
        pass
    ended = threading.Event()

    def look() -> None:
        while not ended.is_set():
            running_on(data_dir)

    lookers = [threading.Thread(target=look) for _ in range(3)]
    for looker in lookers:
        looker.start()
    try:
        for _ in range(50):
            with presence(data_dir):
                pass
    finally:
        ended.set()
        for looker in lookers:
            looker.join()


def test_a_directory_that_cannot_be_made_is_named(data_dir: Path) -> None:
    """A file is in its place."""
    (data_dir / "run").rmdir()
    (data_dir / "run").touch()
    with pytest.raises(BadConfig, match="run for sockets"), presence(data_dir):
        pass


def test_a_killed_server_does_not_run(data_dir: Path) -> None:
    """Its word is still there, and not believed; the next server writes over it."""
    process = subprocess.Popen([sys.executable, "-c", SERVE, str(data_dir)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"said\n"
    assert running_on(data_dir) == SAID
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert server_path(data_dir).stat().st_size > 0
    assert running_on(data_dir) is None
    with presence(data_dir) as here:
        assert running_on(data_dir) is None
        here.say(Running(pid=8, version="1", started_ms=2, workers=1))
        found = running_on(data_dir)
        assert found is not None
        assert found.pid == 8
