"""Plugins of tests: small programs in the real sandbox, and what can be seen of them from outside."""

from __future__ import annotations

import asyncio
import os
import textwrap
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from mairust_core.hooks.stdin import Oneshot, open_stdin
from mairust_core.hooks.transport import Answer, Call
from mairust_core.hooks.workers import Workers
from mairust_core.model.plugin import Entry, Limits, Permissions, ProcessMode, Protocol, Runnable
from mairust_core.sandbox.confinement import Confinement
from mairust_core.sandbox.machine import Machine
from mairust_core.sandbox.reach import Site

ECHO = """
    import sys
    for line in sys.stdin:
        print('{"action": "deliver", "asked": ' + line.strip() + "}")
"""
"""A worker that does as it should."""
PATIENCE_S = 20.0


@dataclass
class Plugin:
    """A plugin of one Python file, called as a hook would call it."""

    directory: Path
    confinement: Confinement
    runnable: Runnable
    marker: str
    transport: Oneshot | Workers = field(init=False)

    def __post_init__(self) -> None:
        self.transport = open_stdin(self.runnable, self.confinement)

    async def ask(self, body: bytes = b"{}", timeout_ms: int = 20_000) -> Answer:
        """One call."""
        return await self.transport.call(call(body, timeout_ms))

    def pids(self) -> list[int]:
        """Its living processes, by the process table of the machine."""
        return [pid for pid in _every_pid() if self.marker.encode() in _command_line(pid)]

    async def until_gone(self) -> None:
        """Wait until none of its processes is left."""
        async with asyncio.timeout(PATIENCE_S):
            while self.pids():  # noqa: ASYNC110 - the process table rings no bell
                await asyncio.sleep(0.01)

    async def pid(self) -> int:
        """The one process that is the plugin, once it runs."""
        async with asyncio.timeout(PATIENCE_S):
            while not (found := [pid for pid in self.pids() if not _is_ours(pid)]):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        return found[0]


def call(body: bytes = b"{}", timeout_ms: int = 20_000) -> Call:
    """A question as the chain asks it."""
    return Call(delivery_id="1", hook="test", body=body, timeout_ms=timeout_ms)


def make_plugin(
    directory: Path,
    machine: Machine,
    script: str,
    *,
    mode: ProcessMode = ProcessMode.WORKER,
    limits: Limits | None = None,
    hidden: Sequence[Path] = (),
    command: tuple[str, ...] | None = None,
    max_calls: int = 1_000,
    site: Site | None = None,
) -> Plugin:
    """A plugin whose one file is `script`; its processes carry a marker in their command lines."""
    directory.mkdir(exist_ok=True)
    directory.chmod(0o755)
    (directory / "plugin.py").write_text(textwrap.dedent(script))
    marker = f"marker-{uuid.uuid4().hex}"
    entry = Entry(
        protocol=Protocol.STDIN,
        command=(*(command or ("python3", "plugin.py")), marker),
        mode=mode,
        max_calls=max_calls,
    )
    runnable = Runnable(
        id=f"com.example.{marker}",
        version="1.0.0",
        entry=entry,
        permissions=Permissions(),
        limits=limits or Limits(cpu_ms=10_000),
        directory=directory,
    )
    confinement = Confinement(machine=machine, hidden=tuple(hidden), site=site or Site())
    return Plugin(directory, confinement, runnable, marker)


def resident_bytes(pids: Sequence[int]) -> int:
    """Their memory together, now."""
    return sum(_field(pid, "VmRSS") for pid in pids) * 1024


def cpu_ms(pid: int) -> int:
    """Its CPU time so far; 0 when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return 0
    return sum(map(int, fields[11:13])) * 1000 // os.sysconf("SC_CLK_TCK")


def descriptors() -> set[int]:
    """Those that this process holds; a loop of libuv keeps /dev/null in reserve, which is not counted."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):  # the listing's own
            if os.readlink(f"/proc/self/fd/{name}") != os.devnull:
                found.add(int(name))
    return found


def status(pid: int) -> dict[str, str]:
    """What the kernel says of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def environment_of(pid: int) -> list[bytes]:
    """The environment it was started with."""
    return [entry for entry in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0") if entry]


def _field(pid: int, name: str) -> int:
    try:
        return int(status(pid).get(name, "0").split()[0])
    except OSError:
        return 0


def _every_pid() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdecimal()]


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _is_ours(pid: int) -> bool:
    return b"launch.py" in _command_line(pid)
