"""The sockets of every listener, bound by the parent and shared by its workers.

Each worker has a TCP socket of its own on the same port (SO_REUSEPORT). The parent keeps all of them open,
so that what waits in a crashed worker's queue is taken by its successor.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from mairust_core.config import ListenAddress, Settings
from mairust_core.errors import BadConfig, Locked, MaiRustError
from mairust_core.private_socket import deliver_path, reachable
from mairust_core.smtp.binding import UnixPath, bind_tcp, bind_unix, bound_address

DELIVER = "deliver"
_EVERYWHERE = ("", "0.0.0.0", "::")  # noqa: S104 - compared with, not bound


@dataclass
class Sockets:
    """Bound sockets by listener; `addresses` are the real ones, without the private socket."""

    workers: int
    by_name: dict[str, list[socket.socket]] = field(default_factory=dict)
    addresses: dict[str, str] = field(default_factory=dict)
    paths: list[UnixPath] = field(default_factory=list)
    wanted: dict[str, ListenAddress] = field(default_factory=dict)
    """What was asked for, by listener."""

    def of_worker(self, index: int) -> dict[str, socket.socket]:
        """The sockets that one worker accepts on."""
        return {name: shared[index % len(shared)] for name, shared in self.by_name.items()}

    def bind(self, name: str, at: ListenAddress) -> None:
        """Bind one listener; raises `Locked` when its address is in use, else `BadConfig`."""
        if at.off:
            self.addresses[name] = "off"
            return
        try:
            if at.path is not None:
                self.by_name[name] = [bind_unix(at.path, 0o666)]
                self.paths.append(UnixPath.of(at.path))
            else:
                self.by_name[name] = bind_tcp(at.host, at.port or 0, self.workers)
        except OSError as error:
            raise self._explain(name, at, error) from error
        self.wanted[name] = at
        self.addresses[name] = bound_address(self.by_name[name][0])

    def bind_private(self, data_dir: Path) -> None:
        """Bind `DATA_DIR/run/deliver.sock` for `mairust deliver` (rule D4); the directory is there."""
        path = deliver_path(data_dir)
        try:
            with reachable(path) as short:
                self.by_name[DELIVER] = [bind_unix(short, 0o600)]
            self.paths.append(UnixPath.of(path))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise Locked("private_socket", path=path) from error
            raise BadConfig("bind", name=DELIVER, address=path, why=error.strerror or error) from error

    def _explain(self, name: str, at: ListenAddress, error: OSError) -> MaiRustError:
        if error.errno != errno.EADDRINUSE:
            return BadConfig("bind", name=name, address=at, why=error.strerror or error)
        other = next((one for one, there in self.wanted.items() if _meet(there, at)), None)
        if other is not None:
            return BadConfig("listen_twice", name=name, other=other, address=at)
        return Locked("listen", name=name, address=at)

    def close(self) -> None:
        """Close every socket and take our UNIX ones out of the file system."""
        for bound in (bound for shared in self.by_name.values() for bound in shared):
            bound.close()
        for path in self.paths:
            with suppress(OSError):
                path.remove()


@contextmanager
def bind_all(settings: Settings) -> Iterator[Sockets]:
    """All public sockets of a site; closed at the end of the block."""
    sockets = Sockets(settings.node.workers)
    try:
        sockets.bind("smtp", settings.smtp.listen)
        sockets.bind("lmtp", settings.lmtp.listen)
        sockets.bind("http", settings.http.listen)
        yield sockets
    finally:
        sockets.close()


def _meet(one: ListenAddress, other: ListenAddress) -> bool:
    """Whether two listeners cannot be had together; port 0 never meets another."""
    if one.path is not None or other.path is not None:
        return one.path == other.path
    everywhere = one.host in _EVERYWHERE or other.host in _EVERYWHERE
    return one.port == other.port != 0 and (everywhere or one.host == other.host)
