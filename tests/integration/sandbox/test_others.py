"""Plugins that reach for other processes: judged by what the kernel says of the server and its neighbours."""

from __future__ import annotations

import ctypes
import json
import os
import platform
import subprocess
import sys
import sysconfig
import tempfile
import textwrap
from pathlib import Path
from typing import Any

import pytest

from mairust_core.hooks.transport import CallFailed
from mairust_core.sandbox.confinement import PROCESSES
from mairust_core.sandbox.machine import Machine
from tests.integration.sandbox.conftest import Make
from tests.support.plugins import ECHO
from tests.support.users import AS_NOBODY, NOBODY, needs_root_and_setpriv

REACHING = """
    import ctypes, os, platform, resource, sys
    libc = ctypes.CDLL(None)
    x86 = platform.machine() == "x86_64"
    def tries(pid):
        for which in (resource.RLIMIT_CORE, resource.RLIMIT_MSGQUEUE):
            yield lambda: resource.prlimit(pid, which, (0, 0))
        yield lambda: os.setpriority(os.PRIO_PROCESS, pid, 7)
        yield lambda: os.setpriority(os.PRIO_PGRP, os.getpgid(pid), 8)
        yield lambda: os.sched_setaffinity(pid, {min(os.sched_getaffinity(0))})
        yield lambda: libc.syscall(251 if x86 else 30, 1, pid, 2 << 13 | 7)
        yield lambda: os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0))
        yield lambda: libc.syscall(314 if x86 else 274, pid, bytes([48, 0, 0, 0, 3]) + bytes(43), 0)
    for line in sys.stdin:
        for pid in map(int, line.split()):
            for one in tries(pid):
                try:
                    one()
                except OSError:
                    pass
        print("{}")
"""
_IOPRIO_GET = {"x86_64": 252, "aarch64": 31}


def _state(pid: int) -> dict[str, Any]:
    """What others may set of a process."""
    libc = ctypes.CDLL(None)
    return {
        "limits": Path(f"/proc/{pid}/limits").read_text().splitlines(),
        "priority": os.getpriority(os.PRIO_PROCESS, pid),
        "scheduler": os.sched_getscheduler(pid),
        "processors": os.sched_getaffinity(pid),
        "ioprio": libc.syscall(_IOPRIO_GET[platform.machine()], 1, pid),
    }


async def test_it_sets_nothing_of_its_server_or_of_another_plugin(machine: Machine, plugin: Make) -> None:
    """Neither limits nor priorities: one second of `RLIMIT_CPU` would end the server."""
    reaching, neighbour = plugin(machine, REACHING), plugin(machine, ECHO)
    await neighbour.ask()
    victims = [os.getpid(), await neighbour.pid()]
    before = [_state(pid) for pid in victims]
    await reaching.ask(b"%d %d" % (*victims,))
    assert [_state(pid) for pid in victims] == before


async def test_it_may_take_back_of_its_own(machine: Machine, plugin: Make) -> None:
    """A lower priority, fewer descriptors: the kernel says so of it."""
    modest = plugin(
        machine,
        """
        import os, resource, sys
        for line in sys.stdin:
            os.nice(3)
            resource.setrlimit(resource.RLIMIT_NOFILE, (50, 50))
            os.sched_setaffinity(0, os.sched_getaffinity(0))
            print("{}")
        """,
    )
    await modest.ask()
    state = _state(await modest.pid())
    assert state["priority"] == min(os.getpriority(os.PRIO_PROCESS, 0) + 3, 19)
    assert ["Max", "open", "files", "50", "50", "files"] in [line.split() for line in state["limits"]]


async def test_trap_h8_a_bomb_is_ended_where_no_group_counts(among_ours: Machine, plugin: Make) -> None:
    """Its processes are counted by looking; those that lost their parent with them."""
    bomb = plugin(
        among_ours,
        """
        import os, time
        for _ in range(200):
            if os.fork() == 0:
                if os.fork() == 0:
                    time.sleep(60)
                os._exit(0)
            os.wait()
        time.sleep(60)
        """,
    )
    with pytest.raises(CallFailed, match=f"more than {PROCESSES} processes"):
        await bomb.ask()
    await bomb.until_gone()


async def test_trap_h8_a_bomb_between_calls_is_ended(among_ours: Machine, plugin: Make) -> None:
    """Nobody waits for an answer of it, and it is looked at all the same."""
    bomb = plugin(
        among_ours,
        """
        import os, sys, time
        sys.stdin.readline()
        print("{}", flush=True)
        for _ in range(100):
            if os.fork() == 0:
                time.sleep(60)
        time.sleep(60)
        """,
    )
    await bomb.ask()
    await bomb.until_gone()


ALONE = '''
    import asyncio, json, os, sys, traceback
    from pathlib import Path
    from mairust_core.hooks.transport import CallFailed
    from mairust_core.model.isolation import Layer
    from mairust_core.sandbox.machine import look
    from mairust_core.sandbox.probing import tried
    from tests.support.plugins import make_plugin

    FORKING = """
        import os, sys
        for line in sys.stdin:
            if (pid := os.fork()) == 0:
                os._exit(0)
            os.waitpid(pid, 0)
            print("{}")
    """
    CROWDED = """
        import os, sys, time
        for line in sys.stdin:
            for _ in range(60):
                if os.fork() == 0:
                    time.sleep(60)
                    os._exit(0)
            print("{}", flush=True)
    """
    BOMB = """
        import os, sys, time
        sys.stdin.readline()
        for _ in range(2000):
            try:
                if os.fork() == 0:
                    time.sleep(60)
                    os._exit(0)
            except OSError:
                time.sleep(0.01)
        time.sleep(60)
    """

    async def until_few():
        """Whoever adopts what a plugin left has to have heard of its end: till then it counts."""
        while sum(map(is_ours, filter(str.isdecimal, os.listdir("/proc")))) > 250:
            await asyncio.sleep(0.05)

    def is_ours(pid):
        try:
            return f"Uid:\\t{os.getuid()}\\t" in Path("/proc", pid, "status").read_text()
        except OSError:
            return False

    async def main():
        machine = look()
        for layer in (Layer.NAMESPACES, Layer.CGROUP):
            machine = machine.lacking(layer, "taken away")
        machine = tried(machine)
        for _ in range(70):
            await asyncio.create_subprocess_exec("sleep", "60")
        forking = make_plugin(Path(sys.argv[1], "forking"), machine, FORKING)
        bomb = make_plugin(Path(sys.argv[1], "bomb"), machine, BOMB)
        crowded = make_plugin(Path(sys.argv[1], "crowded"), machine, CROWDED)
        told = {"user": os.getuid(), "grade": machine.grade.name}
        await crowded.ask()
        told["beside"] = (await forking.ask()).body.decode()
        try:
            await bomb.ask()
        except CallFailed as error:
            told["bomb"] = str(error)
        await until_few()
        told["after"] = (await forking.ask()).body.decode()
        for plugin in (forking, crowded, bomb):
            await plugin.transport.close()
        print(json.dumps(told), flush=True)

    try:
        asyncio.run(main())
    except BaseException:
        traceback.print_exc()
    finally:
        os.killpg(0, 9)
'''
SYSTEM_PYTHON = "/usr/bin/python3"


@needs_root_and_setpriv
@pytest.mark.usefixtures("among_ours")
def test_a_bomb_takes_no_process_from_its_neighbours() -> None:
    """Under a user that is not root, all whose processes the kernel counts as each plugin's."""
    if not os.path.exists(SYSTEM_PYTHON):
        pytest.skip("the system has no /usr/bin/python3")
    if sys.version_info[:2] != _version(SYSTEM_PYTHON):
        pytest.skip("the dependencies that are installed are of another Python than the system's own")
    here = Path(__file__).parents[3]
    with tempfile.TemporaryDirectory(prefix="mairust-test-") as directory:
        os.chown(directory, NOBODY, NOBODY)
        server = subprocess.run(
            [*AS_NOBODY, SYSTEM_PYTHON, "-S", "-c", textwrap.dedent(ALONE), directory],
            cwd=here,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": f"{here}:{sysconfig.get_path('platlib')}"},
            capture_output=True,
            timeout=100,
            start_new_session=True,
            check=False,
        )
    assert server.stdout, server.stderr.decode()
    assert json.loads(server.stdout) == {
        "user": NOBODY,
        "grade": "LANDLOCK",
        "beside": "{}",
        "after": "{}",
        "bomb": f"it had more than {PROCESSES} processes and threads",
    }


def _version(python: str) -> tuple[int, ...]:
    told = "import sys; print(*sys.version_info[:2])"
    done = subprocess.run([python, "-c", told], capture_output=True, text=True, check=True)
    return tuple(map(int, done.stdout.split()))
