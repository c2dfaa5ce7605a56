"""Runs a command under a filter of system calls, as a unit of systemd has one: those named answer EPERM.

python -m tests.support.filtered CALL,CALL… COMMAND…
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import sys
from collections.abc import Iterable

from mairust_core.sandbox import seccomp, syscalls
from mairust_core.sandbox.syscalls import Numbers

_NUMBERS = {
    **{name: syscalls.NEVER[name] for name in ("chroot", "mount", "pivot_root", "umount2")},
    "capset": Numbers(126, 91),
    "landlock_add_rule": Numbers(445, 445),
    "landlock_create_ruleset": Numbers(444, 444),
    "landlock_restrict_self": Numbers(446, 446),
    "seccomp": Numbers(317, 277),
    "setpriority": Numbers(141, 140),
}
_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 22, 2

UNIT = tuple(_NUMBERS)
"""Of what a sandbox asks: refused on Debian 12 by `@system-service` without `@privileged @resources`."""


class _Program(ctypes.Structure):
    """`struct sock_fprog`."""

    _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_char_p))


def command(refused: Iterable[str], *words: str) -> list[str]:
    """The command line that runs another one under the filter."""
    return [sys.executable, "-m", "tests.support.filtered", ",".join(refused), *words]


def main() -> None:
    """Put the filter in place and become the command."""
    machine = platform.machine()
    program = _program([getattr(_NUMBERS[name], machine) for name in sys.argv[1].split(",")])
    held = _Program(len(program) // 8, program)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl.argtypes = (ctypes.c_int, *(ctypes.c_ulong,) * 4)
    if libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.addressof(held), 0, 0):
        sys.exit(os.strerror(ctypes.get_errno()))
    os.execvp(sys.argv[2], sys.argv[2:])


def _program(numbers: list[int]) -> bytes:
    steps = [seccomp._step(seccomp._LOAD, seccomp._NUMBER)]
    for number in numbers:
        steps += seccomp._when(seccomp._EQUAL, number, seccomp._refusal(errno.EPERM))
    return b"".join([*steps, seccomp._ALLOWED])


if __name__ == "__main__":
    main()
