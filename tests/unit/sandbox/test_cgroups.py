"""Control groups of both versions, on directories that look like the kernel's."""

from __future__ import annotations

from pathlib import Path

import pytest

from mairust_core.sandbox.cgroups import OURS, V1, V2, Group, Home, Most, Readers, Unavailable, find_home

FIRST = "8:pids:/own\n4:memory:/own\n2:cpuacct:/\n1:name=systemd:/\n0::/\n"


def _kernel_fills(directory: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (directory / name).write_text(text)


def test_the_first_version_has_a_group_for_each_controller(tmp_path: Path) -> None:
    """Below our own in each tree; limits are in it before anybody joins."""
    for base in ("memory/own", "pids/own", "cpuacct"):
        (tmp_path / base).mkdir(parents=True)
    with pytest.raises(Unavailable, match=r"cpuacct.usage: No such file"):
        find_home(tmp_path, FIRST)  # no kernel puts the files there
    (memory,) = (tmp_path / "memory/own" / OURS).iterdir()
    (pids,) = (tmp_path / "pids/own" / OURS).iterdir()
    assert (memory / "memory.limit_in_bytes").read_text() == f"{64 << 20}\n"
    assert (pids / "pids.max").read_text() == "16\n"
    assert [*(tmp_path / "cpuacct" / OURS).iterdir()] == []  # of the failed one nothing is left that can go


def test_no_group_is_made_where_nothing_may_be_written() -> None:
    """The path and the reason are told."""
    with pytest.raises(Unavailable, match=r"/no-such-place/.*No such file"):
        find_home(Path("/no-such-place"), FIRST)
    with pytest.raises(Unavailable, match=r"in no control group"):
        find_home(Path("/no-such-place"), "4:memory:/\n")


def test_the_second_version_wants_its_controllers(tmp_path: Path) -> None:
    """The first that is not delegated is named."""
    (tmp_path / "mairust.service/main").mkdir(parents=True)
    for path in (tmp_path / "mairust.service", tmp_path / "mairust.service/main"):
        _kernel_fills(path, {"cgroup.controllers": "cpu memory\n"})
    with pytest.raises(Unavailable, match=r"mairust.service: no controller pids"):
        find_home(tmp_path, "0::/mairust.service/main\n")


def test_the_second_version_delegates_downwards(tmp_path: Path) -> None:
    """From the service's group, one above the one that systemd put us into."""
    service = tmp_path / "mairust.service"
    (service / "main").mkdir(parents=True)
    _kernel_fills(service, {"cgroup.controllers": "cpu memory pids\n"})
    _kernel_fills(service / "main", {"cgroup.controllers": "\n"})
    with pytest.raises(Unavailable, match=r"cpu.stat: No such file"):
        find_home(tmp_path, "0::/mairust.service/main\n")
    assert (service / "cgroup.subtree_control").read_text() == "+memory +pids\n"
    assert (service / OURS / "cgroup.subtree_control").read_text() == "+memory +pids\n"
    (group,) = [path for path in (service / OURS).iterdir() if path.is_dir()]
    assert (group / "memory.max").read_text() == f"{1 << 26}\n"
    assert (group / "pids.max").read_text() == "16\n"


def test_groups_of_dead_servers_are_swept(tmp_path: Path) -> None:
    """Those of the living stay."""
    service = tmp_path / "s"
    base = service / OURS
    base.mkdir(parents=True)
    _kernel_fills(service, {"cgroup.controllers": "memory pids\n"})
    (base / "999999999-1").mkdir()
    (base / "1-7").mkdir()
    with pytest.raises(Unavailable):
        find_home(tmp_path, "0::/s/main\n")
    left = {path.name for path in base.iterdir() if path.is_dir()}
    assert "999999999-1" not in left
    assert "1-7" in left


@pytest.mark.parametrize("version", [1, 2])
def test_at_the_end_nothing_empty_is_left(tmp_path: Path, version: int) -> None:
    """The place of our groups goes while nobody's are in it, and whoever still needs it makes it again."""
    bases = {name: tmp_path / name / OURS for name in ("memory", "pids", "cpuacct")}
    home: Home = V1(bases) if version == 1 else V2(bases["memory"])
    ours = list(bases.values()) if version == 1 else [bases["memory"]]
    for base in ours:
        base.mkdir(parents=True)
    (ours[0] / "1-7").mkdir()
    home.leave()
    assert [base.exists() for base in ours] == [True] + [False] * (len(ours) - 1)
    (ours[0] / "1-7").rmdir()
    home.leave()
    assert not any(base.exists() for base in ours)
    with pytest.raises(FileNotFoundError, match=r"cpuacct.usage|cpu.stat"):
        home.make(Most(memory_bytes=1 << 26, processes=16))  # no kernel puts the files there
    assert all(base.exists() for base in ours)


def test_a_group_tells_what_the_kernel_counted(tmp_path: Path) -> None:
    """CPU in microseconds, and whether memory ran out, in the words of either version."""
    first, second = tmp_path / "1", tmp_path / "2"
    for directory in (first, second):
        directory.mkdir()
    _kernel_fills(first, {"usage": "1234567\n", "oom": "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n"})
    _kernel_fills(second, {"usage": "usage_usec 1234\nuser_usec 1000\n", "oom": "low 0\noom 0\noom_kill 0\n"})
    for directory, version, out in ((first, 1, True), (second, 2, False)):
        readers = Readers(
            cpu=directory / "usage",
            memory_events=directory / "oom",
            memory_peak=directory / "peak",
            version=version,
        )
        group = Group({"it": tmp_path / "gone"}, readers)
        assert group.cpu_us() == 1234
        assert group.peak_bytes() == 0  # before Linux 5.19
        (directory / "peak").write_text("4096\n")
        assert group.peak_bytes() == 4096
        assert group.was_out_of_memory() is out
        assert group.remove()
