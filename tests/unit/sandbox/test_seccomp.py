"""The filter of system calls, read as the kernel reads it, on both architectures."""

from __future__ import annotations

import errno
import os
import socket

import pytest

from mairust_core.sandbox import syscalls
from mairust_core.sandbox.seccomp import Denials, Sockets, is_known, program
from mairust_core.sandbox.syscalls import AARCH64, AUDIT_ARCH, X86_64
from tests.unit.sandbox.bpf import ALLOWED, KILLED, REFUSED, verdict

ARCHES = [X86_64, AARCH64]
READ = {X86_64: 0, AARCH64: 63}
EXECVE = {X86_64: 59, AARCH64: 221}


def _says(arch: str, denials: Denials, number: int, *arguments: int) -> int:
    return verdict(program(arch, denials), AUDIT_ARCH[arch], number, *arguments)


@pytest.mark.parametrize("arch", ARCHES)
def test_what_a_program_needs_is_allowed(arch: str) -> None:
    """Reading, and becoming another program."""
    assert _says(arch, Denials(), READ[arch]) == ALLOWED
    assert _says(arch, Denials(), EXECVE[arch]) == ALLOWED


@pytest.mark.parametrize("arch", ARCHES)
def test_every_call_of_the_list_is_refused(arch: str) -> None:
    """Each of them, and the filter is within what the kernel takes."""
    for number in syscalls.numbers(syscalls.NEVER, arch):
        assert _says(arch, Denials(), number) == REFUSED | errno.EPERM
    longest = program(arch, Denials(outside_namespaces=True, signals=True))
    assert len(longest) // 8 <= 4096


@pytest.mark.parametrize("arch", ARCHES)
def test_a_call_of_another_architecture_kills(arch: str) -> None:
    """Its numbers mean something else."""
    assert verdict(program(arch, Denials()), 0x40000003, READ[arch]) == KILLED


def test_the_third_numbering_of_x86_is_refused() -> None:
    """`x32` would be a way around each number."""
    assert _says(X86_64, Denials(), 0x40000000 | 272) == REFUSED | errno.ENOSYS


@pytest.mark.parametrize("arch", ARCHES)
def test_threads_and_children_are_made_but_no_namespaces(arch: str) -> None:
    """By `clone`, whose flags can be read; `clone3` is as if it did not exist."""
    thread, new_user = 0x3D0F00, 0x10000000
    assert _says(arch, Denials(), syscalls.CLONE[arch], thread) == ALLOWED
    assert _says(arch, Denials(), syscalls.CLONE[arch], thread | new_user) == REFUSED | errno.EPERM
    assert _says(arch, Denials(), syscalls.CLONE3[arch]) == REFUSED | errno.ENOSYS


@pytest.mark.parametrize("arch", ARCHES)
def test_nothing_is_made_a_sibling(arch: str) -> None:
    """CLONE_PARENT: a child of the server's, which no look at the plugin's own finds."""
    assert _says(arch, Denials(), syscalls.CLONE[arch], 0x8000 | 17) == REFUSED | errno.EPERM


@pytest.mark.parametrize(
    "request_",
    [0x5412, 0x541C, 0x40087602, 0x40086602, 0x401C5820, 0x8901, 0x8902, 0x5423],
    ids=[
        "TIOCSTI",
        "TIOCLINUX",
        "SETVERSION",
        "SETFLAGS",
        "FSSETXATTR",
        "FIOSETOWN",
        "SIOCSPGRP",
        "TIOCSETD",
    ],
)
@pytest.mark.parametrize("arch", ARCHES)
def test_requests_to_files_and_terminals_are_as_if_there_were_none(arch: str, request_: int) -> None:
    """Only what is asked of pipes and sockets passes."""
    assert _says(arch, Denials(), syscalls.IOCTL[arch], 1, request_) == REFUSED | errno.ENOTTY
    for asked in (0x5401, 0x541B, 0x5421, 0x5451):
        assert _says(arch, Denials(), syscalls.IOCTL[arch], 1, asked) == ALLOWED


@pytest.mark.parametrize("arch", ARCHES)
def test_descriptors_are_managed_but_no_inodes_and_no_signals(arch: str) -> None:
    """F_SET_RW_HINT and its like, leases, F_SETOWN and F_SETSIG; copies and locks pass."""
    for command in (1036, 1038, 1024, 1026, 8, 10, 15):
        assert _says(arch, Denials(), syscalls.FCNTL[arch], 1, command) == REFUSED | errno.EINVAL
    for command in (0, 1, 2, 3, 4, 6, 37, 1030, 1031):
        assert _says(arch, Denials(), syscalls.FCNTL[arch], 1, command) == ALLOWED


@pytest.mark.parametrize("arch", ARCHES)
def test_reading_says_nothing_of_the_page_cache(arch: str) -> None:
    """RWF_NOWAIT, and what would take pages out of it."""
    for flags in (0x8, 0x80, 0x9):
        said = _says(arch, Denials(), syscalls.PREADV2[arch], 3, 0, 1, 0, 0, flags)
        assert said == REFUSED | errno.EOPNOTSUPP
    assert _says(arch, Denials(), syscalls.PREADV2[arch], 3, 0, 1, 0x8, 0, 0) == ALLOWED
    for advice in (20, 21):
        assert _says(arch, Denials(), syscalls.MADVISE[arch], 0, 0, advice) == REFUSED | errno.EINVAL
    assert _says(arch, Denials(), syscalls.MADVISE[arch], 0, 0, 4) == ALLOWED


@pytest.mark.parametrize(
    ("family", "kind", "allowed"),
    [
        (socket.AF_UNIX, socket.SOCK_STREAM, True),
        (socket.AF_UNIX, socket.SOCK_SEQPACKET | 0o2004000, True),
        (socket.AF_UNIX, socket.SOCK_DGRAM, False),
        (socket.AF_UNIX, socket.SOCK_DGRAM | 0o2000000, False),
        (socket.AF_UNIX, socket.SOCK_RAW, False),
        (30, socket.SOCK_STREAM, False),
    ],
)
@pytest.mark.parametrize("arch", ARCHES)
def test_a_pair_is_connected(arch: str, family: int, kind: int, allowed: bool) -> None:
    """One that is not sends to whom it likes."""
    said = _says(arch, Denials(), syscalls.SOCKETPAIR[arch], family, kind)
    assert said == (ALLOWED if allowed else REFUSED | errno.EPERM)


STREAM, DATAGRAM = int(socket.SOCK_STREAM), int(socket.SOCK_DGRAM)
CLOEXEC = 0o2000000


@pytest.mark.parametrize(
    ("sockets", "family", "kind", "allowed"),
    [
        (Sockets.NONE, socket.AF_INET, STREAM, False),
        (Sockets.NONE, socket.AF_UNIX, STREAM, False),
        (Sockets.TCP, socket.AF_INET, STREAM | CLOEXEC, True),
        (Sockets.TCP, socket.AF_INET, DATAGRAM, False),
        (Sockets.TCP, socket.AF_INET6, STREAM, False),
        (Sockets.TCP, socket.AF_UNIX, STREAM, False),
        (Sockets.INTERNET, socket.AF_INET, DATAGRAM, True),
        (Sockets.INTERNET, socket.AF_INET6, STREAM, True),
        (Sockets.INTERNET, socket.AF_NETLINK, DATAGRAM, True),
        (Sockets.INTERNET, socket.AF_UNIX, STREAM, False),
        (Sockets.INTERNET, socket.AF_PACKET, STREAM, False),
        (Sockets.INTERNET, socket.AF_VSOCK, STREAM, False),
    ],
)
@pytest.mark.parametrize("arch", ARCHES)
def test_sockets_are_those_of_the_network(
    arch: str, sockets: Sockets, family: int, kind: int, allowed: bool
) -> None:
    """None, streams to the relay, or the internet's; never a UNIX socket."""
    said = _says(arch, Denials(sockets=sockets), syscalls.SOCKET[arch], family, kind)
    assert (said == ALLOWED) is allowed
    assert allowed or said & 0xFFFF0000 == REFUSED


@pytest.mark.parametrize("arch", ARCHES)
def test_outside_of_namespaces_more_is_refused(arch: str) -> None:
    """Leaving its group, changing modes of files it cannot open, signals."""
    chmod_at = {X86_64: 268, AARCH64: 53}[arch]
    for name in ("setsid", "setpgid"):
        one = {name: syscalls.LEAVE_THE_GROUP[name]}
        (number,) = syscalls.numbers(one, arch)
        assert _says(arch, Denials(), number) == ALLOWED
        assert _says(arch, Denials(outside_namespaces=True), number) == REFUSED | errno.EPERM
    assert _says(arch, Denials(), chmod_at) == ALLOWED
    assert _says(arch, Denials(outside_namespaces=True), chmod_at) == REFUSED | errno.EPERM
    (kill,) = syscalls.numbers({"kill": syscalls.SIGNAL["kill"]}, arch)
    assert _says(arch, Denials(outside_namespaces=True), kill) == ALLOWED
    assert _says(arch, Denials(signals=True), kill) == REFUSED | errno.EPERM


@pytest.mark.parametrize("arch", ARCHES)
def test_outside_of_namespaces_a_process_sets_its_own_alone(arch: str) -> None:
    """Limits, schedulers and priorities; who adopts its orphans it does not change."""
    out = Denials(outside_namespaces=True)
    for number in syscalls.numbers(syscalls.OF_A_PROCESS, arch):
        assert _says(arch, Denials(), number, 4711) == ALLOWED
        assert _says(arch, out, number, 4711) == REFUSED | errno.EPERM
        assert _says(arch, out, number, 0) == ALLOWED
    for number, own in ((syscalls.SETPRIORITY[arch], 0), (syscalls.IOPRIO_SET[arch], 1)):
        assert _says(arch, out, number, own, 0) == ALLOWED
        for which, who in ((own, 4711), (own + 1, 0), (own + 2, 0)):
            assert _says(arch, out, number, which, who) == REFUSED | errno.EPERM
    prctl = syscalls.PRCTL[arch]
    assert _says(arch, out, prctl, 36, 0) == REFUSED | errno.EPERM
    assert _says(arch, out, prctl, 1, 0) == REFUSED | errno.EPERM
    assert _says(arch, out, prctl, 1, 9) == _says(arch, out, prctl, 15) == ALLOWED


@pytest.mark.parametrize("arch", ARCHES)
def test_outside_of_namespaces_no_file_is_opened_unjudged(arch: str) -> None:
    """Landlock before its third version does not judge who empties a file, and none the access mode 3."""
    outside = Denials(outside_namespaces=True)
    for number, flags in syscalls.OPEN[arch].items():
        before = (0,) * flags
        for unjudged in (os.O_TRUNC, os.O_ACCMODE, os.O_ACCMODE | os.O_TRUNC, 0o2000000 | os.O_TRUNC):
            assert _says(arch, outside, number, *before, unjudged) == REFUSED | errno.EACCES
            assert _says(arch, Denials(), number, *before, unjudged) == ALLOWED
        for judged in (os.O_RDONLY, os.O_WRONLY | os.O_TRUNC | os.O_CREAT, os.O_RDWR, os.O_RDWR | os.O_TRUNC):
            assert _says(arch, outside, number, *before, judged) == ALLOWED
    assert _says(arch, outside, syscalls.OPENAT2[arch]) == REFUSED | errno.ENOSYS
    assert _says(arch, Denials(), syscalls.OPENAT2[arch]) == ALLOWED


def test_an_unknown_machine_has_no_filter() -> None:
    """It is named as missing, not guessed."""
    assert [is_known(arch) for arch in ("x86_64", "aarch64", "riscv64")] == [True, True, False]
