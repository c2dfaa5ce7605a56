"""What is decided about a process before it starts."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from mairust_core.model.isolation import Layer
from mairust_core.model.plugin import Layers, Limits, Network
from mairust_core.sandbox.confinement import (
    BESIDE,
    FIRST_USER,
    PROCESSES,
    Confinement,
    Program,
    Unconfinable,
    user_of,
)
from mairust_core.sandbox.machine import Machine
from mairust_core.sandbox.places import Interpreter, interpreter, is_below


def _machine(*missing: Layer, prefix: str = "/usr") -> Machine:
    made = Machine(
        interpreter=Interpreter(program=Path(prefix, "bin/python3"), prefix=Path(prefix)),
        bubblewrap=Path("/usr/bin/bwrap"),
        landlock_abi=7,
    )
    for layer in missing:
        made = made.lacking(layer, "a reason")
    return made


def _program(directory: str = "/plugins/a", network: Network = Network.NONE) -> Program:
    return Program(
        plugin="com.example.a",
        command=("sh", "a.sh"),
        directory=Path(directory),
        limits=Limits(network=network),
    )


@pytest.mark.parametrize(
    ("missing", "grade", "enough"),
    [
        ((), Layers.NAMESPACES, True),
        ((Layer.LANDLOCK, Layer.SECCOMP, Layer.CGROUP, Layer.OWN_USER), Layers.NAMESPACES, True),
        ((Layer.NAMESPACES,), Layers.LANDLOCK, True),
        ((Layer.NAMESPACES, Layer.SECCOMP), Layers.LIMITS, False),
        ((Layer.NAMESPACES, Layer.LANDLOCK), Layers.LIMITS, False),
        ((Layer.RLIMITS,), Layers.NONE, False),
    ],
)
def test_rule_h1_files_and_network_decide_the_grade(
    missing: tuple[Layer, ...], grade: Layers, enough: bool
) -> None:
    """What else is missing is named, and no reason not to run."""
    isolation = _machine(*missing).isolation
    assert (isolation.grade, isolation.is_enough) == (grade, enough)
    assert [one.layer for one in isolation.missing] == [*missing]
    assert {*isolation.present} == {*Layer} - {*missing}


def test_a_reason_is_kept_once() -> None:
    """The first one given."""
    machine = _machine(Layer.CGROUP).lacking(Layer.CGROUP, "another")
    assert [one.why for one in machine.isolation.missing] == ["a reason"]


def test_each_plugin_has_its_user_and_keeps_it() -> None:
    """In the range that nobody else uses."""
    users = {user_of(f"com.example.{number}") for number in range(100)}
    assert len(users) == 100
    assert all(FIRST_USER <= user < 0x8000_0000 for user in users)
    assert user_of("com.example.a") == user_of("com.example.a")


def test_the_view_has_what_an_interpreter_needs(tmp_path: Path) -> None:
    """Programs and libraries of a prefix that lies elsewhere, with a way to them that other users may go."""
    for name in ("bin", "lib", "mail"):
        (tmp_path / name).mkdir()
    confinement = Confinement(machine=_machine(prefix=str(tmp_path)))
    words = " ".join(confinement.arguments(_program(), 9))
    assert f"--ro-bind {tmp_path}/bin {tmp_path}/bin --ro-bind {tmp_path}/lib {tmp_path}/lib" in words
    assert f"--perms 0755 --dir {tmp_path.parent} --perms 0755 --dir {tmp_path}" in words
    assert "mail" not in words
    assert "--ro-bind /plugins/a /plugin" in words
    assert "--unshare-net" in words
    assert words.endswith("--remount-ro /dev --remount-ro / --info-fd 9")


@pytest.mark.parametrize(
    ("hidden", "directory", "covered"),
    [
        ("python/lib/site", "plugins/a", "--tmpfs {0}/python/lib/site --remount-ro {0}/python/lib/site"),
        ("plugins/a/site", "plugins/a", "--tmpfs /plugin/site --remount-ro /plugin/site"),
        ("site", "plugins/a", ""),
        ("site", "site/plugins/a", ""),
    ],
)
def test_what_is_hidden_is_covered_where_it_would_show(
    tmp_path: Path, hidden: str, directory: str, covered: str
) -> None:
    """A plugin's own directory inside of the data directory is its own all the same."""
    for name in (hidden, directory):
        (tmp_path / name).mkdir(parents=True, exist_ok=True)
    machine = _machine(prefix=str(tmp_path / "python"))
    confinement = Confinement(machine=machine, hidden=(tmp_path / hidden,))
    words = " ".join(confinement.arguments(_program(str(tmp_path / directory)), 9))
    assert words.count("--tmpfs") == (2 if covered else 1)
    assert covered.format(tmp_path) in words


def test_a_hidden_file_is_covered_by_what_cannot_be_opened(tmp_path: Path) -> None:
    """And one that is not there needs nothing."""
    (tmp_path / "mairust.toml").write_text("")
    hidden = (tmp_path / "mairust.toml", tmp_path / "gone")
    words = " ".join(Confinement(machine=_machine(), hidden=hidden).arguments(_program(str(tmp_path)), 9))
    assert "--ro-bind /dev/null /plugin/mairust.toml" in words
    assert "gone" not in words


@pytest.mark.parametrize("required", [True, False])
def test_rule_h1_without_isolation_nothing_runs_unless_it_is_said(required: bool) -> None:
    """The layers that are missing are named, with why."""
    machine = _machine(Layer.NAMESPACES, Layer.LANDLOCK)
    confinement = Confinement(machine=machine, is_required=required)
    if not required:
        assert confinement.told(_program(), 3, [], 1)["landlock"] is None
        return
    with pytest.raises(Unconfinable, match=r"namespaces: a reason; landlock: a reason"):
        confinement.told(_program(), 3, [], 1)


def test_a_prefix_that_is_everything_shows_nothing_more() -> None:
    """Its programs and libraries are the system's."""
    words = Confinement(machine=_machine(prefix="/")).arguments(_program(), 9)
    assert "/" not in {words[at + 1] for at, word in enumerate(words) if word == "--ro-bind"}


def test_the_network_of_the_machine_is_shared_only_when_unlimited() -> None:
    """With the files by which names are resolved."""
    confinement = Confinement(machine=_machine())
    words = " ".join(confinement.arguments(_program(network=Network.UNLIMITED), 9))
    assert "--unshare-net" not in words
    assert "/etc/resolv.conf" in words


def test_a_user_of_its_own_needs_no_user_namespace() -> None:
    """And without one there is nothing else to be nobody in."""
    with_user = " ".join(Confinement(machine=_machine()).arguments(_program(), 9))
    without = " ".join(Confinement(machine=_machine(Layer.OWN_USER)).arguments(_program(), 9))
    assert "--unshare-user" not in with_user
    assert "--cap-drop ALL --cap-add CAP_SETUID" in with_user
    assert "--unshare-user --uid 65534" in without
    assert "--cap-add" not in without


def test_limits_of_processes_stand_in_for_control_groups() -> None:
    """Of data, which groups count better, and of which runtimes reserve much."""
    for machine, expected in ((_machine(), False), (_machine(Layer.CGROUP), True)):
        told = Confinement(machine=machine).told(_program(), 3, [], 1)
        limits = told["rlimits"]
        assert isinstance(limits, list)
        assert (resource.RLIMIT_DATA in {which for which, _ in limits}) is expected


def test_no_process_leaves_a_core_file() -> None:
    """Wherever it runs; what it was told would lie there."""
    for machine in (_machine(), _machine(Layer.CGROUP), _machine(Layer.NAMESPACES)):
        told = Confinement(machine=machine).told(_program(), 3, [], 1)
        assert (resource.RLIMIT_CORE, 0) in told["rlimits"]  # type: ignore[operator]


def test_a_limited_network_is_not_told_to_a_launcher_that_cannot_keep_it() -> None:
    """Without namespaces, or without its proxy."""
    for machine in (_machine(Layer.NAMESPACES), _machine()):
        with pytest.raises(Unconfinable, match="in namespaces only"):
            Confinement(machine=machine).told(_program(network=Network.LOCAL_ONLY), 3, [], 1)


def test_the_kernels_own_limit_of_cpu_is_for_a_whole_life() -> None:
    """So that a worker is not killed for having answered often."""
    program = Program(
        plugin="a",
        command=("a",),
        directory=Path("/a"),
        limits=Limits(cpu_ms=500),
        startup_cpu_ms=2_000,
        calls=1_000,
    )
    assert program.lifetime_cpu_ms == 2_000 + 1_999 * 500
    assert _program().lifetime_cpu_ms == 500


def test_paths_are_compared_by_their_parts() -> None:
    """`/usrlocal` is not in `/usr`."""
    assert is_below(Path("/usr/local"), ["/usr"])
    assert is_below(Path("/usr"), ["/usr"])
    assert not is_below(Path("/usrlocal"), ["/usr"])
    assert interpreter().program.is_file()
    assert interpreter().path.startswith(str(interpreter().prefix))


@pytest.mark.parametrize(
    ("missing", "counted", "beside"),
    [
        ((), 8 * PROCESSES, None),
        ((Layer.OWN_USER,), PROCESSES, None),
        ((Layer.NAMESPACES,), 8 * PROCESSES, None),
        ((Layer.NAMESPACES, Layer.OWN_USER), None, BESIDE),
    ],
)
def test_processes_of_the_servers_user_are_no_plugins_own(
    tmp_path: Path, missing: tuple[Layer, ...], counted: int | None, beside: int | None
) -> None:
    """Where the kernel counts all of a user together, a plugin may have some beside those that are there."""
    told = Confinement(machine=_machine(*missing)).told(_program(str(tmp_path)), 3, [], 1)
    limits = dict(told["rlimits"])  # type: ignore[call-overload]
    assert (limits.get(resource.RLIMIT_NPROC), told["beside"]) == (counted, beside)
