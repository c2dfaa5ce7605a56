"""Plugins that reach for the network: what arrives at real listeners is what counts (rules H1, H2)."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from mairust_core.sandbox.machine import Machine
from tests.integration.sandbox.conftest import Make

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
        self._udp.setblocking(False)
        for one in self._streams.values():
            one.listen()
            one.setblocking(False)
        self.path.chmod(0o777)

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
        try:
            self._udp.recv(100)
            found.append("udp")
        except BlockingIOError:
            pass
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
    assert doors.came() == ["tcp", "tcp", "unix", "abstract", "udp"]


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
