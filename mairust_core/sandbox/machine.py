"""What this machine offers to hold local processes: tried once, not guessed from versions."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from mairust_core.model.isolation import Isolation, Layer, MissingLayer
from mairust_core.model.plugin import Layers
from mairust_core.sandbox import cgroups, landlock, places, seccomp
from mairust_core.sandbox.directories import closed_to_others


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The layers that work here, and why others do not."""

    interpreter: places.Interpreter
    bubblewrap: Path | None = None
    landlock_abi: int = 0
    cgroups: cgroups.Home | None = None
    missing: tuple[MissingLayer, ...] = ()

    @cached_property
    def isolation(self) -> Isolation:
        """What holds a local process here, by name: for people."""
        lacking = {one.layer for one in self.missing}
        present = tuple(layer for layer in Layer if layer not in lacking)
        return Isolation(grade=_grade(present), present=present, missing=self.missing)

    @property
    def grade(self) -> Layers:
        """The best of the ways to start a process."""
        return self.isolation.grade

    def has(self, layer: Layer) -> bool:
        """Whether a layer works here."""
        return layer in self.isolation.present

    def lacking(self, layer: Layer, why: str) -> Machine:
        """The same machine without a layer."""
        if not self.has(layer):
            return self
        return replace(self, missing=(*self.missing, MissingLayer(layer=layer, why=why)))

    def holding(self, directory: Path) -> Machine:
        """The same for a plugin in this directory, where a user of its own may not get without namespaces.

        Only what is closed by the server's own user makes a difference: no other opens by what he closes.
        """
        if self.grade is not Layers.LANDLOCK or not self.has(Layer.OWN_USER):
            return self
        closed = closed_to_others(directory)
        if closed is None or closed.stat().st_uid != os.geteuid():
            return self
        return self.lacking(Layer.OWN_USER, f"{closed} is closed to other users")


def _grade(present: tuple[Layer, ...]) -> Layers:
    """Landlock alone leaves datagrams and UNIX sockets open: without seccomp it is not enough."""
    if Layer.RLIMITS not in present:
        return Layers.NONE
    if Layer.NAMESPACES in present:
        return Layers.NAMESPACES
    if Layer.LANDLOCK in present and Layer.SECCOMP in present:
        return Layers.LANDLOCK
    return Layers.LIMITS


def look() -> Machine:
    """What each layer says of itself, before a process was started in them (`probing.probe`)."""
    if sys.platform != "linux":
        why = f"{sys.platform} has none of them"
        every = tuple(MissingLayer(layer=layer, why=why) for layer in Layer)
        return Machine(interpreter=places.interpreter(), missing=every)
    found = shutil.which("bwrap")
    home, no_groups = _groups()
    return Machine(
        interpreter=places.interpreter(),
        bubblewrap=Path(found) if found else None,
        landlock_abi=landlock.abi(),
        cgroups=home,
        missing=tuple(_missing(found, no_groups)),
    )


def _groups() -> tuple[cgroups.Home | None, str]:
    try:
        return cgroups.find_home(), ""
    except cgroups.Unavailable as error:
        return None, str(error)


def _missing(bubblewrap: str | None, no_groups: str) -> Iterator[MissingLayer]:
    if bubblewrap is None:
        yield MissingLayer(layer=Layer.NAMESPACES, why="bwrap is not installed")
    if os.geteuid():
        yield MissingLayer(layer=Layer.OWN_USER, why="the server does not run as root")
    if not landlock.abi():
        yield MissingLayer(layer=Layer.LANDLOCK, why=landlock.why_not())
    if not seccomp.is_known(platform.machine()):
        yield MissingLayer(layer=Layer.SECCOMP, why=f"no filter for {platform.machine()}")
    if no_groups:
        yield MissingLayer(layer=Layer.CGROUP, why=no_groups)
