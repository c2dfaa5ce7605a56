"""Who looks on while a repository is worked on: told how much there is to do, and what is done."""

from __future__ import annotations

from typing import Protocol


class Watcher(Protocol):
    """Hears how far a long run is."""

    def expect(self, items: int) -> None:
        """So many more are to be done."""
        ...

    def advance(self, items: int = 1, *, size_bytes: int = 0) -> None:
        """So many are done, and so many bytes with them."""
        ...


class Nobody:
    """Does not look."""

    def expect(self, items: int) -> None:
        """Nothing is shown."""

    def advance(self, items: int = 1, *, size_bytes: int = 0) -> None:
        """Nothing is shown."""


NOBODY = Nobody()
