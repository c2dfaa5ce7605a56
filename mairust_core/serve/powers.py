"""What a server may do beyond its user: needed to bind ports, and given up then."""

from __future__ import annotations

import ctypes
import os
import sys

_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 47, 4
_CAPABILITY_VERSION_3 = 0x20080522


def give_up_powers() -> None:
    """Keep no capability, and hand none on to what is started (capabilities(7)).

    With one that was handed on (`AmbientCapabilities=`) bubblewrap refuses to start. Root keeps its own: it
    makes each plugin a user. Where a filter of system calls is in the way, what was inherited still ends with
    this process.
    """
    if sys.platform != "linux" or os.geteuid() == 0:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl.argtypes = (ctypes.c_int, *(ctypes.c_ulong,) * 4)
    libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    libc.capset(header, (ctypes.c_uint32 * 6)())
