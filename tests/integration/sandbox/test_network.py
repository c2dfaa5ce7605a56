"""Plugins that reach for the network: what arrives at real listeners is what counts (rules H1, H2)."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from mairust_core.hooks.transport import CallFailed
from mairust_core.model.isolation import Layer
from mairust_core.model.plugin import Limits, Network
from mairust_core.sandbox.machine import Machine
from mairust_core.sandbox.reach import Site
from tests.integration.sandbox.conftest import Make, machine_without
from tests.support.plugins import Plugin, descriptors, status

CALLER = """
    import json, socket, sys
    def say(kind, family, address):
        made = socket.socket(family, kind)
        made.settimeout(2)
        made.connect(address)
        made.send(b"here I am")
    for line in sys.stdin:
        told = json.loads(line)
        for kind, family, address in (
            (socket.SOCK_STREAM, socket.AF_INET, ("127.0.0.1", told["tcp"])),
            (socket.SOCK_STREAM, socket.AF_INET6, ("::ffff:127.0.0.1", told["tcp"])),
            (socket.SOCK_DGRAM, socket.AF_INET, ("127.0.0.1", told["udp"])),
            (socket.SOCK_STREAM, socket.AF_UNIX, told["unix"]),
            (socket.SOCK_STREAM, socket.AF_UNIX, chr(0) + told["abstract"]),
        ):
            try:
                say(kind, family, address)
            except OSError:
                pass
        for address in (told["unix"] + "d", chr(0) + told["abstract"] + "d"):
            try:
                socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0].sendto(b"here I am", address)
            except OSError:
                pass
        print("{}", flush=True)
"""
"""Calls at every door; run outside of the sandbox it gets through each of them."""


class Doors:
    """Listeners of ours, and who came."""

    def __init__(self, directory: Path, held: ExitStack) -> None:
        self.abstract = f"mairust-test-{os.getpid()}-{id(self)}"
        self.path = directory / "s"
        self._streams = {
            "tcp": held.enter_context(socket.create_server(("127.0.0.1", 0))),
            "unix": held.enter_context(socket.socket(socket.AF_UNIX)),
            "abstract": held.enter_context(socket.socket(socket.AF_UNIX)),
        }
        self._streams["unix"].bind(str(self.path))
        self._streams["abstract"].bind(f"\0{self.abstract}")
        self._udp = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        self._udp.bind(("127.0.0.1", 0))
        self._letters = {"udp": self._udp}
        for name, address in (("letter", f"{self.path}d"), ("abstract letter", f"\0{self.abstract}d")):
            self._letters[name] = held.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
            self._letters[name].bind(address)
        for letters in self._letters.values():
            letters.setblocking(False)
        for one in self._streams.values():
            one.listen()
            one.setblocking(False)
        for path in (self.path, Path(f"{self.path}d")):
            path.chmod(0o777)

    def told(self) -> bytes:
        """Where they are, as the caller reads it."""
        tcp, udp = self._streams["tcp"].getsockname()[1], self._udp.getsockname()[1]
        return (
            f'{{"tcp": {tcp}, "udp": {udp}, "unix": "{self.path}", "abstract": "{self.abstract}"}}'.encode()
        )

    def came(self) -> list[str]:
        """At which doors somebody was."""
        found = []
        for name, one in self._streams.items():
            while True:
                try:
                    one.accept()[0].close()
                except BlockingIOError:
                    break
                found.append(name)
        for name, letters in self._letters.items():
            with suppress(BlockingIOError):
                letters.recv(100)
                found.append(name)
        return found


@pytest.fixture
def doors() -> Iterator[Doors]:
    """Listeners on loopback, by TCP, UDP and UNIX sockets; their path is short, as paths of sockets are."""
    with ExitStack() as held:
        directory = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="mrdoor-")))
        directory.chmod(0o755)
        yield Doors(directory, held)


def test_the_caller_gets_through_where_nothing_holds_it(doors: Doors) -> None:
    """Or the tests below would prove nothing."""
    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(CALLER)], input=doors.told(), check=True, timeout=30
    )
    assert doors.came() == ["tcp", "tcp", "unix", "abstract", "udp", "letter", "abstract letter"]


async def test_rule_h1_without_network_no_listener_of_ours_is_reached(
    machine: Machine, plugin: Make, doors: Doors
) -> None:
    """Not by TCP, not by UDP, not by a UNIX socket that anybody may open."""
    caller = plugin(machine, CALLER)
    await caller.ask(doors.told())
    assert doors.came() == []


async def test_without_network_there_is_no_way_out(full: Machine, plugin: Make) -> None:
    """Neither to the metadata address nor to anywhere else: it has no device but a loopback of its own."""
    waiting = plugin(full, "import sys\nfor line in sys.stdin: print('{}', flush=True)")
    await waiting.ask()
    net = Path(f"/proc/{await waiting.pid()}/net")
    devices = [line.partition(":")[0].strip() for line in (net / "dev").read_text().splitlines()[2:]]
    assert devices == ["lo"]
    assert (net / "route").read_text().splitlines()[1:] == []


FETCHER = """
    import json, socket, sys, urllib.error, urllib.request
    def fetched(url):
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return [answer.status, answer.read().decode()]
        except urllib.error.HTTPError as error:
            return [error.code, error.read().decode()]
        except OSError as error:
            return [0, str(error)]
    def tunnelled(host):
        try:
            with socket.create_connection(("127.0.0.1", 3128), timeout=5) as proxy:
                proxy.sendall(f"CONNECT {host} HTTP/1.1\\r\\n\\r\\n".encode())
                said = proxy.recv(1000).decode()
                if " 200 " not in said:
                    return [int(said.split()[1]), said]
                proxy.sendall(b"GET /through HTTP/1.0\\r\\n\\r\\n")
                proxy.shutdown(socket.SHUT_WR)
                said = b""
                while data := proxy.recv(1000):
                    said += data
                return [200, said.decode()]
        except OSError as error:
            return [0, str(error)]
    for line in sys.stdin:
        where = line.strip()
        print(json.dumps(fetched(where) if "://" in where else tunnelled(where)), flush=True)
"""


class Pages(BaseHTTPRequestHandler):
    """A web server on this machine that remembers who asked for what."""

    def do_GET(self) -> None:
        """Whatever it is."""
        assert isinstance(self.server, Web)
        self.server.asked.append((self.path, self.headers.get("Proxy-Authorization", "")))
        body = b"a page"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


class Web(ThreadingHTTPServer):
    """The server."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Pages)
        self.asked: list[tuple[str, str]] = []


@pytest.fixture
def web() -> Iterator[Web]:
    """A running one."""
    with Web() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def _limited(network: Network, *allow: str) -> Limits:
    return Limits(cpu_ms=10_000, network=network, network_allow=allow)


async def _answer(fetcher: Plugin, where: str) -> tuple[int, str]:
    status, text = json.loads((await fetcher.ask(where.encode())).body)
    return status, text


@pytest.mark.parametrize("way", ["http://127.0.0.1:{}/through", "127.0.0.1:{}"])
async def test_rule_h2_local_only_reaches_what_is_listed(
    full: Machine, plugin: Make, web: Web, way: str
) -> None:
    """By a request and by a tunnel; the standard library finds the proxy by itself."""
    port = web.server_port
    fetcher = plugin(full, FETCHER, limits=_limited(Network.LOCAL_ONLY, f"127.0.0.1:{port}"))
    status, text = await _answer(fetcher, way.format(port))
    assert (status, text.endswith("a page")) == (200, True)
    assert web.asked == [("/through", "")]


async def test_rule_h2_a_name_is_judged_by_what_it_leads_to(full: Machine, plugin: Make, web: Web) -> None:
    """`localhost` is listed, and is on this machine."""
    fetcher = plugin(full, FETCHER, limits=_limited(Network.LOCAL_ONLY, f"localhost:{web.server_port}"))
    assert await _answer(fetcher, f"http://LOCALHOST:{web.server_port}/") == (200, "a page")


async def test_rule_h2_nothing_else_is_reached(full: Machine, plugin: Make, web: Web, doors: Doors) -> None:
    """No other port, and nothing beside the proxy: not even what is listed."""
    port = web.server_port
    fetcher = plugin(full, FETCHER, limits=_limited(Network.LOCAL_ONLY, f"127.0.0.1:{port}", "no-port"))
    other = json.loads(doors.told())["tcp"]
    status, text = await _answer(fetcher, f"http://127.0.0.1:{other}/")
    assert (status, "not among the addresses" in text) == (403, True)
    assert (await _answer(fetcher, f"127.0.0.1:{other}"))[0] == 403
    assert (await _answer(fetcher, "http://user@127.0.0.1/"))[0] == 400
    caller = plugin(full, CALLER, limits=_limited(Network.LOCAL_ONLY, f"127.0.0.1:{other}"))
    await caller.ask(doors.told())
    assert doors.came() == []


async def test_rule_h2_our_own_listeners_are_never_reached(full: Machine, plugin: Make, web: Web) -> None:
    """Though somebody approved just that; also when we listen on every address."""
    port = web.server_port
    for own in (("127.0.0.1", port), ("0.0.0.0", port)):
        site = Site(listeners=lambda own=own: [own])  # type: ignore[misc]
        fetcher = plugin(full, FETCHER, limits=_limited(Network.LOCAL_ONLY, f"127.0.0.1:{port}"), site=site)
        status, text = await _answer(fetcher, f"http://127.0.0.1:{port}/")
        assert (status, "a listener of the site itself" in text) == (403, True)
    assert web.asked == []


@pytest.mark.parametrize(
    "host", ["127.0.0.1:{}", "[::ffff:127.0.0.1]:{}", "localhost:{}", "0.0.0.0:{}", "[64:ff9b::7f00:1]:{}"]
)
async def test_trap_h4_outbound_is_not_inbound(full: Machine, plugin: Make, web: Web, host: str) -> None:
    """What leads back to this machine is not outside, however it is written."""
    target = host.format(web.server_port)
    fetcher = plugin(full, FETCHER, limits=_limited(Network.OUTBOUND_LIMITED, target))
    assert (await _answer(fetcher, target))[0] == 403
    assert web.asked == []


@pytest.mark.parametrize("host", ["169.254.169.254:80", "[fe80::1]:80", "10.0.0.1:80", "[fd00:ec2::254]:80"])
async def test_trap_h4_metadata_and_private_addresses_are_refused(
    full: Machine, plugin: Make, host: str
) -> None:
    """Listed by the plugin; only the site's configuration could open them."""
    fetcher = plugin(full, FETCHER, limits=_limited(Network.OUTBOUND_LIMITED, host))
    status, text = await _answer(fetcher, host)
    assert (status, "not public" in text) == (403, True)


async def test_a_limited_network_needs_namespaces(plugin: Make) -> None:
    """Landlock tells ports from each other, not hosts: what cannot be kept is not run."""
    machine = machine_without(Layer.NAMESPACES)
    fetcher = plugin(machine, FETCHER, limits=_limited(Network.LOCAL_ONLY, "127.0.0.1:1"))
    with pytest.raises(CallFailed, match="can be kept in namespaces only"):
        await fetcher.ask()


async def test_an_unlimited_network_is_the_machines(full: Machine, plugin: Make, doors: Doors) -> None:
    """But for UNIX sockets, which no network limits."""
    caller = plugin(full, CALLER, limits=_limited(Network.UNLIMITED))
    await caller.ask(doors.told())
    assert doors.came() == ["tcp", "tcp", "udp"]


async def test_the_relay_and_the_proxy_end_with_the_plugin(full: Machine, plugin: Make, web: Web) -> None:
    """No process, no descriptor, no socket in the file system."""
    before = _held()
    assert await _used(plugin(full, FETCHER, limits=_reaching(web)), web) == before


def _reaching(web: Web) -> Limits:
    return _limited(Network.LOCAL_ONLY, f"127.0.0.1:{web.server_port}")


async def _used(fetcher: Plugin, web: Web) -> tuple[set[int], set[str]]:
    """What we hold after a plugin came and went, with all its processes."""
    await _answer(fetcher, f"http://127.0.0.1:{web.server_port}/")
    assert len(_held()[1]) == 1
    started = _children(int(status(await fetcher.pid())["PPid"]))
    assert len(started) == 2  # the plugin and the relay
    await fetcher.transport.close()
    assert {*started}.isdisjoint(map(int, filter(str.isdecimal, os.listdir("/proc"))))
    async with asyncio.timeout(20):
        while any("process_request" in one.name for one in threading.enumerate()):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return _held()


def _held() -> tuple[set[int], set[str]]:
    """Our descriptors, and our proxies' sockets."""
    names = os.listdir(tempfile.gettempdir())
    ours = {name for name in names if name.startswith(f"mairust-egress-{os.getpid()}-")}
    return descriptors(), ours


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
