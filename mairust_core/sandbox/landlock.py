"""Rules of Landlock (landlock(7)): which files and ports a process keeps, as the child hands them in."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass

CREATE_RULESET = 444
_VERSION = 1

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_BEFORE_REFER, _REFER, _TRUNCATE, _IOCTL_DEV = (1 << 13) - 1, 1 << 13, 1 << 14, 1 << 15
_BIND_TCP, _CONNECT_TCP = 1 << 0, 1 << 1
_ABSTRACT_SOCKETS, _SIGNALS = 1 << 0, 1 << 1

_READING = _EXECUTE | _READ_FILE | _READ_DIR
_ON_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
"""What a rule on a file, rather than on a directory, may speak of."""

NET_ABI = 4
SCOPE_ABI = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Where a process may read and execute, where it may write too, and to which TCP ports it may connect.

    `ports` None: the network is not Landlock's to judge.
    """

    reading: tuple[str, ...]
    writing: tuple[str, ...] = ()
    ports: tuple[int, ...] | None = ()


def abi() -> int:
    """The version of Landlock that this kernel speaks; 0 when it has none, or it is switched off."""
    libc = ctypes.CDLL(None, use_errno=True)
    found = libc.syscall(CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION))
    return max(int(found), 0)


def why_not() -> str:
    """The kernel's reason where `abi` is 0."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall(CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION))
    return os.strerror(ctypes.get_errno())


def ruleset(version: int, access: Access) -> dict[str, object]:
    """What the child needs to restrict itself, in values that `marshal` takes."""
    files = _BEFORE_REFER
    files |= _REFER if version >= 2 else 0
    files |= _TRUNCATE if version >= 3 else 0
    files |= _IOCTL_DEV if version >= 5 else 0
    ports = access.ports if version >= NET_ABI else None
    return {
        "attributes": _attributes(version, files, ports is not None),
        "paths": [*_paths(access.reading, _READING & files), *_paths(access.writing, files)],
        "on_files": _ON_FILES & files,
        "ports": [(port, _CONNECT_TCP) for port in ports or ()],
    }


def _attributes(version: int, files: int, net: bool) -> bytes:
    """`struct landlock_ruleset_attr`, as long as this version knows it."""
    if version < NET_ABI:
        return struct.pack("=Q", files)
    ports = _BIND_TCP | _CONNECT_TCP if net else 0
    if version < SCOPE_ABI:
        return struct.pack("=QQ", files, ports)
    return struct.pack("=QQQ", files, ports, _ABSTRACT_SOCKETS | _SIGNALS)


def _paths(paths: Iterable[str], rights: int) -> list[tuple[str, int]]:
    return [(path, rights) for path in paths]
