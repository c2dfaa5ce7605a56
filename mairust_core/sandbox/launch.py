"""The child that shuts itself in and becomes the plugin: the last code of ours on the way to it.

Runs as `python -I -S launch.py FD` with the standard library alone. FD holds what to do, by `marshal`, from
the process that started it (`Confinement.told`). It writes `ok` on the status descriptor just before it
becomes the plugin, and `!`, the layer and the reason when something fails: then there is no plugin. Each
step can only take away.
"""

from __future__ import annotations

import ctypes
import marshal
import os
import resource
import sys
from contextlib import suppress
from typing import Any

_PR_SET_PDEATHSIG, _PR_SET_SECCOMP, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 1, 22, 24, 38
_PR_SET_CHILD_SUBREAPER = 36
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 47, 4
_SECCOMP_MODE_FILTER = 2
_CAPABILITY_VERSION_3 = 0x20080522
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
_PATH_BENEATH, _NET_PORT = 1, 2
_SIGKILL, _SIGPIPE, _SIGXFSZ = 9, 13, 25

_STDERR = 2

_libc = ctypes.CDLL(None, use_errno=True)
_libc.prctl.argtypes = (ctypes.c_int, *(ctypes.c_ulong,) * 4)


def main() -> None:
    """Do as told; never returns."""
    _inherit_nothing()
    told = _read(int(sys.argv[1]))
    status, step = told["status"], ""
    try:
        for layer, take_away in _STEPS:
            step = layer
            take_away(told)
        os.write(status, b"ok")
        step = "start"
        os.execvpe(told["argv"][0], told["argv"], told["env"])  # noqa: S606 - the plugin's own command
    except BaseException as error:
        os.write(status, f"!{step}: {error}".encode("utf-8", "replace")[:1024])
        os._exit(126)


def _inherit_nothing() -> None:
    """Whatever descriptor came along ends where the plugin begins."""
    try:
        fds = [int(name) for name in os.listdir("/proc/self/fd")]
    except FileNotFoundError:
        fds = list(range(1024))
    for fd in fds:
        if fd > _STDERR:
            with suppress(OSError):  # it was the listing itself
                os.set_inheritable(fd, False)


def _read(fd: int) -> dict[str, Any]:
    with open(fd, "rb") as pipe:
        told: dict[str, Any] = marshal.loads(pipe.read())  # noqa: S302 - our parent's, nobody else has it
    return told


def _join_groups(told: dict[str, Any]) -> None:
    for fd in told["cgroups"]:
        os.write(fd, b"0")


def _begin(told: dict[str, Any]) -> None:
    os.umask(0o077)
    for number in (_SIGPIPE, _SIGXFSZ):  # Python ignores them, and what is ignored stays so
        _libc.signal(number, 0)
    if told["parent"]:
        _die_with(told["parent"])


def _die_with(parent: int) -> None:
    """End when the server does, and keep what lost its parent, where no process namespace sees to it."""
    _prctl(_PR_SET_PDEATHSIG, _SIGKILL)
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    if os.getppid() != parent:
        raise OSError("the server is gone")


def _become(told: dict[str, Any]) -> None:
    """Another user if one is given, without groups; in any case without capabilities, now and for ever."""
    for capability in range(64):
        if _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0):
            break  # beyond the last one, or not ours to drop
    if (user := told["user"]) is not None:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    if _libc.capset(header, (ctypes.c_uint32 * 6)()) and os.getuid() == 0:
        raise _failed("capset")  # a filter around the server refuses it; those of another user end at `exec`


def _gain_nothing(told: dict[str, Any]) -> None:
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    os.chdir(told["directory"])
    here = os.stat(".")
    if (here.st_dev, here.st_ino) != told["identity"]:
        raise OSError("its directory was exchanged")


def _start_relay(told: dict[str, Any]) -> None:
    """A process beside the plugin that carries its connections to the proxy (`relay.py`)."""
    if told["relay"] is None:
        return
    import socket

    program, port, path = told["relay"]
    with socket.create_server(("127.0.0.1", port)) as listening:
        if made := os.fork():
            os.waitpid(made, 0)
            return
        try:
            if os.fork():  # it is no child of the plugin's, who may wait for all of its own
                os._exit(0)
            os.set_inheritable(listening.fileno(), True)
            nowhere = os.open("/dev/null", os.O_RDWR)
            for fd in (0, 1, _STDERR):
                os.dup2(nowhere, fd)
            python = sys.executable
            os.execv(python, [python, "-I", "-S", program, str(listening.fileno()), path])  # noqa: S606 - ours
        finally:
            os._exit(126)


def _restrict(told: dict[str, Any]) -> None:
    rules = told["landlock"]
    if rules is None:
        return
    attributes: bytes = rules["attributes"]
    ruleset = _syscall(_LANDLOCK_CREATE, attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint32(0))
    for path, rights in rules["paths"]:
        try:
            fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except (FileNotFoundError, PermissionError):
            continue  # distributions differ; and what is not there needs no rule
        allowed = rights if os.path.isdir(path) else rights & rules["on_files"]
        _add_rule(ruleset, _PATH_BENEATH, allowed.to_bytes(8, "little") + fd.to_bytes(4, "little"))
        os.close(fd)
    for port, rights in rules["ports"]:
        _add_rule(ruleset, _NET_PORT, rights.to_bytes(8, "little") + port.to_bytes(8, "little"))
    _syscall(_LANDLOCK_RESTRICT, ctypes.c_int(ruleset), ctypes.c_uint32(0))
    os.close(ruleset)


def _add_rule(ruleset: int, kind: int, rule: bytes) -> None:
    _syscall(_LANDLOCK_ADD, ctypes.c_int(ruleset), ctypes.c_int(kind), rule, ctypes.c_uint32(0))


def _limit(told: dict[str, Any]) -> None:
    for which, most in told["rlimits"]:
        resource.setrlimit(which, (most, most))
    if told["beside"] is not None:
        most, hard = _tasks_of_its_user() + told["beside"], resource.getrlimit(resource.RLIMIT_NPROC)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(resource.RLIMIT_NPROC, (most, most))


def _tasks_of_its_user() -> int:
    """Processes and threads of the server's user now, which the kernel counts as the plugin's."""
    found = 0
    for name in filter(str.isdecimal, os.listdir("/proc")):
        with suppress(OSError):  # it ended meanwhile
            threads = os.stat(f"/proc/{name}/task")
            if threads.st_uid == os.getuid():
                found += threads.st_nlink - 2
    return found


def _filter_calls(told: dict[str, Any]) -> None:
    program: bytes | None = told["seccomp"]
    if program is None:
        return

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_char_p))

    held = Program(len(program) // 8, program)
    _prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.addressof(held))


def _prctl(option: int, *arguments: int) -> None:
    if _libc.prctl(option, *(*arguments, 0, 0, 0, 0)[:4]):
        raise _failed("prctl")


def _syscall(number: int, *arguments: Any) -> int:
    found = _libc.syscall(ctypes.c_long(number), *arguments)
    if found < 0:
        raise _failed(f"system call {number}")
    return int(found)


def _failed(what: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, f"{what}: {os.strerror(number)}")


_STEPS = (
    ("cgroup", _join_groups),
    ("start", _begin),
    ("own-user", _become),
    ("start", _gain_nothing),
    ("start", _start_relay),
    ("rlimits", _limit),
    ("landlock", _restrict),
    ("seccomp", _filter_calls),
)
"""Named by the layer that each is; `start` is none."""

if __name__ == "__main__":
    main()
