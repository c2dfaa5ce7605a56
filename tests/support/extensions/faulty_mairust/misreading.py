"""Wants a parameter that the specification does not have."""

from __future__ import annotations

from mairust_core.extend import hookimpl


@hookimpl
def open_blobs(disk: str) -> None:
    """`driver` and `settings` are what there is."""
