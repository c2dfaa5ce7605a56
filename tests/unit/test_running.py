"""Which server runs: told by a lock, so that it is true also after SIGKILL."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

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
    """Before it is ready nobody runs yet; afterwards the file is gone."""
    assert running_on(data_dir) is None
    with presence(data_dir) as here:
        assert running_on(data_dir) is None
        here.say(SAID)
        assert running_on(data_dir) == SAID
        assert server_path(data_dir).stat().st_mode & 0o777 == 0o600
    assert running_on(data_dir) is None
    assert not server_path(data_dir).exists()


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
