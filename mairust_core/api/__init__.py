"""The same over HTTP: an application made from the operations (contract §3).

Read in the order of a request: `frame` (request id, security headers, the line in the log) → `routes`
(which operation) → `authentication` (who asks) → `bodies` (what was sent) → the operation on a thread →
`answers`, or `problems` when it raised. A request with an `Idempotency-Key` goes through `idempotency`, one
with `If-Match` through `conditions`; `rates` counts all of them. `plugin_doors` are where plugins come back,
`extended` lets extensions answer below `/api/v1/x`, `metrics` is for monitors. `document` and `reference`
describe all of ours; `server` listens.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from mairust_core.api.authentication import Authentication
from mairust_core.api.edge import Bounds, Edge
from mairust_core.api.extended import extended_routes
from mairust_core.api.frame import Frame
from mairust_core.api.health import Readiness, health_routes, try_to_take
from mairust_core.api.metrics import metrics_route
from mairust_core.api.pages import page_routes
from mairust_core.api.plugin_doors import door_routes
from mairust_core.api.problems import answer_framework
from mairust_core.api.routes import operation_routes
from mairust_core.services.registry import SERVICES

if TYPE_CHECKING:
    from mairust_core.app import Site
    from mairust_core.operations import Service


def create_app(
    site: Site, *, services: Sequence[type[Service]] = SERVICES, bounds: Bounds | None = None
) -> Starlette:
    """The application of an open site: `/api/v1`, `/docs`, `/health`. The site stays open when it ends."""
    edge = Edge(site, Authentication(site.storage, throttle=site.throttle), bounds or Bounds())
    readiness = Readiness(partial(try_to_take, site))

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await edge.close()

    app = Starlette(
        routes=[
            *operation_routes(services, edge.handler),
            *door_routes(site, edge),
            *extended_routes(site, edge),
            *health_routes(readiness),
            metrics_route(site, edge, readiness),
            *page_routes(),
        ],
        middleware=[Middleware(Frame, counters=site.counters.http)],
        exception_handlers={HTTPException: answer_framework},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    return app
