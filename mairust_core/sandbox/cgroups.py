"""Control groups: memory, processes and CPU time of all that a plugin's process started, together.

A server makes groups below its own, where it may write: version 1 by controller, version 2 in the subtree
that was delegated to it. Processes join by themselves, through a descriptor that was opened here.
"""

from __future__ import annotations

import atexit
import errno
import itertools
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

ROOT = Path("/sys/fs/cgroup")
OURS = "mairust"
V1_CONTROLLERS = ("memory", "pids", "cpuacct")
V2_CONTROLLERS = ("memory", "pids")
V2_WANTED = " ".join(f"+{name}" for name in V2_CONTROLLERS)
TRIES = 5
"""To make a group whose place another server, which ends, removes at the same moment."""

log = logging.getLogger("mairust.sandbox")
_numbers = itertools.count(1)
_homes: list[Home] = []


class Unavailable(Exception):
    """No groups can be made here; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Most:
    """What all processes of one group may take together."""

    memory_bytes: int
    processes: int


class Home(Protocol):
    """Where this process may make groups."""

    def make(self, most: Most) -> Group:
        """A new group with these limits. Raises `OSError`."""
        ...

    def leave(self) -> None:
        """Remove the place for groups, unless it has some; `make` makes it again."""
        ...


class Group:
    """One group, made and not yet joined."""

    def __init__(self, directories: Mapping[str, Path], readers: Readers) -> None:
        self._directories = directories
        self._readers = readers
        self._cpu = os.open(readers.cpu, os.O_RDONLY | os.O_CLOEXEC)

    def entrances(self) -> list[Path]:
        """Files to open here and to write `0` to there: who has done so with each has joined."""
        return [directory / "cgroup.procs" for directory in {*self._directories.values()}]

    def cpu_us(self) -> int:
        """CPU time its processes have used, microseconds, those that ended included."""
        return self._readers.cpu_us(os.pread(self._cpu, 4096, 0))

    def peak_bytes(self) -> int:
        """The most memory its processes ever used together; 0 where the kernel does not say."""
        try:
            return int(self._readers.memory_peak.read_text("ascii"))
        except (OSError, ValueError):  # before Linux 5.19, or the group is gone
            return 0

    def was_out_of_memory(self) -> bool:
        """Whether the kernel killed one of them for memory."""
        text = self._readers.memory_events.read_text("ascii")
        words = dict(line.split() for line in text.splitlines())
        return words.get("oom_kill", "0") != "0"

    def remove(self) -> bool:
        """Remove it; False while it has processes."""
        for directory in {*self._directories.values()}:
            try:
                directory.rmdir()
            except FileNotFoundError:
                continue
            except OSError:
                return False
        self.leave()
        return True

    def leave(self) -> None:
        """Ask it nothing more; what is left of it is swept by a later server."""
        if self._cpu >= 0:
            os.close(self._cpu)
            self._cpu = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Readers:
    """Where the kernel tells what a group used."""

    cpu: Path
    memory_events: Path
    memory_peak: Path
    version: int

    def cpu_us(self, text: bytes) -> int:
        """CPU time in the words of this version."""
        if self.version == 1:
            return int(text) // 1000
        return int(text.split()[1])


class V1:
    """The first version: a tree for each controller."""

    def __init__(self, bases: Mapping[str, Path]) -> None:
        self._bases = bases

    def make(self, most: Most) -> Group:
        """A group in each tree."""
        name = _name()
        made = {controller: base / name for controller, base in self._bases.items()}
        with _made(made.values(), _stand):
            return self._limited(made, most)

    def leave(self) -> None:
        """Remove what is empty in each tree."""
        for base in self._bases.values():
            _try_to_remove(base)

    def _limited(self, made: Mapping[str, Path], most: Most) -> Group:
        memory = made["memory"]
        write_to(memory / "memory.limit_in_bytes", most.memory_bytes)
        with suppress(FileNotFoundError):  # a kernel that counts no swap
            write_to(memory / "memory.memsw.limit_in_bytes", most.memory_bytes)
        write_to(made["pids"] / "pids.max", most.processes)
        readers = Readers(
            cpu=made["cpuacct"] / "cpuacct.usage",
            memory_events=memory / "memory.oom_control",
            memory_peak=memory / "memory.max_usage_in_bytes",
            version=1,
        )
        return Group(made, readers)


class V2:
    """The second version: one tree, delegated from `base` downwards."""

    def __init__(self, base: Path) -> None:
        self._base = base

    def make(self, most: Most) -> Group:
        """A group below the base."""
        directory = self._base / _name()
        with _made([directory], _stand_delegating):
            return self._limited(directory, most)

    def leave(self) -> None:
        """Remove the base if it is empty."""
        _try_to_remove(self._base)

    def _limited(self, directory: Path, most: Most) -> Group:
        write_to(directory / "memory.max", most.memory_bytes)
        with suppress(FileNotFoundError):
            write_to(directory / "memory.swap.max", 0)
            write_to(directory / "memory.oom.group", 1)
        write_to(directory / "pids.max", most.processes)
        readers = Readers(
            cpu=directory / "cpu.stat",
            memory_events=directory / "memory.events",
            memory_peak=directory / "memory.peak",
            version=2,
        )
        return Group({"unified": directory}, readers)


def find_home(root: Path = ROOT, own: str | None = None) -> Home:
    """Where this process may make groups; what a killed server left there is removed.

    Raises `Unavailable`.
    """
    places = dict(_own_places(own if own is not None else Path("/proc/self/cgroup").read_text("utf-8")))
    try:
        home = (
            _first(root, places) if all(name in places for name in V1_CONTROLLERS) else _second(root, places)
        )
    except OSError as error:
        raise Unavailable(f"{error.filename}: {error.strerror}") from error
    _homes.append(home)
    return home


@atexit.register
def leave() -> None:
    """Remove the places that were found, where they are empty: at the end, and before an end without one."""
    for home in _homes:
        home.leave()


def _own_places(text: str) -> Iterator[tuple[str, str]]:
    """Which group this process is in, by controller; `""` is version 2."""
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            yield controller, path


def _first(root: Path, places: Mapping[str, str]) -> V1:
    bases = {name: root / name / places[name].lstrip("/") / OURS for name in V1_CONTROLLERS}
    for base in bases.values():
        _stand(base)
        _sweep(base)
    home = V1(bases)
    _try(home)
    return home


def _second(root: Path, places: Mapping[str, str]) -> V2:
    if "" not in places:
        raise Unavailable("this process is in no control group")
    own = root / places[""].lstrip("/")
    reasons = []
    for parent in (own.parent, own):  # systemd's DelegateSubgroup= puts us one below what is ours
        try:
            return _second_at(parent)
        except OSError as error:
            reasons.append(f"{error.filename}: {error.strerror}")
        except Unavailable as error:
            reasons.append(str(error))
    raise Unavailable("; ".join(reasons))


def _second_at(parent: Path) -> V2:
    available = (parent / "cgroup.controllers").read_text("ascii").split()
    if lacking := [name for name in V2_CONTROLLERS if name not in available]:
        raise Unavailable(f"{parent}: no controller {lacking[0]}")
    write_to(parent / "cgroup.subtree_control", V2_WANTED)
    base = parent / OURS
    _stand_delegating(base)
    _sweep(base)
    home = V2(base)
    _try(home)
    return home


def _try(home: Home) -> None:
    group = home.make(Most(memory_bytes=1 << 26, processes=16))
    group.cpu_us()
    group.remove()


@contextmanager
def _made(directories: Iterable[Path], stand: Callable[[Path], None]) -> Iterator[None]:
    """Make groups, and take them away again when what follows fails."""
    with ExitStack() as on_failure:
        for directory in {*directories}:
            _make(directory, stand)
            on_failure.callback(_try_to_remove, directory)
        yield
        on_failure.pop_all()


def _make(directory: Path, stand: Callable[[Path], None]) -> None:
    for _ in range(TRIES):
        with suppress(FileNotFoundError):
            stand(directory.parent)
            directory.mkdir()
            return
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(directory))


def _stand(base: Path) -> None:
    base.mkdir(exist_ok=True)


def _stand_delegating(base: Path) -> None:
    _stand(base)
    write_to(base / "cgroup.subtree_control", V2_WANTED)


def _name() -> str:
    return f"{os.getpid()}-{next(_numbers)}"


def _sweep(base: Path) -> None:
    for left in _entries(base):
        pid = left.name.partition("-")[0]
        if left.is_dir() and pid.isdecimal() and not Path("/proc", pid).exists():
            _try_to_remove(left)


def _entries(base: Path) -> list[Path]:
    with suppress(FileNotFoundError):  # another server, which ends, removed it
        return list(base.iterdir())
    return []


def _try_to_remove(group: Path) -> None:
    with suppress(OSError):  # its processes are ending
        group.rmdir()


def write_to(path: Path, value: object) -> None:
    """Write one value into a file of a group; raises `OSError` that names the file."""
    try:
        path.write_text(f"{value}\n", "ascii")
    except OSError as error:  # of a write it does not name the file
        raise OSError(error.errno, error.strerror, str(path)) from None
