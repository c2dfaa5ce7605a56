"""Processes that run Python without its start: forked from one that has imported everything already.

A command of ours takes a tenth of a second, its imports half of one; tests that start hundreds of them to
kill them, or to see two at work at once, pay for the imports once. What runs is a process like any other,
with its own id, directory, environment, descriptors and end. Tests of starting itself, of what is
imported, of `serve`, and of terminals use `subprocess`.

    done = forks.run([sys.executable, "-m", "mairust_cli.entry", "init"], env=…, cwd=…, timeout=60)
    with forks.Popen([sys.executable, "-c", CODE, "1"], stdout=subprocess.PIPE) as process: …

The forking process ends with the one that started it, and its children with it.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import gc
import importlib
import json
import os
import pkgutil
import runpy
import select
import selectors
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, AnyStr

CHECKOUT = Path(__file__).parents[2]
PRELOADED = (
    *("alembic.command", "mairust_cli", "mairust_core", "pyrage", "rich.progress", "rich.table", "uvloop"),
    *("tests.support.changes", "tests.support.invariants", "tests.support.stores"),
)
"""Of packages everything in them."""
RUN_BY_ALEMBIC = "mairust_core.store.migrations.env"
_MESSAGE_BYTES = 1 << 20
_PR_SET_PDEATHSIG = 1
_starting = threading.Lock()


class Popen(subprocess.Popen[AnyStr]):
    """`subprocess.Popen` for a command that begins with `sys.executable` and `-m` or `-c`.

    Takes no `pass_fds`, `preexec_fn`, `shell`, `umask` or other user.
    """

    _status: socket.socket | None = None

    def _execute_child(self, args: Sequence[str], *given: Any) -> None:
        _, preexec_fn, _, pass_fds, cwd, env, _, _, shell = given[:9]
        fds: Sequence[int] = given[9:15]
        new_session: bool = given[20]
        assert list(args[:1]) == [sys.executable]
        assert not any((preexec_fn, pass_fds, shell))
        request = {
            "arguments": list(map(os.fsdecode, args[1:])),
            "directory": str(cwd or Path.cwd()),
            "environment": dict(os.environ if env is None else env),
            "session": new_session,
        }
        standard: list[int] = [
            one if one >= 0 else number for number, one in enumerate((fds[0], fds[3], fds[5]))
        ]
        with _starting:
            forker = _forker()
        # Messages, not a stream: who ends at once is told of twice before that is read.
        self._status, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            socket.send_fds(forker, [json.dumps(request).encode()], [*standard, theirs.fileno()])
        pid = self._status.recv(64)
        if not pid:
            self._status.close()
            raise ChildProcessError("the forking process has ended; its stderr says why")
        self.pid, self._child_created = int(pid), True
        self._close_pipe_fds(*fds)  # type: ignore[attr-defined]  # as the method it stands for does

    def fileno(self) -> int:
        """What `select` waits on for its end; only before that was asked for in another way."""
        assert self._status is not None
        return self._status.fileno()

    def _try_wait(self, wait_flags: int) -> tuple[int, int]:
        """As `waitpid`, from what the forking process is told: the child is its, not ours."""
        assert self._status is not None
        if wait_flags & os.WNOHANG and not select.select([self._status], [], [], 0)[0]:
            return 0, 0
        said = self._status.recv(64)
        self._status.close()
        return self.pid, int(said or signal.SIGKILL)

    def _internal_poll(self, _deadstate: int | None = None) -> int | None:
        if self.returncode is not None or not self._child_created:
            return self.returncode
        lock: threading.Lock = self._waitpid_lock  # type: ignore[attr-defined]  # which `wait` holds, too
        if not lock.acquire(blocking=False):
            return None
        with contextlib.ExitStack() as held:
            held.callback(lock.release)
            pid, status = (0, 0) if self.returncode is not None else self._try_wait(os.WNOHANG)
            if pid:
                self._handle_exitstatus(status)  # type: ignore[attr-defined]
        return self.returncode


def run(
    command: Sequence[str | bytes],
    *,
    input: bytes | None = None,
    timeout: float | None = None,
    **options: Any,
) -> subprocess.CompletedProcess[Any]:
    """`subprocess.run` with its output captured; without `input` nothing is on its stdin."""
    stdin = subprocess.DEVNULL if input is None else subprocess.PIPE
    pipe = subprocess.PIPE
    with Popen[Any](command, stdin=stdin, stdout=pipe, stderr=pipe, **options) as process:
        try:
            out, err = process.communicate(input, timeout)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(command, process.returncode, out, err)


@cache
def _forker() -> socket.socket:
    """The connection to the forking process of this one, started when it is first needed."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.forks", str(theirs.fileno())],
            cwd=CHECKOUT,
            env={name: value for name, value in os.environ.items() if not name.startswith("MAIRUST_")},
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
        )

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


def _serve(control: socket.socket) -> dict[str, Any]:
    """Fork for every request; returns the request in each child, and never in the parent."""
    status_of: dict[int, tuple[int, socket.socket]] = {}
    with selectors.DefaultSelector() as waiting:
        waiting.register(control, selectors.EVENT_READ)
        while True:
            for key, _ in waiting.select():
                if key.fd != control.fileno():
                    _tell_end(waiting, key.fd, *status_of.pop(key.fd))
                    continue
                message, fds, _, _ = socket.recv_fds(control, _MESSAGE_BYTES, 4)
                if not message:
                    sys.exit()
                status = socket.socket(fileno=fds[3])
                if not (pid := os.fork()):
                    for one in (*(held for _, held in status_of.values()), status, control):
                        one.close()
                    for other in status_of:
                        os.close(other)
                    return {**json.loads(message), "fds": fds[:3]}
                for fd in fds[:3]:
                    os.close(fd)
                status.send(b"%d" % pid)
                ended = os.pidfd_open(pid)
                status_of[ended] = pid, status
                waiting.register(ended, selectors.EVENT_READ)


def _tell_end(waiting: selectors.BaseSelector, ended: int, pid: int, status: socket.socket) -> None:
    waiting.unregister(ended)
    os.close(ended)
    _, code = os.waitpid(pid, 0)
    with status:
        try:
            status.send(b"%d" % code)
        except BrokenPipeError:
            return  # nobody wants to know


def _become(request: dict[str, Any]) -> None:
    """Turn into the process that was asked for."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if request["session"]:
        os.setsid()
    for target, fd in enumerate(request["fds"]):
        os.dup2(fd, target)
        os.close(fd)
    os.chdir(request["directory"])
    os.environ.clear()
    os.environ.update(request["environment"])
    importlib.reload(importlib.import_module("mairust_core.observe.faults"))  # it reads the environment
    kind, what, *arguments = request["arguments"]
    sys.argv = [what if kind == "-m" else "-c", *arguments]
    if kind == "-m":
        sys.modules.pop(what, None)
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    else:
        exec(compile(what, "<string>", "exec"), {"__name__": "__main__"})


def _main(control: str) -> None:
    for name in PRELOADED:
        package = importlib.import_module(name)
        for found in pkgutil.walk_packages(getattr(package, "__path__", ()), f"{name}."):
            if found.name != RUN_BY_ALEMBIC:
                importlib.import_module(found.name)
    assert threading.active_count() == 1, "a fork copies no other thread"
    gc.freeze()
    with socket.socket(fileno=int(control)) as connection:
        request = _serve(connection)
    _become(request)


def _leave(code: int) -> None:
    """End as Python does, but take nothing apart of what was imported: that would copy every page of it.

    Returns when the output cannot be written, for Python to say so.
    """
    threading._shutdown()  # type: ignore[attr-defined]  # waits for threads, as Python does
    atexit._run_exitfuncs()
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None and not stream.closed:
                stream.flush()
    except OSError:
        return
    os._exit(code)


if __name__ == "__main__":
    code: Any = 0
    try:
        _main(sys.argv[1])
    except SystemExit as end:
        code = end.code or 0
        if not isinstance(code, int):
            raise
    _leave(code)
    sys.exit(code)
