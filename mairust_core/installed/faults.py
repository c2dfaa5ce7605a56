"""An extension, and what was found wrong with it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

NAME = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
"""What a driver, an engine, a protocol, a command or a router of an extension may be called."""


class FaultKind(StrEnum):
    """What is wrong with an extension."""

    MISSING = "missing"
    """The module that its entry point names is not there."""
    IMPORT = "import"
    """Importing it failed."""
    INVALID = "invalid"
    """What it implements is none of the specifications."""
    CALL = "call"
    """It failed when it was called."""
    ANSWER = "answer"
    """It returned what the specification does not allow."""
    TAKEN = "taken"
    """A name that it offers is ours, or another's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Extension:
    """One entry point of an installed distribution; `target` is its `module:object`."""

    name: str
    distribution: str
    version: str
    target: str

    def __str__(self) -> str:
        """As people tell it from others."""
        return f"{self.distribution} {self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What is wrong with an extension; the words of `why` may be its own."""

    extension: Extension
    kind: FaultKind
    why: str


def canonical(distribution: str) -> str:
    """The one spelling of a distribution's name."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def identity(point: EntryPoint) -> Extension:
    """Whose entry point it is."""
    return Extension(
        name=point.name,
        distribution=canonical(point.dist.name if point.dist else "?"),
        version=point.dist.version if point.dist else "?",
        target=point.value,
    )
