"""Up or down, and nothing more (trap A6)."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from mairust_core import store
from mairust_core.api.looks import Look
from mairust_core.disk import has_room
from mairust_core.errors import DiskFull, MaiRustError

if TYPE_CHECKING:
    from mairust_core.app import Site

REMEMBERED_S = 1.0
"""However often it is asked, the database is looked at once a second."""

log = logging.getLogger("mairust.http")


def health_routes(readiness: Readiness) -> list[Route]:
    """`/health/live` (the process answers) and `/health/ready` (mail would be taken now)."""

    async def live(_: Request) -> PlainTextResponse:
        return PlainTextResponse("up\n")

    async def ready(_: Request) -> PlainTextResponse:
        up = await readiness.now()
        return PlainTextResponse("up\n" if up else "down\n", 200 if up else 503)

    return [Route("/health/live", live), Route("/health/ready", ready)]


class Readiness:
    """Ready is who has a database that takes a transaction, and room on the disk. For one event loop."""

    def __init__(self, look: Callable[[], None], clock: Callable[[], float] = time.monotonic) -> None:
        """`look` returns when mail would be taken, and raises why not."""
        self._look = Look(look)
        self._clock = clock
        self._seen: tuple[float, bool] | None = None

    async def now(self) -> bool:
        """Whether mail would be taken now; at most a second old."""
        if self._seen is None or self._clock() - self._seen[0] > REMEMBERED_S:
            up = await self._is_up()
            self._seen = (self._clock(), up)
        return self._seen[1]

    async def _is_up(self) -> bool:
        try:
            await self._look.now()
        except (MaiRustError, TimeoutError) as error:
            log.warning("not ready: %s", str(error) or "the database does not answer")
            return False
        return True


def try_to_take(site: Site) -> None:
    """Do what mail needs; raises the `MaiRustError` that it would meet."""
    with site.storage.write() as tx:
        store.generations.current(tx)
    free, total = site.free_bytes()
    if not has_room(free, total):
        raise DiskFull("blobs", directory=site.settings.blobs.path, why=f"{free} bytes are free")
