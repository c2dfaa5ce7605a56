"""What processes answer, in time or not: bytes as they came, or a failure and why (R-BOX-1, trap H1)."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from mairust_core.hooks.pool import Transports
from mairust_core.hooks.stdin import open_stdin
from mairust_core.hooks.transport import Alive, CallFailed, CallTimedOut
from mairust_core.hooks.workers import SIZE, Workers
from mairust_core.model.isolation import Layer
from mairust_core.model.plugin import ProcessMode, Runnable
from mairust_core.sandbox.cgroups import OURS, ROOT
from mairust_core.sandbox.machine import Machine
from mairust_core.sandbox.probing import tried
from tests.integration.sandbox.conftest import Make, machine_without
from tests.support.plugins import ECHO, PATIENCE_S, call, descriptors

SYSTEM_PYTHON = "/usr/bin/python3"


async def test_a_worker_answers_line_by_line(machine: Machine, plugin: Make) -> None:
    """One process for all of them."""
    echo = plugin(machine, ECHO)
    for number in range(20):
        answer = await echo.ask(b"%d" % number)
        assert answer.body == b'{"action": "deliver", "asked": %d}' % number
    assert len({await echo.pid()}) == 1


async def test_a_oneshot_answers_with_all_it_writes(machine: Machine, plugin: Make) -> None:
    """On several lines if it likes; its stdin ends after the question."""
    whole = plugin(
        machine,
        """
        import sys
        sys.stderr.write("seen\\n")
        print("{", repr(sys.stdin.read()), "}", sep="\\n")
        """,
        mode=ProcessMode.ONESHOT,
    )
    answer = await whole.ask(b"a question")
    assert (answer.body, answer.log) == (b"{\n'a question\\n'\n}\n", "seen\n")


async def test_a_shell_script_is_a_plugin(machine: Machine, plugin: Make) -> None:
    """With the tools of the system."""
    shell = plugin(
        machine, "", mode=ProcessMode.ONESHOT, command=("sh", "-c", "read q; echo $q | sed s/a/b/")
    )
    assert (await shell.ask(b"aha")).body == b"bha\n"


@pytest.mark.parametrize("mode", ProcessMode)
async def test_a_shell_script_with_its_own_line_is_a_plugin(
    machine: Machine, plugin: Make, mode: ProcessMode
) -> None:
    """By the interpreter that its first line names: one process for all questions, or one for each."""
    text = """\
        #!/bin/sh
        while read -r question; do
            echo "{\\"asked\\": $question, \\"process\\": $$}"
        done
    """
    shell = plugin(machine, text, mode=mode, command=("./plugin.py",))
    (shell.directory / "plugin.py").chmod(0o755)
    answers = [json.loads((await shell.ask(b"%d" % number)).body) for number in range(3)]
    assert [one["asked"] for one in answers] == [0, 1, 2]
    if mode is ProcessMode.WORKER:
        assert len({one["process"] for one in answers}) == 1
        assert _is_plugin(await shell.pid())
    else:
        await shell.until_gone()


@pytest.mark.parametrize("mode", ProcessMode)
async def test_the_systems_own_python_is_an_interpreter(
    machine: Machine, plugin: Make, mode: ProcessMode
) -> None:
    """Not only the one that runs us: that of the distribution, with the modules it brings."""
    if not os.access(SYSTEM_PYTHON, os.X_OK):
        pytest.skip("the system has no /usr/bin/python3")
    text = """
        import ctypes, decimal, email, hashlib, json, multiprocessing, ssl, subprocess, sys, threading
        for line in sys.stdin:
            said = []
            thread = threading.Thread(target=lambda: said.append(hashlib.sha256(line.encode()).hexdigest()))
            thread.start()
            thread.join()
            told = subprocess.run(["sh", "-c", "cat"], input=line, text=True, capture_output=True, check=True)
            print(json.dumps({"echo": told.stdout.strip(), "hash": said[0]}), flush=True)
    """
    odd = plugin(machine, text, mode=mode, command=(SYSTEM_PYTHON, "plugin.py"))
    answer = json.loads((await odd.ask(b"ping")).body)
    assert answer == {"echo": "ping", "hash": hashlib.sha256(b"ping\n").hexdigest()}
    if mode is ProcessMode.WORKER:
        assert _program(f"/proc/{await odd.pid()}/exe") == _program(SYSTEM_PYTHON)


async def test_questions_of_megabytes_arrive_whole(full: Machine, plugin: Make) -> None:
    """Larger than any pipe."""
    counter = plugin(
        full,
        """
        import sys
        for line in sys.stdin:
            print(len(line))
        """,
    )
    assert (await counter.ask(b"x" * 20_000_000)).body == b"20000001"


async def test_trap_h1_half_an_answer_is_none(machine: Machine, plugin: Make) -> None:
    """The process ended in the middle of its line."""
    half = plugin(machine, "print('{\"action\":', end='')")
    with pytest.raises(CallFailed, match="ended before it answered, with exit status 0"):
        await half.ask()


async def test_trap_h1_half_an_answer_that_goes_no_further_is_late(full: Machine, plugin: Make) -> None:
    """The process stays."""
    half = plugin(full, "import time; print('{\"action\":', end=''); time.sleep(60)")
    with pytest.raises(CallTimedOut):
        await half.ask(timeout_ms=500)
    await half.until_gone()


async def test_invalid_utf_8_comes_through_as_it_is(full: Machine, plugin: Make) -> None:
    """Who reads answers judges them; the log is readable."""
    odd = plugin(
        full,
        r"""
        import os, sys
        sys.stdin.readline()
        os.write(2, b"caf\xe9")
        os.write(1, b"\xff\xfe{}\n")
        sys.stdin.readline()
        """,
    )
    answer = await odd.ask()
    assert (answer.body, answer.log) == (b"\xff\xfe{}", "caf\N{REPLACEMENT CHARACTER}")


async def test_trap_h1_a_process_that_closes_early_fails_the_call(machine: Machine, plugin: Make) -> None:
    """Before it read a question of two megabytes."""
    early = plugin(machine, "import sys; sys.exit(3)")
    with pytest.raises(CallFailed, match="exit status 3"):
        await early.ask(b"x" * 2_000_000)


async def test_a_oneshot_that_fails_has_not_answered(full: Machine, plugin: Make) -> None:
    """Whatever it wrote."""
    failing = plugin(full, "import sys; print('{}'); sys.exit(1)", mode=ProcessMode.ONESHOT)
    with pytest.raises(CallFailed, match="exit status 1"):
        await failing.ask()


async def test_a_crash_is_told_by_its_signal(machine: Machine, plugin: Make) -> None:
    """And what it said before is in the log."""
    crashing = plugin(machine, "import os, sys; sys.stderr.write('oh'); sys.stderr.flush(); os.abort()")
    with pytest.raises(CallFailed, match="SIGABRT") as failed:
        await crashing.ask()
    assert failed.value.log == "oh"
    assert failed.value.notes["missing"] == [one.layer for one in machine.isolation.missing]


async def test_trap_h8_a_process_that_never_reads_is_ended(full: Machine, plugin: Make) -> None:
    """With its question still in our hands."""
    deaf = plugin(full, "import time; time.sleep(60)")
    with pytest.raises(CallTimedOut):
        await deaf.ask(b"x" * 2_000_000, timeout_ms=1_500)
    await deaf.until_gone()


async def test_an_answer_before_the_question_was_read_is_none(full: Machine, plugin: Make) -> None:
    """It cannot be an answer to it."""
    hasty = plugin(full, "import time; print('{}'); time.sleep(60)")
    with pytest.raises(CallFailed, match="before it had read the question"):
        await hasty.ask(b"x" * 2_000_000)
    await hasty.until_gone()


async def test_a_late_answer_is_not_taken_for_the_next_one(full: Machine, plugin: Make) -> None:
    """The worker that was late is gone; another one is asked."""
    late = plugin(
        full,
        """
        import sys, time
        for line in sys.stdin:
            time.sleep(float(line))
            print("answer to", line.strip())
        """,
    )
    await late.ask(b"0")
    first = await late.pid()
    with pytest.raises(CallTimedOut):
        await late.ask(b"1.0", timeout_ms=300)
    assert (await late.ask(b"0")).body == b"answer to 0"
    assert await late.pid() != first


@pytest.mark.parametrize("said", ["print('{}\\n{}')", "print('{}'); time.sleep(0.3); print('{}')"])
async def test_a_worker_that_speaks_unasked_is_replaced(full: Machine, plugin: Make, said: str) -> None:
    """Two lines for one question, at once or later: none of them reaches the next call."""
    chatty = plugin(full, f"import sys, time\nsys.stdin.readline()\n{said}\nsys.stdin.readline()")
    with suppress(CallFailed):  # both came in one piece
        assert (await chatty.ask()).body == b"{}"
    await chatty.until_gone()


async def test_rule_h3_a_worker_ends_after_its_calls(full: Machine, plugin: Make) -> None:
    """What it kept in memory goes with it."""
    counting = plugin(
        full,
        """
        import sys
        for number, line in enumerate(sys.stdin):
            print(number)
        """,
        max_calls=3,
    )
    for _ in range(2):
        assert [(await counting.ask()).body for _ in range(3)] == [b"0", b"1", b"2"]
        await counting.until_gone()


async def test_a_changed_plugin_gets_new_workers(full: Machine, plugin: Make) -> None:
    """Busy ones of the old end after their call, whose answer counts; at last all of the old are gone."""
    slow = plugin(
        full,
        """
        import sys, time
        for line in sys.stdin:
            time.sleep(float(line))
            print("old")
        """,
    )
    pool = Transports(lambda _: lambda runnable: open_stdin(runnable, slow.confinement))
    old, new = slow.runnable, replace(slow.runnable, generation=1)
    pool.prepare([old])
    pool.keep([old])

    async def ask(runnable: Runnable, seconds: bytes) -> bytes:
        async with pool.to(runnable) as transport:
            return (await transport.call(call(seconds))).body

    try:
        assert await ask(old, b"0") == b"old"
        first = await slow.pid()
        busy = asyncio.ensure_future(ask(old, b"0.6"))
        await asyncio.sleep(0)
        (slow.directory / "plugin.py").write_text(
            "import sys\nfor line in sys.stdin: print('new', flush=True)"
        )
        pool.keep([new])
        assert await ask(new, b"0") == b"new"
        assert await busy == b"old"
        assert await ask(new, b"0") == b"new"
        async with asyncio.timeout(PATIENCE_S):
            while first in slow.pids():  # noqa: ASYNC110 - the process table rings no bell
                await asyncio.sleep(0.01)
        assert pool.workers() == {new.id: Alive(workers=1, busy=0)}
    finally:
        await pool.close()
    await slow.until_gone()


@pytest.mark.parametrize("mode", [ProcessMode.WORKER, ProcessMode.ONESHOT])
async def test_what_a_call_took_is_told(machine: Machine, plugin: Make, mode: ProcessMode) -> None:
    """CPU of this call, not of the program's start; the most memory that was seen; also when it fails."""
    busy = plugin(
        machine,
        """
        import sys, time
        for line in sys.stdin:
            held = bytearray(30 << 20)
            began = time.process_time()
            while time.process_time() - began < 0.2:
                pass
            if "fail" in line:
                sys.exit(3)
            print("{}", flush=True)
        """,
        mode=mode,
    )
    used = (await busy.ask()).used
    assert 150_000 <= used.cpu_us < 1_000_000
    assert used.memory_bytes > 30 << 20
    with pytest.raises(CallFailed) as failed:
        await busy.ask(b"fail")
    assert failed.value.used.cpu_us >= 100_000  # seen every 20 ms, where nothing counts


async def test_workers_are_made_as_calls_need_them(full: Machine, plugin: Make) -> None:
    """Never more than the pool is large."""
    slow = plugin(
        full,
        """
        import sys, time
        for line in sys.stdin:
            time.sleep(0.2)
            print("{}")
        """,
    )
    calls = [asyncio.ensure_future(slow.ask()) for _ in range(3 * SIZE)]
    most = 0
    while not all(one.done() for one in calls):
        most = max(most, len([pid for pid in slow.pids() if _is_plugin(pid)]))
        await asyncio.sleep(0.01)
    assert [(await one).body for one in calls] == [b"{}"] * len(calls)
    assert 2 <= most <= SIZE


@pytest.mark.parametrize(
    ("mode", "servers", "most"),
    [
        (ProcessMode.WORKER, 2, 3),
        (ProcessMode.WORKER, 9, 1),
        (ProcessMode.ONESHOT, 2, 4),
        (ProcessMode.ONESHOT, 9, 1),
    ],
)
async def test_rule_h3_server_processes_of_a_node_share_its_processes(
    full: Machine, plugin: Make, mode: ProcessMode, servers: int, most: int
) -> None:
    """Each has its part and one at least."""
    slow = plugin(
        full,
        """
        import sys, time
        for line in sys.stdin:
            time.sleep(0.3)
            print("{}", flush=True)
        """,
        mode=mode,
    )
    pool = open_stdin(slow.runnable, slow.confinement, servers)
    try:
        calls = [asyncio.ensure_future(pool.call(call())) for _ in range(most + 2)]
        seen = 0
        while not all(one.done() for one in calls):
            seen = max(seen, len([pid for pid in slow.pids() if _is_plugin(pid)]))
            await asyncio.sleep(0.01)
        assert [(await one).body.strip() for one in calls] == [b"{}"] * len(calls)
    finally:
        await pool.close()
    assert min(2, most) <= seen <= most


async def test_workers_that_are_not_needed_end(full: Machine, plugin: Make) -> None:
    """After a burst one stays, and it answers."""
    slow = plugin(
        full,
        """
        import sys, time
        for line in sys.stdin:
            time.sleep(float(line))
            print("{}")
        """,
    )
    pool = Workers(slow.runnable, slow.confinement, idle_s=0.3)
    try:
        await asyncio.gather(*(pool.call(call(b"0.2")) for _ in range(3)))
        assert len([pid for pid in slow.pids() if _is_plugin(pid)]) == 3
        async with asyncio.timeout(20):
            while len([pid for pid in slow.pids() if _is_plugin(pid)]) > 1:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert (await pool.call(call(b"0"))).body == b"{}"
    finally:
        await pool.close()


async def test_rule_h1_where_it_is_said_a_plugin_runs_in_what_there_is(plugin: Make) -> None:
    """With `plugins.sandbox = "off"`: limits hold, and the trace says what did not."""
    machine = machine_without(Layer.NAMESPACES)
    bare = tried(machine.lacking(Layer.LANDLOCK, "taken away").lacking(Layer.SECCOMP, "taken away"))
    refused = plugin(bare, ECHO)
    with pytest.raises(CallFailed, match="files and network cannot be kept from it here"):
        await refused.ask()
    confinement = replace(refused.confinement, is_required=False)
    pool = Workers(refused.runnable, confinement)
    try:
        answer = await pool.call(call(b"1"))
        assert answer.body == b'{"action": "deliver", "asked": 1}'
        assert answer.notes["sandbox"] == "limits"
        assert {"namespaces", "landlock", "seccomp"} <= {*answer.notes["missing"]}
    finally:
        await pool.close()


async def test_rule_e4_waiting_for_a_worker_counts(full: Machine, plugin: Make) -> None:
    """A call that got none in its time is late, and takes nobody's turn."""
    slow = plugin(
        full,
        """
        import sys, time
        for line in sys.stdin:
            time.sleep(0.8)
            print("{}")
        """,
    )
    pool = Workers(slow.runnable, slow.confinement, size=1)
    try:
        first = asyncio.ensure_future(pool.call(call()))
        await asyncio.sleep(0)
        with pytest.raises(CallTimedOut):
            await pool.call(call(timeout_ms=200))
        assert (await first).body == b"{}"
        assert (await pool.call(call())).body == b"{}"
    finally:
        await pool.close()


async def test_a_cancelled_call_ends_its_worker(full: Machine, plugin: Make) -> None:
    """It would answer nobody."""
    sleeper = plugin(full, "import time; time.sleep(60)")
    asked = asyncio.ensure_future(sleeper.ask())
    await sleeper.pid()
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    await sleeper.until_gone()


@pytest.mark.parametrize("mode", ProcessMode)
async def test_closing_fails_calls_under_way_and_leaves_nothing(
    machine: Machine, plugin: Make, mode: ProcessMode
) -> None:
    """No process, no descriptor, no control group."""
    before = descriptors()
    sleeper = plugin(machine, "import time; time.sleep(60)", mode=mode)
    calls = [asyncio.ensure_future(sleeper.ask()) for _ in range(3)]
    await sleeper.pid()
    await sleeper.transport.close()
    for one in calls:
        with pytest.raises(CallFailed):
            await one
    with pytest.raises(CallFailed, match="closed"):
        await sleeper.ask()
    assert sleeper.pids() == []
    assert descriptors() == before
    assert _groups_of(os.getpid()) == []


@pytest.mark.parametrize(
    ("command", "why"),
    [(("no-such-program",), "No such file"), (("./plugin.py",), "Permission denied")],
)
async def test_what_cannot_be_started_says_why(
    machine: Machine, plugin: Make, command: tuple[str, ...], why: str
) -> None:
    """The launcher's reason, not its traceback."""
    absent = plugin(machine, "", command=command)
    with pytest.raises(CallFailed, match=f"could not be started: start: .*{why}"):
        await absent.ask()


async def test_a_plugin_without_its_directory_says_so(full: Machine, plugin: Make, tmp_path: Path) -> None:
    """Bubblewrap's reason."""
    gone = plugin(full, ECHO)
    (gone.directory / "plugin.py").unlink()
    gone.directory.rmdir()
    with pytest.raises(CallFailed, match=r"could not be started: .*No such file"):
        await gone.ask()


@pytest.mark.parametrize("free", range(0, 24, 2))
async def test_without_descriptors_a_call_fails_and_leaves_nothing(
    full: Machine, plugin: Make, free: int
) -> None:
    """Wherever they run out on the way; with enough of them again it answers."""
    echo = plugin(full, ECHO)
    before = descriptors()
    said = ""
    with _all_but(free):
        try:
            await echo.ask(b"1")
        except CallFailed as failed:
            said = str(failed)
    assert "Too many open files" in said or free > 5
    assert (await echo.ask(b"1")).body == b'{"action": "deliver", "asked": 1}'
    await echo.transport.close()
    assert echo.pids() == []
    assert descriptors() == before


@contextmanager
def _all_but(free: int) -> Iterator[None]:
    """Every descriptor taken, but for some."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
    held = []
    try:
        with suppress(OSError):
            while True:
                held.append(os.dup(0))
        for _ in range(free):
            os.close(held.pop())
        yield
    finally:
        for fd in held:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _program(path: str) -> Path:
    return Path(path).resolve()


def _is_plugin(pid: int) -> bool:
    try:
        return b"plugin.py" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def _groups_of(pid: int) -> list[Path]:
    return [path for path in ROOT.rglob(f"{OURS}/{pid}-*") if path.is_dir()]
