"""Runs a command under a filter of system calls, as a unit of systemd has one: those named answer EPERM.

python -m tests.support.filtered CALL,CALL… COMMAND…
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys
from collections.abc import Iterable

from mairust_core.sandbox import seccomp

_NUMBERS = {
    "x86_64": {
        "capset": 126,
        "chroot": 161,
        "mount": 165,
        "pivot_root": 155,
        "seccomp": 317,
        "setpriority": 141,
        "umount2": 166,
    },
    "aarch64": {
        "capset": 91,
        "chroot": 51,
        "mount": 40,
        "pivot_root": 41,
        "seccomp": 277,
        "setpriority": 140,
        "umount2": 39,
    },
}
_EVERYWHERE = {"landlock_create_ruleset": 444, "landlock_add_rule": 445, "landlock_restrict_self": 446}
_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 22, 2

UNIT = (*_NUMBERS["x86_64"], *_EVERYWHERE)
"""Of what a sandbox asks: refused on Debian 12 by `@system-service` without `@privileged @resources`."""


class _Program(ctypes.Structure):
    """`struct sock_fprog`."""

    _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_char_p))


def command(refused: Iterable[str], *words: str) -> list[str]:
    """The command line that runs another one under the filter."""
    return [sys.executable, "-m", "tests.support.filtered", ",".join(refused), *words]


def main() -> None:
    """Put the filter in place and become the command."""
    numbers = _NUMBERS[platform.machine()] | _EVERYWHERE
    program = _program([numbers[name] for name in sys.argv[1].split(",")])
    held = _Program(len(program) // 8, program)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl.argtypes = (ctypes.c_int, *(ctypes.c_ulong,) * 4)
    if libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.addressof(held), 0, 0):
        sys.exit(os.strerror(ctypes.get_errno()))
    os.execvp(sys.argv[2], sys.argv[2:])


def _program(numbers: list[int]) -> bytes:
    steps = [struct.pack("=HBBI", seccomp._LOAD, 0, 0, seccomp._NUMBER)]
    for number in numbers:
        steps.append(struct.pack("=HBBI", seccomp._EQUAL, 0, 1, number))
        steps.append(struct.pack("=HBBI", seccomp._RETURN, 0, 0, seccomp._ERRNO | errno.EPERM))
    steps.append(struct.pack("=HBBI", seccomp._RETURN, 0, 0, seccomp._ALLOW))
    return b"".join(steps)


if __name__ == "__main__":
    main()
