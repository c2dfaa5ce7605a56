"""How one plugin's command is started: the command line around it, and what its launcher is told."""

from __future__ import annotations

import hashlib
import platform
import resource
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from mairust_core.model.isolation import Layer
from mairust_core.model.plugin import Layers, Limits, Network
from mairust_core.sandbox import landlock, places, seccomp
from mairust_core.sandbox.machine import Machine
from mairust_core.sandbox.reach import Site

MIB = 1 << 20
PROCESSES = 64
"""Processes and threads that one process of a plugin may have, itself included."""
BESIDE = 16 * PROCESSES
"""And beside all others of the server's user, where it has none of its own: who has too many is seen."""
OPEN_FILES = 256
FILE_BYTES = 16 * MIB
TMP_BYTES = 16 * MIB
ADDRESS_SPACE_BYTES = 1 << 34
"""Runtimes reserve gigabytes that they never touch; what they touch is counted otherwise."""
CPU_SLACK_S = 2
"""What the launcher itself used, and rounding: the exact limit is kept by who waits for the answer."""

FIRST_USER = 0x7000_0000
"""Users of plugins: a range that no distribution and no container runtime gives out (systemd, UIDS-GIDS)."""
_USERS = 0x0FFF_FFFF
NOBODY = 65_534

INSIDE = Path("/plugin")
_LAUNCHER_INSIDE = "/run/launch.py"
_RELAY_INSIDE = "/run/relay.py"
_EGRESS_INSIDE = "/run/egress"
RELAY_PORT = 3128


PROXIED = (Network.LOCAL_ONLY, Network.OUTBOUND_LIMITED)
"""What goes through the proxy, which alone tells hosts from each other."""
_SOCKETS = {
    Network.UNLIMITED: seccomp.Sockets.INTERNET,
    Network.LOCAL_ONLY: seccomp.Sockets.TCP,
    Network.OUTBOUND_LIMITED: seccomp.Sockets.TCP,
}
_PROXY = f"http://127.0.0.1:{RELAY_PORT}"
_PROXY_VARIABLES = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")


class Unconfinable(Exception):
    """This cannot be run as it must be; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What shall run: a plugin's command, its files and its limits."""

    plugin: str
    command: tuple[str, ...]
    directory: Path
    limits: Limits
    startup_cpu_ms: int = 0
    """What it may use beyond one call's limit until it gave its first answer."""
    egress: Path | None = None
    """The socket of its proxy, when its network is one that goes through it."""
    calls: int = 1
    """How many it will be asked at most: by its limits, the kernel's own limit for its whole life."""

    @property
    def lifetime_cpu_ms(self) -> int:
        """For every call its limit, and as much between two."""
        return self.startup_cpu_ms + (2 * self.calls - 1) * self.limits.cpu_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Confinement:
    """A machine's layers, and what of the site lies where plugins could see or reach it.

    `hidden`: the data directory and other directories and files that are nobody's to read. `is_required`:
    nothing runs where files and network cannot be kept from it (rule H1, `plugins.sandbox`).
    """

    machine: Machine
    hidden: tuple[Path, ...] = ()
    site: Site = field(default_factory=Site)
    is_required: bool = True

    def holding(self, directory: Path) -> Confinement:
        """The same for a program in this directory (`Machine.holding`)."""
        return replace(self, machine=self.machine.holding(directory))

    def command_line(self, args_fd: int | None, told_fd: int) -> list[str]:
        """The command to start; bubblewrap reads its own arguments, `arguments`, from `args_fd`."""
        inner = [str(self.machine.interpreter.program), "-I", "-S"]
        if self.machine.grade is not Layers.NAMESPACES:
            return [*inner, str(places.LAUNCHER), str(told_fd)]
        assert self.machine.bubblewrap is not None
        return [
            str(self.machine.bubblewrap),
            *("--args", str(args_fd)),
            *("--", *inner, _LAUNCHER_INSIDE, str(told_fd)),
        ]

    def arguments(self, program: Program, info_fd: int) -> list[str]:
        """The namespaces, and the view of the file system in them; kept out of the list of processes."""
        network = program.limits.network
        return [*self._namespaces(network), *self._view(program), "--info-fd", str(info_fd)]

    def _namespaces(self, network: Network) -> list[str]:
        args = ["--unshare-ipc", "--unshare-pid", "--unshare-uts", "--unshare-cgroup-try"]
        args += ["--hostname", "plugin", "--die-with-parent"]
        if network is not Network.UNLIMITED:
            args.append("--unshare-net")
        if not self.machine.has(Layer.OWN_USER):
            return [*args, "--unshare-user", "--uid", str(NOBODY), "--gid", str(NOBODY)]
        args += ["--cap-drop", "ALL"]
        for capability in ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP"):
            args += ["--cap-add", capability]
        return args

    def _view(self, program: Program) -> list[str]:
        etc = _etc(program.limits.network)
        args = [*_parents((*self._own_prefix(), _LAUNCHER_INSIDE, *etc))]
        for path in (*places.SYSTEM, *self._own_prefix()):
            args += ["--ro-bind", path, path]
        args += [*_linked(), "--proc", "/proc", "--dev", "/dev"]
        args += ["--size", str(TMP_BYTES), "--perms", "1777", "--tmpfs", "/tmp"]  # noqa: S108 - inside
        args += ["--ro-bind", str(program.directory), str(INSIDE)]
        args += ["--ro-bind", str(places.LAUNCHER), _LAUNCHER_INSIDE]
        if program.egress is not None:
            args += ["--ro-bind", str(places.RELAY), _RELAY_INSIDE]
            args += ["--ro-bind", str(program.egress), _EGRESS_INSIDE]
        for path in etc:
            args += ["--ro-bind-try", path, path]
        for hidden, inside in self._covered(program.directory):
            args += _cover(hidden, inside)
        return [*args, "--remount-ro", "/dev", "--remount-ro", "/"]

    def _own_prefix(self) -> tuple[str, ...]:
        if places.is_below(self.machine.interpreter.prefix, places.SYSTEM):
            return ()
        parts = self.machine.interpreter.parts
        return tuple(str(path) for path in parts if not places.is_below(path, places.LINKED_SYSTEM))

    def _covered(self, directory: Path) -> Iterator[tuple[Path, str]]:
        """What of the hidden paths would show, and how it is called inside."""
        for path in self.hidden:
            if places.is_below(path, (*places.SYSTEM, *self._own_prefix())):
                yield path, str(path)
            if places.is_below(path, (directory,)):
                yield path, str(INSIDE / path.relative_to(directory))

    def told(self, program: Program, status_fd: int, cgroups: list[int], server: int) -> dict[str, object]:
        """What the launcher is told (`launch.py`). Raises `Unconfinable`."""
        self._judge()
        if program.directory in self.hidden:
            raise Unconfinable(f"its directory {program.directory} is one of the site's own")
        namespaces = self.machine.grade is Layers.NAMESPACES
        limited = program.limits.network in PROXIED
        if limited and (not namespaces or program.egress is None):
            raise Unconfinable(f"network {program.limits.network} can be kept in namespaces only")
        return {
            "status": status_fd,
            "cgroups": cgroups,
            "parent": None if namespaces else server,
            "user": user_of(program.plugin) if self.machine.has(Layer.OWN_USER) else None,
            "relay": (_RELAY_INSIDE, RELAY_PORT, _EGRESS_INSIDE) if limited else None,
            "rlimits": self._rlimits(program),
            "beside": BESIDE if self._is_among_ours else None,
            "landlock": self._landlock(program) if self.machine.has(Layer.LANDLOCK) else None,
            "seccomp": self._seccomp(program.limits.network) if self.machine.has(Layer.SECCOMP) else None,
            "argv": list(program.command),
            "env": self._environment(program),
            "directory": str(INSIDE if namespaces else program.directory),
        }

    def _judge(self) -> None:
        isolation = self.machine.isolation
        if isolation.grade is Layers.NONE or (self.is_required and not isolation.is_enough):
            reasons = "; ".join(f"{one.layer}: {one.why}" for one in isolation.missing)
            raise Unconfinable(f"files and network cannot be kept from it here ({reasons})")

    def _rlimits(self, program: Program) -> list[tuple[int, int]]:
        memory = program.limits.memory_mb * MIB
        counted = self.machine.has(Layer.CGROUP)
        return [
            *([] if counted else [(resource.RLIMIT_DATA, memory)]),
            (resource.RLIMIT_CORE, 0),
            (resource.RLIMIT_CPU, program.lifetime_cpu_ms // 1000 + CPU_SLACK_S),
            (resource.RLIMIT_AS, memory + ADDRESS_SPACE_BYTES),
            (resource.RLIMIT_FSIZE, FILE_BYTES),
            (resource.RLIMIT_NOFILE, OPEN_FILES),
            *([] if self._is_among_ours else [(resource.RLIMIT_NPROC, self._processes)]),
            (resource.RLIMIT_MEMLOCK, 1 << 16),
            (resource.RLIMIT_MSGQUEUE, 0),
            (resource.RLIMIT_SIGPENDING, 1024),
        ]

    @property
    def _is_among_ours(self) -> bool:
        """Whether the kernel counts its processes with the server's, and with those of other plugins."""
        return self.machine.grade is not Layers.NAMESPACES and not self.machine.has(Layer.OWN_USER)

    @property
    def _processes(self) -> int:
        return PROCESSES * (8 if self.machine.has(Layer.OWN_USER) else 1)

    def _landlock(self, program: Program) -> dict[str, object]:
        namespaces = self.machine.grade is Layers.NAMESPACES
        network = program.limits.network
        reading = [*places.SYSTEM, *places.LINKED_SYSTEM, *self._own_prefix(), *_etc(network)]
        if namespaces:
            reading += [str(INSIDE), "/proc", "/dev"]
        elif shown := [*self._covered(program.directory)]:
            raise Unconfinable(
                f"{shown[0][0]} lies where it could read it, and there are no namespaces to hide it"
            )
        else:
            reading.append(".")  # where the launcher is, whatever its name leads to by now
        access = landlock.Access(
            reading=tuple(reading),
            writing=(*places.DEVICES, *(("/tmp",) if namespaces else ())),  # noqa: S108 - inside
            ports=None if network is Network.UNLIMITED else _ports(network),
        )
        return landlock.ruleset(self.machine.landlock_abi, access)

    def _seccomp(self, network: Network) -> bytes:
        namespaces = self.machine.grade is Layers.NAMESPACES
        held = (
            namespaces or self.machine.has(Layer.OWN_USER) or self.machine.landlock_abi >= landlock.SCOPE_ABI
        )
        denials = seccomp.Denials(
            sockets=_SOCKETS.get(network, seccomp.Sockets.NONE),
            outside_namespaces=not namespaces,
            signals=not held,
        )
        return seccomp.program(platform.machine(), denials)

    def _environment(self, program: Program) -> dict[str, str]:
        home = "/tmp" if self.machine.grade is Layers.NAMESPACES else str(program.directory)  # noqa: S108
        return {
            "PATH": self.machine.interpreter.path,
            "HOME": home,
            "LANG": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUNBUFFERED": "1",  # a worker whose answer waits in a buffer would time out
            "MAIRUST_PLUGIN": program.plugin,
            **({} if program.egress is None else dict.fromkeys(_PROXY_VARIABLES, _PROXY)),
        }


def user_of(plugin: str) -> int:
    """The user and group id that is this plugin's alone, on every machine."""
    return FIRST_USER + int.from_bytes(hashlib.sha256(plugin.encode()).digest()[:4]) % _USERS


def _cover(path: Path, inside: str) -> list[str]:
    """An empty directory over a directory, over a file a device that cannot be opened."""
    if path.is_dir():
        return ["--tmpfs", inside, "--remount-ro", inside]
    return ["--ro-bind", "/dev/null", inside] if path.exists() else []


def _linked() -> Iterator[str]:
    for path in map(Path, places.LINKED_SYSTEM):
        if path.is_symlink():
            yield from ("--symlink", str(path.readlink()), str(path))
        elif path.is_dir():
            yield from ("--ro-bind", str(path), str(path))


def _parents(paths: Iterable[str]) -> Iterator[str]:
    """Directories on the way to mounts, which bubblewrap would make for their owner alone."""
    for parent in sorted({parent for path in paths for parent in Path(path).parents if parent != Path("/")}):
        yield from ("--perms", "0755", "--dir", str(parent))


def _ports(network: Network) -> tuple[int, ...]:
    return (RELAY_PORT,) if network in PROXIED else ()


def _etc(network: Network) -> tuple[str, ...]:
    return places.FILES + (places.NETWORK_FILES if network is Network.UNLIMITED else ())
