"""Which engine narrows a site's searches down: ours, or that of an extension."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mairust_core.installed.drivers import provided
from mairust_core.search.engine import Engine

if TYPE_CHECKING:
    from mairust_core.config import Settings
    from mairust_core.store import StorageBackend

DATABASE = "database"
"""What `search.engine` calls ours."""


class Engines:
    """Our engines, on the database of a site."""

    def __init__(self, storage: StorageBackend) -> None:
        self._storage = storage

    def open_search(self, engine: str, settings: Settings) -> Engine | None:
        """Our implementation of the specification of this name (`extend`)."""
        if engine != DATABASE:
            return None
        from mairust_core.search.database import DatabaseEngine

        return DatabaseEngine(self._storage)


def engine_of(settings: Settings, storage: StorageBackend) -> Engine:
    """The search engine that the settings name. Raises `BadConfig`."""
    return provided(
        Engines(storage).open_search,
        Engine,
        settings.plugins.extensions,
        "search.engine",
        engine=settings.search.engine,
        settings=settings,
    )
