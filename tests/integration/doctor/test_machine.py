"""What is found of the machine: the judgement is on numbers, the numbers are this machine's."""

from __future__ import annotations

from pathlib import Path

import pytest

from mairust_core import __version__
from mairust_core.doctor.machine import judged_python, judged_room
from mairust_core.running import Running, presence
from tests.integration.doctor.conftest import Examine

GIB = 1 << 30


@pytest.mark.parametrize(
    ("free", "total", "expected"),
    [
        (GIB - 1, 100 * GIB, ["disk.full"]),
        (GIB, 100 * GIB, ["disk.low"]),
        (4 * GIB, 100 * GIB, []),
        (GIB // 2, 5 * GIB, ["disk.low"]),
        (GIB // 8, 5 * GIB, ["disk.full"]),
        (2 * GIB, 5 * GIB, []),
    ],
)
def test_rule_j3_room_on_a_disk(free: int, total: int, expected: list[str]) -> None:
    """Below the reserve, five per cent or 1 GiB, mail is refused; below four times that it is low."""
    assert [one.id for one in judged_room(Path("/x"), free, total)] == expected


def test_limits_of_files(found: Examine) -> None:
    """More connections than files is found, with both numbers."""
    one = found(smtp__max_connections=100_000)["limits.open_files"]
    assert "100200" in one.what


def test_the_server_that_runs(data_dir: Path, found: Examine) -> None:
    """None, another version's, ours."""
    assert "server.not_running" in found()
    (data_dir / "run").mkdir()
    with presence(data_dir) as here:
        here.say(Running(pid=1, version="0.0.0", started_ms=0, workers=1))
        assert {"server.other_version", "server.not_running"} & set(found()) == {"server.other_version"}
        here.say(Running(pid=1, version=__version__ + " " * 9, started_ms=0, workers=1))
    assert "server.not_running" in found()


def test_an_old_or_other_python() -> None:
    """What nobody tests is said to be so."""
    assert list(judged_python((3, 11), "cpython")) == []
    assert [one.id for one in judged_python((3, 10), "cpython")] == ["python.version"]
    assert [one.id for one in judged_python((3, 11), "pypy")] == ["python.version"]
