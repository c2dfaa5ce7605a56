"""The kernel's reading of a filter of system calls, for tests: one program, one call, one verdict."""

from __future__ import annotations

import struct

ALLOWED = 0x7FFF0000
KILLED = 0x80000000
REFUSED = 0x00050000


def verdict(program: bytes, arch: int, number: int, *arguments: int) -> int:
    """What the program returns for a call (`struct seccomp_data`)."""
    padded = (*arguments, 0, 0, 0, 0, 0, 0)[:6]
    data = struct.pack("=iIQ6Q", number, arch, 0, *padded)
    steps = [struct.unpack_from("=HBBI", program, at) for at in range(0, len(program), 8)]
    accumulator = at = 0
    while True:
        code, if_true, if_false, value = steps[at]
        at += 1
        if code == 0x20:
            (accumulator,) = struct.unpack_from("=I", data, value)
        elif code == 0x54:
            accumulator &= value
        elif code == 0x06:
            return int(value)
        else:
            test = {0x15: accumulator == value, 0x35: accumulator >= value, 0x45: bool(accumulator & value)}
            at += if_true if test[code] else if_false
