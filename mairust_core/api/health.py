"""Up or down, and nothing more (trap A6)."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import PlainTextResponse

from mairust_core import store
from mairust_core.api.looks import Look
from mairust_core.disk import has_room
from mairust_core.errors import DiskFull, MaiRustError

if TYPE_CHECKING:
    from mairust_core.app import Site

REMEMBERED_S = 1.0
"""However often it is asked, the database is looked at once a second."""

log = logging.getLogger("mairust.http")


def add_health(app: FastAPI, readiness: Readiness) -> None:
    """Add `/health/live` (the process answers) and `/health/ready` (mail would be taken now)."""

    async def live(_: Request) -> PlainTextResponse:
        return PlainTextResponse("up\n")

    async def ready(_: Request) -> PlainTextResponse:
        up = await readiness.now()
        return PlainTextResponse("up\n" if up else "down\n", 200 if up else 503)

    app.add_route("/health/live", live, methods=["GET"], include_in_schema=False)
    app.add_route("/health/ready", ready, methods=["GET"], include_in_schema=False)


class Readiness:
    """Ready is who has a database that takes a transaction, and room on the disk. For one event loop."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._look = Look(self._try)
        self._lock = asyncio.Lock()
        self._seen: tuple[float, bool] | None = None

    async def now(self) -> bool:
        """Whether mail would be taken now; at most a second old."""
        async with self._lock:
            if self._seen is None or time.monotonic() - self._seen[0] > REMEMBERED_S:
                self._seen = (time.monotonic(), await self._is_up())
            return self._seen[1]

    async def _is_up(self) -> bool:
        try:
            await self._look.now()
        except (MaiRustError, TimeoutError) as error:
            log.warning("not ready: %s", error or "the database does not answer")
            return False
        return True

    def _try(self) -> None:
        with self._site.storage.write() as tx:
            store.generations.current(tx)
        free, total = self._site.free_bytes()
        if not has_room(free, total):
            raise DiskFull("blobs", directory=self._site.settings.blobs.path, why=f"{free} bytes are free")
