"""Plugins that reach for what is not theirs: files, processes, powers. Judged by what the machine shows."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from mairust_core.hooks.transport import CallFailed
from mairust_core.model.isolation import Layer
from mairust_core.model.plugin import Layers, ProcessMode
from mairust_core.sandbox.confinement import user_of
from mairust_core.sandbox.machine import Machine
from tests.integration.sandbox.conftest import Make, machine_without
from tests.support.plugins import ECHO, PATIENCE_S, environment_of, status
from tests.support.users import let_others_in

READER = """
    import json, os, sys
    kept = []
    for line in sys.stdin:
        found = {}
        for path in json.loads(line):
            try:
                kept.append(open(path, errors="replace"))
                found[path] = kept[-1].read()
            except OSError as error:
                found[path] = None
        print(json.dumps(found))
"""
"""What it could open it never closes: its descriptors show it, whatever it says."""


async def _read(reading: object, paths: list[Path]) -> dict[str, str | None]:
    answer = await reading.ask(json.dumps([str(path) for path in paths]).encode())  # type: ignore[attr-defined]
    found: dict[str, str | None] = json.loads(answer.body)
    return found


def _opened(pid: int) -> list[Path]:
    """The files that a process holds open."""
    links = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
    return [Path(link) for link in links if link.startswith("/")]


async def test_files_of_the_site_and_of_the_system_are_not_there(
    machine: Machine, plugin: Make, tmp_path: Path
) -> None:
    """Neither /etc/passwd nor the data directory, though anybody may read them."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "master.key").write_text("the master key")
    (site / "master.key").chmod(0o644)
    reader = plugin(machine, READER, hidden=[site])
    paths = [
        site / "master.key",
        Path("/etc/passwd"),
        Path("/proc/1/environ"),
        Path(f"/proc/{os.getpid()}/environ"),
    ]
    assert {*(await _read(reader, paths)).values()} == {None}
    assert _opened(await reader.pid()) == []
    assert (await _read(reader, [Path("plugin.py")])).keys() == {"plugin.py"}
    assert [path.name for path in _opened(await reader.pid())] == ["plugin.py"]
    if machine.grade is Layers.NAMESPACES:
        root = Path(f"/proc/{await reader.pid()}/root")
        assert {one.name for one in (root / "plugin").iterdir()} == {"plugin.py"}
        assert not (root / "etc/passwd").exists()
        assert not (root / str(site).lstrip("/")).exists()
        assert not (root / "root/.ssh").exists()
        assert [*(root / "home").glob("*")] == []


async def test_a_data_directory_below_the_plugins_is_hidden(
    full: Machine, plugin: Make, tmp_path: Path
) -> None:
    """A plugin that was linked from above the site sees an empty directory in its place."""
    site = tmp_path / "plugin0" / "site"
    site.mkdir(parents=True)
    (site / "mairust.db").write_text("mail")
    settings = tmp_path / "plugin0" / "mairust.toml"
    settings.write_text("a password")
    reader = plugin(full, READER, hidden=[site, settings, tmp_path / "plugin0" / "gone"])
    found = await _read(reader, [Path("site/mairust.db"), Path("mairust.toml"), Path("plugin.py")])
    assert {name for name, text in found.items() if text is not None} == {"plugin.py"}
    assert [path.name for path in _opened(await reader.pid())] == ["plugin.py"]
    assert os.listdir(f"/proc/{await reader.pid()}/root/plugin/site") == []


async def test_what_cannot_be_hidden_is_not_run(plugin: Make, machine: Machine, tmp_path: Path) -> None:
    """Without namespaces nothing can be put over it."""
    if machine.grade is Layers.NAMESPACES:
        return
    site = tmp_path / "plugin0" / "site"
    site.mkdir(parents=True)
    reader = plugin(machine, READER, hidden=[site])
    with pytest.raises(CallFailed, match="no namespaces to hide it"):
        await reader.ask(b"[]")


async def test_a_directory_that_somebody_else_may_fill_is_not_run(
    machine: Machine, plugin: Make, tmp_path: Path
) -> None:
    """It is looked at when the process starts, not only when it was linked."""
    reader = plugin(machine, READER)
    (tmp_path / "plugin0").chmod(0o777)
    with pytest.raises(CallFailed, match="everybody may write to plugin0"):
        await reader.ask(b"[]")


async def test_its_own_files_cannot_be_changed(machine: Machine, plugin: Make) -> None:
    """Neither written nor removed nor added to; where it may write is gone with it."""
    changer = plugin(
        machine,
        """
        import os, sys
        def tries():
            yield lambda: open("plugin.py", "a").write("# mine")
            yield lambda: os.chmod("plugin.py", 0o777)
            yield lambda: os.unlink("plugin.py")
            yield lambda: os.rename("plugin.py", "other.py")
            yield lambda: open("new.py", "w").close()
            yield lambda: os.mkdir("__pycache__")
            yield lambda: os.symlink("/", "root")
            yield lambda: open("/usr/new", "w").close()
            yield lambda: open("/new", "w").close()
            yield lambda: open("/dev/new", "w").close()
        for line in sys.stdin:
            for one in tries():
                try:
                    one()
                except OSError:
                    pass
            print("{}")
        """,
    )
    before = (changer.directory / "plugin.py").stat(), (changer.directory / "plugin.py").read_bytes()
    await changer.ask()
    assert [one.name for one in changer.directory.iterdir()] == ["plugin.py"]
    after = (changer.directory / "plugin.py").stat()
    assert (after.st_mode, after.st_mtime_ns) == (before[0].st_mode, before[0].st_mtime_ns)
    assert (changer.directory / "plugin.py").read_bytes() == before[1]
    assert "new" not in os.listdir("/usr")


async def test_it_inherits_nothing(machine: Machine, plugin: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three pipes are all its descriptors; of our environment it knows nothing."""
    monkeypatch.setenv("MAIRUST_TOKEN", "a secret")
    held = os.open("/etc/passwd", os.O_RDONLY)
    os.set_inheritable(held, True)
    echo = plugin(machine, ECHO)
    await echo.ask()
    pid = await echo.pid()
    os.close(held)
    open_files = {int(fd): os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
    assert {fd for fd, _ in open_files.items()} == {0, 1, 2}
    assert all(target.startswith("pipe:") for target in open_files.values())
    assert {entry.partition(b"=")[0] for entry in environment_of(pid)} == {
        *(b"PATH", b"HOME", b"LANG", b"MAIRUST_PLUGIN"),
        *(b"PYTHONDONTWRITEBYTECODE", b"PYTHONUNBUFFERED"),
    }


async def test_it_has_no_power_and_gains_none(machine: Machine, plugin: Make) -> None:
    """By the kernel's own account of it."""
    echo = plugin(machine, ECHO)
    await echo.ask()
    pid = await echo.pid()
    told = status(pid)
    assert (told["NoNewPrivs"], told["Seccomp"]) == ("1", "2")
    assert int(told["CapEff"], 16) == int(told["CapPrm"], 16) == int(told["CapInh"], 16) == 0
    if machine.has(Layer.OWN_USER):
        assert {*told["Uid"].split(), *told["Gid"].split()} == {str(user_of(echo.runnable.id))}
        assert (told["Groups"], int(told["CapBnd"], 16)) == ("", 0)
    if machine.grade is Layers.NAMESPACES:
        for name in ("mnt", "pid", "ipc", "uts", "net"):
            assert os.readlink(f"/proc/{pid}/ns/{name}") != os.readlink(f"/proc/self/ns/{name}")


async def test_plugins_have_users_of_their_own(full: Machine, plugin: Make) -> None:
    """Two plugins, two users; the same one everywhere."""
    if not full.has(Layer.OWN_USER):
        return
    echoes = [plugin(full, ECHO), plugin(full, ECHO)]
    for echo in echoes:
        await echo.ask()
    users = {status(await echo.pid())["Uid"] for echo in echoes}
    assert len(users) == 2


async def test_a_nested_namespace_is_refused(machine: Machine, plugin: Make) -> None:
    """By every way to make one; from outside it is in those that it began in."""
    nester = plugin(
        machine,
        """
        import ctypes, sys
        libc = ctypes.CDLL(None, use_errno=True)
        for line in sys.stdin:
            libc.unshare(0x10000000)
            libc.syscall(435, b"\\0\\0\\0\\x10" + bytes(84), 88)
            print("{}")
        """,
    )
    await nester.ask(b"1")
    pid = await nester.pid()
    parent = int(status(pid)["PPid"])
    assert os.readlink(f"/proc/{pid}/ns/user") == os.readlink(f"/proc/{parent}/ns/user")
    await nester.ask(b"2")


KILLER = """
    import ctypes, os, signal, sys
    libc = ctypes.CDLL(None)
    for line in sys.stdin:
        victims = [int(word) for word in line.split()]
        for pid in [*victims, os.getppid(), 1, -1]:
            for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP):
                try:
                    os.kill(pid, number)
                except OSError:
                    pass
        print("{}")
"""


async def test_it_kills_neither_its_parent_nor_anybody_else(machine: Machine, plugin: Make) -> None:
    """A bystander of our own user lives on, and so do we."""
    killer = plugin(machine, KILLER)
    bystander = await asyncio.create_subprocess_exec("sleep", "60")
    with suppress(CallFailed):  # of its own namespace it may kill what it likes
        await killer.ask(b"%d %d" % (bystander.pid, os.getpid()))
    assert status(bystander.pid)["State"].startswith("S")
    assert bystander.returncode is None
    bystander.kill()
    await bystander.wait()


async def test_it_sees_no_other_process(full: Machine, plugin: Make) -> None:
    """Its own namespace holds it, what started it, and nothing else."""
    echo = plugin(full, ECHO)
    await echo.ask()
    seen = {int(name) for name in os.listdir(f"/proc/{await echo.pid()}/root/proc") if name.isdecimal()}
    assert seen == {1, 2}


SERVER = """
    import asyncio, sys
    from pathlib import Path
    from mairust_core.model.isolation import Layer
    from mairust_core.sandbox.probing import probe, tried
    from tests.support.plugins import make_plugin

    async def main():
        machine = probe()
        for layer in sys.argv[2:]:
            machine = machine.lacking(Layer(layer), "taken away")
        plugin = make_plugin(Path(sys.argv[1]), tried(machine), "import time; time.sleep(60)")
        asking = asyncio.ensure_future(plugin.ask())
        await plugin.pid()
        print(plugin.marker, flush=True)
        await asking

    asyncio.run(main())
"""


def test_plugins_die_with_their_server(tmp_path: Path, machine: Machine) -> None:
    """Killed, it can end nothing itself; the kernel does."""
    missing = [one.layer for one in machine.missing]
    server = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(SERVER), str(tmp_path / "plugin"), *missing],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[3],
    )
    assert server.stdout is not None
    with server.stdout:
        marker = server.stdout.readline().strip()
        assert _with(marker)
        server.send_signal(signal.SIGKILL)
        server.wait()
    until = time.monotonic() + PATIENCE_S
    while _with(marker):
        assert time.monotonic() < until
        time.sleep(0.01)


def _with(marker: bytes) -> list[int]:
    found = []
    for name in os.listdir("/proc"):
        try:
            if name.isdecimal() and marker in Path("/proc", name, "cmdline").read_bytes():
                found.append(int(name))
        except OSError:
            continue
    return found


async def test_what_a_oneshot_leaves_behind_ends_with_it(machine: Machine, plugin: Make) -> None:
    """Its answer counts; its child does not go on."""
    leaving = plugin(
        machine,
        """
        import os, sys, time
        if os.fork() == 0:
            for fd in range(3):
                os.close(fd)
            time.sleep(60)
        print("{}")
        """,
        mode=ProcessMode.ONESHOT,
    )
    assert (await leaving.ask()).body == b"{}\n"
    await leaving.until_gone()


async def test_a_plugin_where_only_the_server_gets_runs_as_the_servers_user(
    plugin: Make, tmp_path: Path
) -> None:
    """As below root's home, where a site of root's lies: namespaces would show it to its own user."""
    machine = machine_without(Layer.NAMESPACES)
    os.chmod(tmp_path, 0o700)
    made = plugin(machine, ECHO)
    answer = await made.ask()
    assert {Layer.NAMESPACES, Layer.OWN_USER} <= {*answer.notes["missing"]}
    process = status(await made.pid())
    assert process["Uid"].split()[0] == str(os.getuid())
    assert int(process["CapEff"], 16) == 0


def test_the_server_stands_in_only_where_it_closed_a_directory_and_landlock_holds(
    among_ours: Machine, tmp_path: Path
) -> None:
    """With namespaces, without Landlock, or in somebody else's closed directory nobody's user changes."""
    let_others_in(tmp_path)
    closed = tmp_path / "closed"
    (closed / "plugin").mkdir(parents=True)
    closed.chmod(0o700)
    with_own = replace(
        among_ours, missing=tuple(one for one in among_ours.missing if one.layer is not Layer.OWN_USER)
    )
    lacking = with_own.holding(closed / "plugin").missing[-1]
    assert (lacking.layer, lacking.why) == (Layer.OWN_USER, f"{closed} is closed to other users")
    limits = with_own.lacking(Layer.LANDLOCK, "taken away").lacking(Layer.SECCOMP, "taken away")
    namespaces = replace(with_own, missing=())
    assert limits.holding(closed) is limits
    assert namespaces.holding(closed) is namespaces
    assert with_own.holding(tmp_path) is with_own
    if os.geteuid() == 0:
        os.chown(closed, 12_345, 12_345)
        assert with_own.holding(closed / "plugin") is with_own


async def test_it_empties_no_file_of_its_user_where_landlock_does_not_judge_that(
    among_ours: Machine, plugin: Make, tmp_path: Path
) -> None:
    """Before version 3, of Linux 6.2, opening a file to empty it asks for no right; the mode 3 never does."""
    victim = tmp_path / "segment"
    victim.write_text("mail")
    tries = plugin(
        replace(among_ours, landlock_abi=min(2, among_ours.landlock_abi)),
        """
        import json, os, sys
        for line in sys.stdin:
            failed = []
            for flags in (os.O_TRUNC, 3, 3 | os.O_TRUNC, os.O_WRONLY | os.O_TRUNC, os.O_RDWR | os.O_TRUNC):
                try:
                    os.open(json.loads(line), flags)
                    failed.append(0)
                except OSError as error:
                    failed.append(error.errno)
            open("/dev/null", "w").close()
            print(json.dumps(failed))
        """,
    )
    answer = await tries.ask(json.dumps(str(victim)).encode())
    assert json.loads(answer.body) == [errno.EACCES] * 5
    assert victim.read_text() == "mail"
