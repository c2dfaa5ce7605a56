"""Fails whenever it is asked."""

from __future__ import annotations

from typing import NoReturn

from mairust_core.errors import StorageDown
from mairust_core.extend import hookimpl


@hookimpl
def open_storage(url: str) -> None:
    """Say in our words that it is down, for one name."""
    if url.startswith("down:"):
        raise StorageDown("open", url=url, why="it is down")
    raise ZeroDivisionError("storage")


@hookimpl
def open_blobs(driver: str) -> NoReturn:
    """Fail."""
    raise ZeroDivisionError("blobs")


@hookimpl
def open_search() -> NoReturn:
    """Fail."""
    raise ZeroDivisionError("search")


@hookimpl
def open_transport() -> NoReturn:
    """Fail."""
    raise ZeroDivisionError("transport")


@hookimpl
def mail_hooks() -> NoReturn:
    """Fail."""
    raise ZeroDivisionError("hooks")


@hookimpl
def api_routers() -> NoReturn:
    """Fail."""
    raise ZeroDivisionError("routers")


@hookimpl
def commands() -> NoReturn:
    """Fail."""
    raise ZeroDivisionError("commands")
