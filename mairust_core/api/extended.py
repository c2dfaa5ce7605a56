"""The routes of extensions, `/api/v1/x/NAME`: behind the same keys and limits as every other (rule G6).

They are not in our OpenAPI document, which is the same for every site of a version. A FastAPI router has a
document of its own at `/api/v1/x/NAME/openapi.json`.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mairust_core.api.edge import Edge
from mairust_core.api.routes import PREFIX
from mairust_core.installed.extensions import Extensions
from mairust_core.installed.faults import FaultKind
from mairust_core.installed.offers import read_routers

if TYPE_CHECKING:
    from mairust_core.app import Site
    from mairust_core.extend import ApiRouter

EXTENDED = f"{PREFIX}/x"


def applications(found: Extensions) -> dict[str, tuple[ApiRouter, ASGIApp]]:
    """The routers that extensions bring and their applications, by name; what is wrong with one is noted."""
    made: dict[str, tuple[ApiRouter, ASGIApp]] = {}
    for name, (extension, one) in read_routers(found).items():
        try:
            made[name] = one, _application(one)
        except Exception as error:
            found.note(extension, FaultKind.ANSWER, f"api_routers: {name}: {error}")
    return made


def extended_routes(site: Site, edge: Edge) -> list[Mount]:
    """The routes of every extension that may speak."""
    return [
        Mount(f"{EXTENDED}/{name}", _Guarded(one, inner, site, edge), name=name)
        for name, (one, inner) in applications(site.joined.extensions).items()
    ]


def _application(one: ApiRouter) -> ASGIApp:
    """The router as an application; raises whatever making it raises."""
    fastapi = sys.modules.get("fastapi")
    if fastapi is None or not isinstance(one.router, fastapi.APIRouter):
        return one.router
    from mairust_core.api.extended_fastapi import application

    return application(one.name, one.router)


class _Guarded:
    """An application of others: asked only by those who may, and whatever it does is its own failure."""

    def __init__(self, one: ApiRouter, inner: ASGIApp, site: Site, edge: Edge) -> None:
        self._one = one
        self._inner = inner
        self._site = site
        self._edge = edge

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        started = False

        async def noting(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        async def serve(request: Request) -> Response:
            await self._edge.admit(request, self._one.scope, self._one.reach)
            scope["mairust.site"] = self._site
            await self._inner(scope, receive, noting)
            if not started:
                raise RuntimeError(f"the router {self._one.name} gave no answer")
            return Response()

        response = await self._edge.guarded(f"x/{self._one.name}", serve)(Request(scope, receive))
        if not started:
            await response(scope, receive, send)
