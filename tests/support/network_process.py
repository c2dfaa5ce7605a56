"""Runs plugins in a network of its own, in which metadata, private and public addresses are real listeners.

    unshare --net python -m tests.support.network_process DIRECTORY

Prints one JSON document: for each case, at which addresses somebody was. Nothing of it leaves the machine.
"""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from ipaddress import ip_network
from pathlib import Path

from mairust_core.hooks.http import over_tcp
from mairust_core.hooks.transport import CallFailed
from mairust_core.model.plugin import Entry, Limits, Network, Permissions, Protocol, Runnable
from mairust_core.sandbox.probing import probe
from mairust_core.sandbox.reach import Site
from tests.support.hooking import NoCredentials
from tests.support.plugins import call, make_plugin

PORT = 8080
METADATA, PRIVATE, PUBLIC, OTHER = "169.254.169.254", "10.0.0.1", "8.8.8.8", "9.9.9.9"
EVERY = ("127.0.0.1", METADATA, PRIVATE, PUBLIC, OTHER)
PLACES = tuple(f"{address}:{PORT}" for address in EVERY)
SEEKER = f"""
    import socket, sys
    def direct(host, port):
        socket.create_connection((host, port), timeout=1).sendall(b"here I am")
    def mapped(host, port):
        made = socket.socket(socket.AF_INET6)
        made.settimeout(1)
        made.connect(("::ffff:" + host, port))
    def tunnelled(host, port):
        with socket.create_connection(("127.0.0.1", 3128), timeout=5) as proxy:
            proxy.sendall(f"CONNECT {{host}}:{{port}} HTTP/1.1\\r\\n\\r\\n".encode())
            proxy.recv(1000)
    def fetched(host, port):
        with socket.create_connection(("127.0.0.1", 3128), timeout=5) as proxy:
            proxy.sendall(f"GET http://{{host}}:{{port}}/ HTTP/1.1\\r\\n\\r\\n".encode())
            proxy.shutdown(socket.SHUT_WR)
            proxy.recv(1000)
    for line in sys.stdin:
        for host in {EVERY!r}:
            for way in (direct, mapped, tunnelled, fetched):
                try:
                    way(host, {PORT})
                except OSError:
                    pass
        print("{{}}", flush=True)
"""
"""Tries every address by every way there might be."""


class Listeners:
    """A listener on each address, which hangs up on whoever comes so that nobody waits, and who came."""

    def __init__(self, held: ExitStack) -> None:
        self._all = {one: held.enter_context(socket.create_server((one, PORT))) for one in EVERY}
        self._visited: set[str] = set()
        loop = asyncio.get_running_loop()
        for address, one in self._all.items():
            one.setblocking(False)
            loop.add_reader(one, self._welcome, address)
            held.callback(loop.remove_reader, one)

    def _welcome(self, address: str) -> None:
        with suppress(BlockingIOError):
            while True:
                self._all[address].accept()[0].close()
                self._visited.add(address)

    def came(self) -> list[str]:
        """At which addresses somebody was since it was asked last."""
        for address in EVERY:
            self._welcome(address)
        visited, self._visited = self._visited, set()
        return [address for address in EVERY if address in visited]


@contextmanager
def addresses() -> Iterator[Listeners]:
    """Give this namespace's loopback all of them."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for address in EVERY[1:]:
        subprocess.run(["ip", "address", "add", f"{address}/32", "dev", "lo"], check=True)
    with ExitStack() as held:
        yield Listeners(held)


async def main(directory: Path) -> None:
    """Run every case in turn."""
    with addresses() as listeners:
        found = {"outside": await _unheld(listeners)}
        cases = {
            "none": (Limits(), Site()),
            "local-only": (_limits(Network.LOCAL_ONLY, *PLACES), Site()),
            "all listed": (_limits(Network.OUTBOUND_LIMITED, *PLACES), Site()),
            "one listed": (_limits(Network.OUTBOUND_LIMITED, f"{PUBLIC}:{PORT}"), Site()),
            "private opened": (
                _limits(Network.OUTBOUND_LIMITED, *PLACES),
                Site(private=(ip_network("10.0.0.0/8"),)),
            ),
            "a listener of ours": (
                _limits(Network.OUTBOUND_LIMITED, *PLACES),
                Site(listeners=lambda: [("0.0.0.0", PORT)]),
            ),
        }
        for number, (name, (limits, site)) in enumerate(cases.items()):
            found[name] = await _held(directory / str(number), limits, site, listeners)
        found["http"] = await _over_http(listeners)
    print(json.dumps(found))


async def _unheld(listeners: Listeners) -> list[str]:
    """The same program outside of any sandbox: it gets everywhere, or the rest would prove nothing."""
    seeker = await asyncio.create_subprocess_exec(
        sys.executable, "-c", textwrap.dedent(SEEKER), stdin=asyncio.subprocess.PIPE, stdout=sys.stderr
    )
    await seeker.communicate(b"{}\n")
    return listeners.came()


async def _held(directory: Path, limits: Limits, site: Site, listeners: Listeners) -> list[str]:
    plugin = make_plugin(directory, probe(), SEEKER, limits=limits, site=site)
    try:
        await plugin.ask()
    finally:
        await plugin.transport.close()
    return listeners.came()


async def _over_http(listeners: Listeners) -> list[str]:
    """Where a question to an http plugin at each address arrives, TLS or not."""
    for address in EVERY:
        for scheme in ("http", "https"):
            place = f"{address}:{PORT}"
            plugin = Runnable(
                id="com.example.http",
                version="1.0.0",
                entry=Entry(protocol=Protocol.HTTP, endpoint=f"{scheme}://{place}/"),
                permissions=Permissions(),
                limits=_limits(Network.OUTBOUND_LIMITED, place),
            )
            await _asked(plugin)
    return listeners.came()


async def _asked(plugin: Runnable) -> None:
    """Ask it for half a second at most: nobody here answers."""
    try:
        transport = over_tcp(plugin, NoCredentials(), Site())
    except CallFailed:
        return
    try:
        async with asyncio.timeout(0.5):
            await transport.call(call())
    except (CallFailed, TimeoutError):
        pass
    finally:
        await transport.close()


def _limits(network: Network, *allow: str) -> Limits:
    return Limits(cpu_ms=10_000, network=network, network_allow=allow)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
