"""Would wrap what others answer."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from mairust_core.extend import hookimpl


@hookimpl(wrapper=True)
def open_blobs(driver: str) -> Generator[None, Any, Any]:
    """Change every answer."""
    return (yield)
