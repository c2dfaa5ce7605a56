"""A filter of system calls as the kernel takes it: a program of classic BPF (seccomp(2))."""

from __future__ import annotations

import errno
import struct
from dataclasses import dataclass
from enum import Enum

from mairust_core.sandbox import syscalls

_LOAD, _AND, _RETURN = 0x20, 0x54, 0x06
_EQUAL, _AT_LEAST, _ANY_BIT = 0x15, 0x35, 0x45
_NUMBER, _ARCH = 0, 4
_ARGUMENTS = 16
_ALLOW, _KILL_PROCESS, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000

_X32 = 0x40000000
_NEW_NAMESPACES = 0x7E020080
"""CLONE_NEWTIME, NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET."""
_PUSH_INPUT = (0x5412, 0x541C)
"""TIOCSTI and TIOCLINUX: typing into a terminal."""
_INET, _INET6, _NETLINK, _STREAM, _TYPE_MASK = 2, 10, 16, 1, 0xF


class Sockets(Enum):
    """Which sockets a process may make; a pair that is connected to itself it always may.

    UNIX sockets it never may: who listens on one trusts whoever can reach it.
    """

    NONE = "none"
    TCP = "tcp"
    """To the relay, in a network of its own."""
    INTERNET = "internet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Denials:
    """What is refused beside what no plugin needs."""

    sockets: Sockets = Sockets.NONE
    outside_namespaces: bool = False
    """Leaving the process group, and changing attributes of files."""
    signals: bool = False


def is_known(arch: str) -> bool:
    """Whether there is a filter for this architecture (`platform.machine()`)."""
    return arch in syscalls.AUDIT_ARCH


def program(arch: str, denials: Denials) -> bytes:
    """The filter, an array of `struct sock_filter`: calls of another architecture kill the process.

    What is denied answers EPERM; `clone3`, whose flags lie in memory that a filter cannot read, ENOSYS, so
    that C libraries fall back to `clone`.
    """
    calls = dict(syscalls.NEVER)
    if denials.outside_namespaces:
        calls |= syscalls.LEAVE_THE_GROUP | syscalls.CHANGE_ATTRIBUTES
    if denials.signals:
        calls |= syscalls.SIGNAL
    lines = [_step(_LOAD, _ARCH), *_unless(_EQUAL, syscalls.AUDIT_ARCH[arch], _KILL_PROCESS)]
    lines.append(_step(_LOAD, _NUMBER))
    if arch == syscalls.X86_64:
        lines += _when(_AT_LEAST, _X32, _refusal(errno.ENOSYS))
    lines += _when(_EQUAL, syscalls.CLONE3[arch], _refusal(errno.ENOSYS))
    for number in syscalls.numbers(calls, arch):
        lines += _when(_EQUAL, number, _refusal(errno.EPERM))
    for number, judged in (
        (syscalls.CLONE[arch], _judged_clone()),
        (syscalls.IOCTL[arch], _judged_ioctl()),
        (syscalls.SOCKET[arch], _judged_socket(denials.sockets)),
    ):
        lines += [_step(_EQUAL, number, 0, len(judged)), *judged]
    lines.append(_step(_RETURN, _ALLOW))
    return b"".join(lines)


def _judged_clone() -> list[bytes]:
    return [_argument(0), *_when(_ANY_BIT, _NEW_NAMESPACES, _refusal(errno.EPERM)), _step(_RETURN, _ALLOW)]


def _judged_ioctl() -> list[bytes]:
    lines = [_argument(1)]
    for request in _PUSH_INPUT:
        lines += _when(_EQUAL, request, _refusal(errno.EPERM))
    return [*lines, _step(_RETURN, _ALLOW)]


def _judged_socket(sockets: Sockets) -> list[bytes]:
    lines = [_argument(0)]
    if sockets is Sockets.INTERNET:
        for family in (_INET, _INET6, _NETLINK):
            lines += _when(_EQUAL, family, _ALLOW)
    elif sockets is Sockets.TCP:
        lines += _when(_EQUAL, _INET6, _refusal(errno.EAFNOSUPPORT))
        lines += _unless(_EQUAL, _INET, _refusal(errno.EPERM))
        lines += [_argument(1), _step(_AND, _TYPE_MASK), *_when(_EQUAL, _STREAM, _ALLOW)]
    return [*lines, _step(_RETURN, _refusal(errno.EPERM))]


def _when(test: int, value: int, verdict: int) -> list[bytes]:
    return [_step(test, value, 0, 1), _step(_RETURN, verdict)]


def _unless(test: int, value: int, verdict: int) -> list[bytes]:
    return [_step(test, value, 1, 0), _step(_RETURN, verdict)]


def _argument(index: int) -> bytes:
    """Load the low half of an argument; both architectures are little-endian."""
    return _step(_LOAD, _ARGUMENTS + 8 * index)


def _refusal(number: int) -> int:
    return _ERRNO | number


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)
