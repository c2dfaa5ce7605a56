"""The same over HTTP: a FastAPI application made from the operations (contract §3).

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

from fastapi import FastAPI
from starlette.exceptions import HTTPException

from mairust_core.api.authentication import Authentication
from mairust_core.api.document import DESCRIPTION, TITLE, VERSION, document
from mairust_core.api.edge import Bounds, Edge
from mairust_core.api.extended import add_extended
from mairust_core.api.frame import Frame
from mairust_core.api.health import Readiness, add_health, try_to_take
from mairust_core.api.metrics import add_metrics
from mairust_core.api.pages import add_pages
from mairust_core.api.plugin_doors import add_doors
from mairust_core.api.problems import answer_framework
from mairust_core.api.routes import add_operations
from mairust_core.services.registry import SERVICES

if TYPE_CHECKING:
    from mairust_core.app import Site
    from mairust_core.operations import Service


def create_app(
    site: Site, *, services: Sequence[type[Service]] = SERVICES, bounds: Bounds | None = None
) -> FastAPI:
    """The application of an open site: `/api/v1`, `/docs`, `/health`. The site stays open when it ends."""
    edge = Edge(site, Authentication(site.storage, throttle=site.throttle), bounds or Bounds())

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await edge.close()

    app = FastAPI(
        title=TITLE, description=DESCRIPTION, version=VERSION, lifespan=lifespan, openapi_url=None,
        docs_url=None, redoc_url=None, redirect_slashes=False, telemetry={"tracing": False},
    )  # fmt: skip
    add_operations(app, services, edge.handler)
    add_doors(app, site, edge)
    add_extended(app, site, edge)
    readiness = Readiness(partial(try_to_take, site))
    add_health(app, readiness)
    add_metrics(app, site, edge, readiness)
    add_pages(app, document)
    app.add_exception_handler(HTTPException, answer_framework)
    app.add_middleware(Frame, counters=site.counters.http)
    return app
