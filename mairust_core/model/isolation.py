"""How well local processes of plugins are shut in on a machine: layer by layer, by name (rule H1)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from mairust_core.model.plugin import Layers


class Layer(StrEnum):
    """One thing that holds a process, on its own or as the second line behind another."""

    NAMESPACES = "namespaces"
    """Its own view of files, processes, network and host name, by bubblewrap."""
    OWN_USER = "own-user"
    """An operating system user of its own for each plugin; otherwise the server's, without its powers."""
    LANDLOCK = "landlock"
    """Files and TCP ports, judged by the kernel at each use."""
    SECCOMP = "seccomp"
    """System calls that no plugin needs."""
    CGROUP = "cgroup"
    """Memory, processes and CPU of all its processes together; otherwise of each, and by looking."""
    RLIMITS = "rlimits"
    """CPU, memory, descriptors, file sizes of each process; there is no machine without."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingLayer:
    """A layer that this machine does not give: what was tried and failed."""

    layer: Layer
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Isolation:
    """What holds a local process here, and what does not."""

    grade: Layers
    present: tuple[Layer, ...]
    missing: tuple[MissingLayer, ...] = ()

    @property
    def is_enough(self) -> bool:
        """Whether files and network are shut off, so that nobody has to trust the code (rule H1)."""
        return self.grade >= Layers.LANDLOCK
