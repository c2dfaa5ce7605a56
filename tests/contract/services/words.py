"""Types that the tests of the service contract share."""

from __future__ import annotations

from typing import Protocol, TypeVar

from mairust_core.operations import Service

S = TypeVar("S", bound=Service)


class Ops(Protocol):
    """Gives the service of a kind, locally or remotely."""

    def __call__(self, kind: type[S], /) -> S:
        """The service."""
        ...
