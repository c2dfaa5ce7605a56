"""Starting a confined process: pipes, what its launcher is told, its control group."""

from __future__ import annotations

import marshal
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from mairust_core.model.isolation import Layer
from mairust_core.model.plugin import Layers
from mairust_core.sandbox.cgroups import Group, Most
from mairust_core.sandbox.confinement import MIB, PROCESSES, Confinement, Program, Unconfinable
from mairust_core.sandbox.directories import Identity, Unsafe, identified

STARTED = b"ok"
FAILED = b"!"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spawned:
    """A process that is starting: the descriptors are the caller's.

    `status_fd` says `STARTED` once it is the plugin, or `FAILED` and why not. `info_fd` says, in JSON, the
    process id of its namespace's first process; None without namespaces.
    """

    process: subprocess.Popen[bytes]
    pidfd: int
    status_fd: int
    info_fd: int | None
    group: Group | None


def spawn(confinement: Confinement, program: Program) -> Spawned:
    """Start a program. Raises `Unconfinable`; blocks for the millisecond that a fork takes.

    The calling thread must live as long as the process shall: when it ends, the kernel ends both.
    """
    group = _group(confinement, program)
    try:
        with ExitStack() as always, ExitStack() as on_failure:
            spawned = _spawn(confinement, program, group, always, on_failure)
            on_failure.pop_all()
            return spawned
    except BaseException as error:
        if group is not None:
            group.remove()
        if isinstance(error, OSError):
            raise Unconfinable(f"{error.filename or 'start'}: {error.strerror}") from error
        raise


def _group(confinement: Confinement, program: Program) -> Group | None:
    if confinement.machine.cgroups is None or not confinement.machine.has(Layer.CGROUP):
        return None
    most = Most(memory_bytes=program.limits.memory_mb * MIB, processes=PROCESSES)
    try:
        return confinement.machine.cgroups.make(most)
    except OSError as error:
        raise Unconfinable(f"{error.filename}: {error.strerror}") from error


def _spawn(
    confinement: Confinement,
    program: Program,
    group: Group | None,
    always: ExitStack,
    on_failure: ExitStack,
) -> Spawned:
    status, status_in = _pipe(always, on_failure)
    namespaces = confinement.machine.grade is Layers.NAMESPACES
    info, info_in = _pipe(always, on_failure) if namespaces else (None, None)
    entrances = []
    for path in group.entrances() if group is not None else ():
        entrances.append(os.open(path, os.O_WRONLY | os.O_CLOEXEC))
        always.callback(os.close, entrances[-1])
    told = confinement.told(program, status_in, entrances, os.getpid())
    told["identity"] = _identity(program)
    told_fd = always.enter_context(_written(marshal.dumps(told)))
    passed, args_fd = [status_in, told_fd, *entrances], None
    if info_in is not None:
        arguments = "\0".join(confinement.arguments(program, info_in)).encode()
        args_fd = always.enter_context(_written(arguments))
        passed += [info_in, args_fd]
    theirs, ours = _standard(always, on_failure)
    process = _begun(confinement.command_line(args_fd, told_fd), passed, theirs)
    on_failure.callback(_end, process)
    pidfd = os.pidfd_open(process.pid)
    process.stdin = os.fdopen(ours[0], "wb", 0)
    process.stdout, process.stderr = (os.fdopen(fd, "rb", 0) for fd in ours[1:])
    return Spawned(process=process, pidfd=pidfd, status_fd=status, info_fd=info, group=group)


def _identity(program: Program) -> Identity:
    try:
        return identified(program.directory)
    except Unsafe as error:
        raise Unconfinable(str(error)) from None


def _begun(command: list[str], passed: list[int], theirs: Sequence[int]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - the sandbox, and in it what somebody approved
        command,
        stdin=theirs[0],
        stdout=theirs[1],
        stderr=theirs[2],
        pass_fds=passed,
        env={},
        cwd="/",
        start_new_session=True,
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def _standard(always: ExitStack, on_failure: ExitStack) -> tuple[list[int], list[int]]:
    """Stdin, stdout and stderr, the child's ends and ours: Python 3.11.2 loses its own when they run out."""
    reading, writing = os.pipe2(os.O_CLOEXEC)
    always.callback(os.close, reading)
    on_failure.callback(os.close, writing)
    (out, out_in), (error, error_in) = (_pipe(always, on_failure) for _ in range(2))
    return [reading, out_in, error_in], [writing, out, error]


def _pipe(always: ExitStack, on_failure: ExitStack) -> tuple[int, int]:
    """Our end, which stays open, and the child's."""
    reading, writing = os.pipe2(os.O_CLOEXEC)
    on_failure.callback(os.close, reading)
    always.callback(os.close, writing)
    return reading, writing


@contextmanager
def _written(data: bytes) -> Iterator[int]:
    """A file in memory: a pipe could be too short for it and block."""
    fd = os.memfd_create("told", os.MFD_CLOEXEC)
    try:
        os.write(fd, data)
        os.lseek(fd, 0, os.SEEK_SET)
        yield fd
    finally:
        os.close(fd)
