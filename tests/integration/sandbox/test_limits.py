"""Plugins that take too much: each is stopped within its limits, with what it started (H8, R-BOX-2, R-BOX-4).

What they did is looked up in the process table of the machine, not in what they say. Each of them gives up
by itself, so that a sandbox that fails does not harm who tests it.
"""

from __future__ import annotations

import asyncio
import os
import re
import resource
from pathlib import Path

import pytest

from mairust_core.hooks.transport import CallFailed, CallTimedOut
from mairust_core.model.isolation import Layer
from mairust_core.model.plugin import Limits, ProcessMode
from mairust_core.sandbox.confinement import PROCESSES
from mairust_core.sandbox.machine import Machine
from mairust_core.sandbox.process import KEPT_ERROR_BYTES
from tests.integration.sandbox.conftest import Make
from tests.support.plugins import cpu_ms, resident_bytes

MIB = 1 << 20


@pytest.mark.parametrize("mode", ProcessMode)
async def test_trap_h8_a_flood_on_stdout_is_cut_off(
    machine: Machine, plugin: Make, mode: ProcessMode
) -> None:
    """It is ended after 128 KiB, though it would write two hundred."""
    flood = plugin(
        machine,
        """
        import os
        for _ in range(3200):
            os.write(1, b"x" * 65536)
        """,
        mode=mode,
    )
    with pytest.raises(CallFailed, match="more than 128 KiB"):
        await flood.ask()
    await flood.until_gone()


async def test_trap_h8_a_hundred_megabytes_of_json_are_no_answer(full: Machine, plugin: Make) -> None:
    """A document that is right in all but its size."""
    huge = plugin(
        full,
        """
        import sys
        sys.stdin.readline()
        sys.stdout.write('{"action": "deliver", "metadata": {"x": "')
        for _ in range(100):
            sys.stdout.write("y" * 1_000_000)
        print('"}}')
        """,
    )
    with pytest.raises(CallFailed, match="more than 128 KiB"):
        await huge.ask()
    await huge.until_gone()


async def test_trap_h8_a_flood_on_stderr_is_cut_off_and_its_beginning_kept(
    full: Machine, plugin: Make
) -> None:
    """Who asks for the log gets eight kibibytes of two hundred mebibytes."""
    flood = plugin(
        full,
        """
        import os
        for _ in range(3200):
            os.write(2, b"x" * 65536)
        """,
    )
    with pytest.raises(CallFailed, match="to stderr") as failed:
        await flood.ask()
    assert failed.value.log.startswith("x" * KEPT_ERROR_BYTES)
    assert len(failed.value.log) < KEPT_ERROR_BYTES + 100
    await flood.until_gone()


async def test_trap_h8_forks_end_at_the_limit_and_with_the_call(full: Machine, plugin: Make) -> None:
    """Of three hundred processes it gets as many as it may have; at the time-out they are all gone."""
    bomb = plugin(
        full,
        """
        import os, time
        for _ in range(300):
            try:
                if os.fork() == 0:
                    os.setsid()
                    time.sleep(60)
                    os._exit(0)
            except OSError:
                break
        time.sleep(60)
        """,
    )
    call = asyncio.ensure_future(bomb.ask(timeout_ms=5_000))
    seen = 0
    while not call.done():
        seen = max(seen, len(bomb.pids()))
        await asyncio.sleep(0.02)
    with pytest.raises(CallTimedOut):
        await call
    assert PROCESSES // 2 < seen <= PROCESSES + 2  # bubblewrap and its first process carry the marker, too
    await bomb.until_gone()


@pytest.mark.parametrize("mode", ProcessMode)
async def test_trap_h8_a_sleeper_is_ended_at_its_time_out(
    machine: Machine, plugin: Make, mode: ProcessMode
) -> None:
    """Though it ignores every signal that can be ignored, and its child left session and group."""
    sleeper = plugin(
        machine,
        """
        import os, signal, time
        for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(number, signal.SIG_IGN)
        if os.fork() == 0:
            try:
                os.setsid()
            except OSError:
                pass
        time.sleep(60)
        """,
        mode=mode,
    )
    call = asyncio.ensure_future(sleeper.ask(timeout_ms=3_000))
    await sleeper.pid()
    with pytest.raises(CallTimedOut, match="within 3000 ms"):
        await call
    await sleeper.until_gone()


async def test_the_wall_time_of_the_plugin_bounds_a_call(full: Machine, plugin: Make) -> None:
    """The lesser of the hook's time-out and its own counts."""
    sleeper = plugin(full, "import time; time.sleep(60)", limits=Limits(wall_time_ms=300))
    with pytest.raises(CallTimedOut, match="within 300 ms"):
        await sleeper.ask(timeout_ms=20_000)
    await sleeper.until_gone()


EATER = """
    import time
    kept = []
    for _ in range(1024):  # not so fast that nobody could see it in time
        kept.append(bytearray(1 << 20))
        time.sleep(0.005)
    time.sleep(60)
"""


async def test_trap_h8_memory_ends_at_the_limit(machine: Machine, plugin: Make) -> None:
    """Of a gibibyte that it wants, sixty-four mebibytes are ever its own."""
    eater = plugin(machine, EATER, limits=Limits(memory_mb=64, cpu_ms=10_000))
    call = asyncio.ensure_future(eater.ask())
    most = 0
    while not call.done():
        most = max(most, resident_bytes(eater.pids()))
        await asyncio.sleep(0.002)
    with pytest.raises(CallFailed) as failed:
        await call
    assert 24 * MIB < most < 96 * MIB  # with bubblewrap's own
    if machine.has(Layer.CGROUP):
        assert str(failed.value) == "it used more than 64 MB of memory"
    await eater.until_gone()


async def test_the_memory_of_all_its_processes_counts_together(machine: Machine, plugin: Make) -> None:
    """Four times eighty are more than a hundred."""
    eaters = plugin(
        machine,
        """
        import os, time
        for _ in range(3):
            if os.fork() == 0:
                break
        kept = []
        for _ in range(80):
            kept.append(b"x" * (1 << 20))
            time.sleep(0.02)
        time.sleep(60)
        """,
        limits=Limits(memory_mb=100, cpu_ms=10_000),
    )
    call = asyncio.ensure_future(eaters.ask())
    most = 0
    while not call.done():
        most = max(most, resident_bytes(eaters.pids()))
        await asyncio.sleep(0.002)
    with pytest.raises(CallFailed):
        await call
    assert 40 * MIB < most < 200 * MIB
    await eaters.until_gone()


BURNER = """
    import sys
    sys.stdin.readline()
    while True:
        pass
"""


@pytest.mark.parametrize("mode", ProcessMode)
async def test_trap_h8_cpu_ends_at_the_limit(machine: Machine, plugin: Make, mode: ProcessMode) -> None:
    """Long before its time-out; a worker has its start-up on top, once."""
    burner = plugin(machine, BURNER, mode=mode, limits=Limits(cpu_ms=300))
    call = asyncio.ensure_future(burner.ask())
    pid = await burner.pid()
    used = 0
    while not call.done():
        used = max(used, cpu_ms(pid))
        await asyncio.sleep(0.005)
    with pytest.raises(CallFailed, match="more than 300 ms of CPU") as failed:
        await call
    assert not isinstance(failed.value, CallTimedOut)
    assert 100 <= used <= (4_000 if mode is ProcessMode.WORKER else 1_600)
    await burner.until_gone()


async def test_cpu_is_counted_for_each_call_of_a_worker(machine: Machine, plugin: Make) -> None:
    """Ten calls may use ten times what one may; the one that uses too much ends it."""
    worker = plugin(
        machine,
        """
        import sys, time
        for line in sys.stdin:
            until = time.process_time() + float(line)
            while time.process_time() < until:
                pass
            print("{}")
        """,
        limits=Limits(cpu_ms=300),
    )
    for _ in range(10):
        await worker.ask(b"0.1")
    pid = await worker.pid()
    assert cpu_ms(pid) >= 900
    with pytest.raises(CallFailed, match="more than 300 ms of CPU"):
        await worker.ask(b"1.5")
    await worker.until_gone()


async def test_cpu_between_calls_is_the_plugins_too(full: Machine, plugin: Make) -> None:
    """A thread that works on after the answer ends the worker."""
    busy = plugin(
        full,
        """
        import sys, threading
        def burn():
            while True: pass
        sys.stdin.readline()
        threading.Thread(target=burn, daemon=True).start()
        print("{}")
        sys.stdin.readline()
        """,
        limits=Limits(cpu_ms=300),
    )
    await busy.ask()
    assert busy.pids()
    await busy.until_gone()


async def test_cpu_of_its_children_counts(machine: Machine, plugin: Make) -> None:
    """Four of them burn what one would have taken four times as long for."""
    burners = plugin(
        machine,
        """
        import os
        os.fork(), os.fork()
        while True: pass
        """,
        mode=ProcessMode.ONESHOT,
        limits=Limits(cpu_ms=400),
    )
    with pytest.raises(CallFailed, match="more than 400 ms of CPU"):
        await burners.ask()
    await burners.until_gone()


async def test_what_it_was_told_is_left_in_no_core_file(machine: Machine, plugin: Make) -> None:
    """Whatever the server itself may leave: its limit is nothing, and it cannot raise it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    try:
        sleeper = plugin(machine, "import sys; sys.stdin.readline(); print('{}'); sys.stdin.readline()")
        await sleeper.ask()
        limits = _limits(await sleeper.pid())
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))
    assert re.findall(r"^Max core file size +(\S+) +(\S+)", limits, re.MULTILINE) == [("0", "0")]


def _limits(pid: int) -> str:
    return Path(f"/proc/{pid}/limits").read_text()


LEAVING = """
    import ctypes, mmap, os, select, sys, time
    libc = ctypes.CDLL(None)
    def of_nobody():
        if (middle := os.fork()) == 0:
            return os.fork() and os._exit(0)
        os.waitpid(middle, 0)
        return 1
    def of_somebody_else():
        return libc.syscall(56 if os.uname().machine == "x86_64" else 220, 0x8011, 0, 0, 0, 0)
    sys.stdin.readline()
    libc.prctl(36, 0, 0, 0, 0)
    ended, ends = os.pipe()
    left = {leave}()
    if left < 0:
        sys.exit(1)
    if left == 0:
        for fd in range(3):
            os.close(fd)
        {take}
        os._exit(0)
    os.close(ends)
    select.select([ended], [], [], 60)
    os.killpg(0, 9)
"""
"""A child that is not its parent's any more takes what it may not; its group gives up after it."""
SHARED = """
        kept = mmap.mmap(-1, 256 << 20)
        for at in range(0, 256 << 20, 1 << 20):  # not so fast that nobody could see it in time
            kept[at : at + (1 << 20)] = b"x" * (1 << 20)
            time.sleep(0.02)
        time.sleep(60)"""


@pytest.mark.parametrize(
    ("leave", "why"),
    [("of_nobody", "more than 400 ms of CPU"), ("of_somebody_else", "with exit status 1")],
)
async def test_trap_h8_cpu_of_a_child_that_left_its_parent_counts(
    machine: Machine, plugin: Make, leave: str, why: str
) -> None:
    """A process forked twice is an orphan; to be the server's own child none gets."""
    burners = plugin(
        machine,
        LEAVING.format(leave=leave, take="while True: pass"),
        mode=ProcessMode.ONESHOT,
        limits=Limits(cpu_ms=400),
    )
    call = asyncio.ensure_future(burners.ask())
    used = 0
    while not call.done():
        used = max(used, sum(cpu_ms(pid) for pid in burners.pids()))
        await asyncio.sleep(0.005)
    with pytest.raises(CallFailed, match=why):
        await call
    assert used <= 1_600
    await burners.until_gone()


async def test_trap_h8_memory_shared_by_a_child_that_left_its_parent_counts(
    machine: Machine, plugin: Make
) -> None:
    """Of 256 MB that no limit of a process counts it gets no more than it may have."""
    eater = plugin(
        machine,
        LEAVING.format(leave="of_nobody", take=SHARED),
        mode=ProcessMode.ONESHOT,
        limits=Limits(memory_mb=64, cpu_ms=10_000),
    )
    call = asyncio.ensure_future(eater.ask())
    most = 0
    while not call.done():
        most = max(most, resident_bytes(eater.pids()))
        await asyncio.sleep(0.002)
    with pytest.raises(CallFailed, match=r"64 MB|ended"):
        await call
    assert most < 200 * MIB
    await eater.until_gone()


async def test_trap_h8_cpu_of_children_that_nobody_waits_for_counts(machine: Machine, plugin: Make) -> None:
    """One after the other takes less than the limit, and the kernel books none of it to their parent."""
    ignoring = plugin(
        machine,
        """
        import os, signal, sys, time
        sys.stdin.readline()
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        for _ in range(40):
            if (child := os.fork()) == 0:
                while time.process_time() < 0.2:
                    pass
                os._exit(0)
            try:
                os.waitpid(child, 0)
            except ChildProcessError:
                pass
        """,
        mode=ProcessMode.ONESHOT,
        limits=Limits(cpu_ms=800),
    )
    with pytest.raises(CallFailed, match="more than 800 ms of CPU"):
        await ignoring.ask()
    await ignoring.until_gone()


async def test_children_that_ended_and_nobody_waits_for_are_not_too_many(
    machine: Machine, plugin: Make
) -> None:
    """A worker whose calls each leave an orphan: what is dead takes no place that a process may have."""
    leaving = plugin(
        machine,
        """
        import os, sys
        for _ in sys.stdin:
            if (middle := os.fork()) == 0:
                if os.fork() == 0:
                    os._exit(0)
                os._exit(0)
            os.waitpid(middle, 0)
            print("{}", flush=True)
        """,
    )
    await leaving.ask()
    first = await leaving.pid()
    for _ in range(80):
        await leaving.ask()
    assert await leaving.pid() == first, "one process answered them all"


async def test_its_tmp_is_its_own_and_small(full: Machine, plugin: Make) -> None:
    """Sixteen mebibytes, seen through its root from outside; nothing of it is on our disk."""
    writer = plugin(
        full,
        """
        import sys, time
        sys.stdin.readline()
        try:
            for number in range(64):
                with open(f"/tmp/{number}", "wb") as out:
                    out.write(bytes(1 << 20))
        except OSError:
            pass
        print("{}")
        sys.stdin.readline()
        """,
    )
    await writer.ask()
    written = _written_bytes(await writer.pid())
    assert 8 * MIB < written <= 16 * MIB


def _written_bytes(pid: int) -> int:
    disk = os.statvfs(f"/proc/{pid}/root/tmp")
    return (disk.f_blocks - disk.f_bfree) * disk.f_frsize
