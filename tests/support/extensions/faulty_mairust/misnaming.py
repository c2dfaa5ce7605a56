"""Implements a specification that there is not."""

from __future__ import annotations

from mairust_core.extend import hookimpl


@hookimpl
def open_sesame() -> None:
    """Nobody asks for it."""
