"""A filter of system calls as the kernel takes it: a program of classic BPF (seccomp(2))."""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from mairust_core.sandbox import syscalls

_LOAD, _AND, _RETURN = 0x20, 0x54, 0x06
_EQUAL, _AT_LEAST, _ANY_BIT = 0x15, 0x35, 0x45
_NUMBER, _ARCH = 0, 4
_ARGUMENTS = 16
_ALLOW, _KILL_PROCESS, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000

_X32 = 0x40000000
_NOT_A_CHILD = 0x7E020080 | 0x8000
"""CLONE_NEWTIME, NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET; CLONE_PARENT."""
_UNIX, _INET, _INET6, _NETLINK = 1, 2, 10, 16
_STREAM, _SEQPACKET, _TYPE_MASK = 1, 5, 0xF
_DESCRIPTOR_REQUESTS = (
    0x5401,  # TCGETS: isatty
    0x802C542A,  # TCGETS2
    0x5413,  # TIOCGWINSZ
    0x540F,  # TIOCGPGRP
    0x541B,  # FIONREAD
    0x5421,  # FIONBIO
    0x5450,  # FIONCLEX
    0x5451,  # FIOCLEX
    0x8905,  # SIOCATMARK
    0x8910,  # SIOCGIFNAME
    0x8912,  # SIOCGIFCONF
    0x8913,  # SIOCGIFFLAGS
    0x8915,  # SIOCGIFADDR
    0x891B,  # SIOCGIFNETMASK
    0x8921,  # SIOCGIFMTU
    0x8927,  # SIOCGIFHWADDR
    0x8933,  # SIOCGIFINDEX
)
"""What programs ask of their pipes and sockets; others change inodes, terminals and devices."""
_DESCRIPTOR_COMMANDS = (*range(8), 9, 36, 37, 38, 1027, 1030, 1031, 1032, 1034)
"""Descriptors, their flags, locks and pipe sizes; not who gets signals, leases, or hints kept in an inode."""
_ACCESS_MODE, _TRUNC = 3, 0x200
_UNJUDGED_OPENS = (_ACCESS_MODE, _TRUNC, _TRUNC | _ACCESS_MODE)
"""To ask about a file only, or to empty it without writing: the Landlock of older kernels lets both pass."""
_COLD, _PAGEOUT = 20, 21
_SET_PDEATHSIG, _SET_CHILD_SUBREAPER, _SIGKILL = 1, 36, 9
_WHO_PROCESS, _IO_WHO_PROCESS = 0, 1


class Sockets(Enum):
    """Which sockets a process may make; a connected pair it always may.

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
    """Leaving the process group or tree, limits of other processes, changing attributes of files, and opening
    them in ways that Landlock does not judge."""
    signals: bool = False


def is_known(arch: str) -> bool:
    """Whether there is a filter for this architecture (`platform.machine()`)."""
    return arch in syscalls.AUDIT_ARCH


def program(arch: str, denials: Denials) -> bytes:
    """The filter, an array of `struct sock_filter`: calls of another architecture kill the process.

    What is denied answers EPERM, or what programs know from kernels and files that have no such thing;
    `clone3` and `openat2`, whose flags lie in memory that a filter cannot read, ENOSYS, so that C libraries
    fall back to `clone` and `openat`.
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
    unread = [syscalls.CLONE3, *([syscalls.OPENAT2] if denials.outside_namespaces else [])]
    for call in unread:
        lines += _when(_EQUAL, call[arch], _refusal(errno.ENOSYS))
    for number in syscalls.numbers(calls, arch):
        lines += _when(_EQUAL, number, _refusal(errno.EPERM))
    for number, judged in _judged(arch, denials):
        lines += [_step(_EQUAL, number, 0, len(judged)), *judged]
    lines.append(_ALLOWED)
    return b"".join(lines)


def _judged(arch: str, denials: Denials) -> Iterator[tuple[int, list[bytes]]]:
    """Calls that are allowed or not by their arguments."""
    yield syscalls.CLONE[arch], _judged_clone()
    yield syscalls.SOCKET[arch], _judged_socket(denials.sockets)
    yield syscalls.SOCKETPAIR[arch], _judged_pair()
    yield syscalls.IOCTL[arch], _one_of(1, _DESCRIPTOR_REQUESTS, errno.ENOTTY)
    yield syscalls.FCNTL[arch], _one_of(1, _DESCRIPTOR_COMMANDS, errno.EINVAL)
    yield syscalls.PREADV2[arch], _one_of(5, (0,), errno.EOPNOTSUPP)
    yield syscalls.MADVISE[arch], _none_of(2, (_COLD, _PAGEOUT), errno.EINVAL)
    if denials.outside_namespaces:
        for number, flags in syscalls.OPEN[arch].items():
            yield number, _none_of(flags, _UNJUDGED_OPENS, errno.EACCES, of=_ACCESS_MODE | _TRUNC)
        for number in syscalls.numbers(syscalls.OF_A_PROCESS, arch):
            yield number, _one_of(0, (0,), errno.EPERM)
        yield syscalls.SETPRIORITY[arch], _judged_priority(_WHO_PROCESS)
        yield syscalls.IOPRIO_SET[arch], _judged_priority(_IO_WHO_PROCESS)
        yield syscalls.PRCTL[arch], _judged_prctl()


def _judged_clone() -> list[bytes]:
    return [_argument(0), *_when(_ANY_BIT, _NOT_A_CHILD, _refusal(errno.EPERM)), _ALLOWED]


def _one_of(argument: int, values: Iterable[int], refused: int) -> list[bytes]:
    lines = [_argument(argument)]
    for value in values:
        lines += _when(_EQUAL, value, _ALLOW)
    return [*lines, _step(_RETURN, _refusal(refused))]


def _none_of(argument: int, values: Iterable[int], refused: int, of: int = 0xFFFFFFFF) -> list[bytes]:
    """None of these values; `of` are the bits that count."""
    lines = [_argument(argument), _step(_AND, of)]
    for value in values:
        lines += _when(_EQUAL, value, _refusal(refused))
    return [*lines, _ALLOWED]


def _judged_priority(process: int) -> list[bytes]:
    """The caller's own, neither that of another process nor that of a user."""
    own = [_argument(0), *_unless(_EQUAL, process, _refusal(errno.EPERM))]
    return [*own, *_one_of(1, (0,), errno.EPERM)]


def _judged_prctl() -> list[bytes]:
    """Who ends with the server goes on to, and who adopts its orphans as well."""
    lines = [_argument(0), *_when(_EQUAL, _SET_CHILD_SUBREAPER, _refusal(errno.EPERM))]
    return [*lines, *_unless(_EQUAL, _SET_PDEATHSIG, _ALLOW), *_one_of(1, (_SIGKILL,), errno.EPERM)]


def _judged_pair() -> list[bytes]:
    """A datagram socket sends to any other by its path, a connected one only to its peer."""
    lines = [_argument(0), *_unless(_EQUAL, _UNIX, _refusal(errno.EPERM))]
    lines += [_argument(1), _step(_AND, _TYPE_MASK)]
    for kind in (_STREAM, _SEQPACKET):
        lines += _when(_EQUAL, kind, _ALLOW)
    return [*lines, _step(_RETURN, _refusal(errno.EPERM))]


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


_ALLOWED = _step(_RETURN, _ALLOW)
