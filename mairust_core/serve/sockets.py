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
from mairust_core.smtp.server import bind_tcp, bind_unix, bound_address

DELIVER = "deliver"


@dataclass
class Sockets:
    """Bound sockets by listener; `addresses` are the real ones, without the private socket."""

    workers: int
    by_name: dict[str, list[socket.socket]] = field(default_factory=dict)
    addresses: dict[str, str] = field(default_factory=dict)
    paths: list[Path] = field(default_factory=list)

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
                self.paths.append(at.path)
            else:
                self.by_name[name] = _bind_tcp(at.host or "", at.port or 0, self.workers)
        except OSError as error:
            raise _explain(name, str(at), error) from error
        self.addresses[name] = bound_address(self.by_name[name][0])

    def bind_private(self, data_dir: Path) -> None:
        """Bind `DATA_DIR/run/deliver.sock` for `mairust deliver` (rule D4)."""
        path = deliver_path(data_dir)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        try:
            with reachable(path) as short:
                self.by_name[DELIVER] = [bind_unix(short, 0o600)]
        except OSError as error:
            raise _explain(DELIVER, str(path), error) from error
        self.paths.append(path)

    def close(self) -> None:
        """Close every socket and take the UNIX ones out of the file system."""
        for bound in (bound for shared in self.by_name.values() for bound in shared):
            bound.close()
        for path in self.paths:
            with suppress(OSError):
                path.unlink(missing_ok=True)


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


def _bind_tcp(host: str, port: int, workers: int) -> list[socket.socket]:
    bound: list[socket.socket] = []
    try:
        for _ in range(workers):
            same = bound[0].getsockname()[1] if bound else port
            bound.append(bind_tcp(host, same, shared=workers > 1))
    except OSError:
        for one in bound:
            one.close()
        raise
    return bound


def _explain(name: str, address: str, error: OSError) -> MaiRustError:
    if error.errno == errno.EADDRINUSE:
        return Locked("listen", name=name, address=address)
    return BadConfig("bind", name=name, address=address, why=error.strerror or error)
