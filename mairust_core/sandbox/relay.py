"""Inside of a sandbox: a port on its loopback whose connections go to the proxy outside (`egress`).

Runs as `python -I -S relay.py FD PATH` beside the plugin and as its user: FD listens, PATH is the proxy's
socket. It judges nothing, so nothing is won by taking it over.
"""

from __future__ import annotations

import ctypes
import select
import socket
import sys
from contextlib import suppress

_PR_SET_DUMPABLE = 4
_CHUNK = 1 << 16


def main() -> None:
    """Carry bytes until the sandbox ends."""
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    listening = socket.socket(fileno=int(sys.argv[1]))
    ends: dict[int, tuple[socket.socket, socket.socket]] = {}
    poll = select.poll()
    poll.register(listening, select.POLLIN)
    while True:
        ready = {fd for fd, _ in poll.poll()}
        for fd in ready & {*ends}:
            if fd in ends and not _carry(*ends[fd]):
                _half_closed(ends.pop(fd), poll, ends)
        if listening.fileno() in ready:  # last: it may be given a number that was just closed
            for pair in _joined(listening, sys.argv[2]):
                ends[pair[0].fileno()] = pair
                poll.register(pair[0], select.POLLIN)


def _joined(listening: socket.socket, path: str) -> list[tuple[socket.socket, socket.socket]]:
    """Both directions of a new connection; none when the proxy does not answer."""
    here, _ = listening.accept()
    there = socket.socket(socket.AF_UNIX)
    try:
        there.connect(path)
    except OSError:
        here.close()
        return []
    return [(here, there), (there, here)]


def _carry(source: socket.socket, sink: socket.socket) -> bool:
    """Hand over what has come; False at its end."""
    try:
        data = source.recv(_CHUNK)
        sink.sendall(data)
    except OSError:
        return False
    return bool(data)


def _half_closed(
    pair: tuple[socket.socket, socket.socket],
    poll: select.poll,
    ends: dict[int, tuple[socket.socket, socket.socket]],
) -> None:
    """One direction has ended: tell the other side, and close both after the second."""
    source, sink = pair
    poll.unregister(source)
    with suppress(OSError):  # it is gone altogether
        sink.shutdown(socket.SHUT_WR)
    if sink.fileno() not in ends:
        source.close()
        sink.close()


if __name__ == "__main__":
    main()
